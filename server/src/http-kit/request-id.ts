import type { MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import type { Clock } from '../kernel/clock.ts'
import type { Ids } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import { pickLanguage, type Language } from '../texts/texts.ts'
import type { AppContext, AppEnv } from './app-env.ts'
import { withHeaders } from './headers.ts'

export interface RequestIdOptions {
  logger: Logger
  clock: Clock
  ids: Ids
  language?: Language
  /** Called once per answered request, with the route's pattern (never the address with its ids). */
  observe?: (request: { method: string; route: string; status: number; seconds: number }) => void
}

/** `req_<ms>_<random>`: in `x-request-id`, in every log line of the request and in every problem. */
export function requestId(options: RequestIdOptions): MiddlewareHandler<AppEnv> {
  const { logger, clock, ids, observe } = options
  // Its lines hold nothing secret, and searching each for secrets would be a tenth of a request's work.
  const access = logger.child({}, { redact: [] })
  return async function requestId(c, next) {
    const started = performance.now()
    const id = `req_${clock.now()}_${ids.uuid().replaceAll('-', '').slice(0, 10)}`
    c.set('requestId', id)
    c.set('logger', logger.child({ requestId: id }))
    c.set('language', pickLanguage(c.req.header('accept-language'), c.req.query('lang'), options.language))
    await withHeaders(c, { 'x-request-id': id, 'x-content-type-options': 'nosniff' }, next)
    const seconds = (performance.now() - started) / 1000
    const { method } = c.req
    const status = c.res.status
    const route = routePattern(c)
    observe?.({ method, route, status, seconds })
    const level = status >= 500 ? 'warn' : QUIET.has(route) ? 'debug' : 'info'
    if (!access.isLevelEnabled(level)) return
    const ms = Math.round(seconds * 10_000) / 10
    access[level]({ requestId: id, method, route, path: safeAddress(c.req.url), status, ms }, 'request')
  }
}

/** Asked every few seconds by machines: they would bury everything else. */
const QUIET = new Set(['/livez', '/readyz', '/metrics'])

/** `/api/generations/:id`; `unmatched` for an address that nobody serves, so that metrics stay few. */
export function routePattern(c: AppContext): string {
  const handler = matchedRoutes(c as never).findLast(({ method }) => method !== 'ALL')
  return handler?.path ?? 'unmatched'
}

const SECRET = /token|signature|secret|password|key|sig$|code/i

/** Path and query without secrets: callback tokens, one-time links and signatures travel in queries. */
export function safeAddress(url: string): string {
  const address = url.replace(/^[a-z]+:\/\/[^/]*/i, '')
  const question = address.indexOf('?')
  if (question < 0) return address
  // Read as a server reads it, so that an encoded name hides nothing.
  const query = new URLSearchParams(address.slice(question))
  for (const name of new Set(query.keys())) if (SECRET.test(name)) query.set(name, 'redacted')
  return `${address.slice(0, question)}?${query}`
}
