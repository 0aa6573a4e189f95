import { timingSafeEqual } from 'node:crypto'
import { Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { sha256 } from '../kernel/ids.ts'
import { bearer, requireOperator } from './authentication.ts'
import type { App } from './openapi.ts'
import type { RequestIdOptions } from './request-id.ts'

export interface Metrics {
  /** For the metrics of other rooms. */
  registry: Registry
  /** Hand this to `createApp`. */
  observe: NonNullable<RequestIdOptions['observe']>
  /** Mounts `/metrics`: for operators, the service role, or who has the token. */
  mount(app: App): void
}

export function createMetrics(options: { token?: string } = {}): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time until the answer began, by route pattern and status.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: [registry],
  })
  const tokenHash = options.token ? sha256(options.token) : null
  return {
    registry,
    observe({ method, route, status, seconds }) {
      // A client may invent methods; each would be a series of its own for ever.
      duration.labels(KNOWN_METHODS.has(method) ? method : 'other', route, String(status)).observe(seconds)
    },
    mount(app) {
      app.get('/metrics', async (c) => {
        const given = bearer(c.req.header('authorization'))
        const byToken = tokenHash && given && timingSafeEqual(sha256(given), tokenHash)
        if (!byToken) requireOperator(c)
        return c.body(await registry.metrics(), 200, {
          'content-type': registry.contentType,
          'cache-control': 'no-store',
        })
      })
    },
  }
}

const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
