import type { MiddlewareHandler } from 'hono'
import type { AppEnv } from './app-env.ts'
import { withHeaders } from './headers.ts'

/** Also what `supabase-js` sends. `apikey` is let through and gives no rights. */
const ALLOWED_HEADERS = [
  'authorization',
  'apikey',
  'x-client-info',
  'x-region',
  'x-user-id',
  'content-type',
  'idempotency-key',
  'last-event-id',
  'range',
  'if-none-match',
  'if-match',
  'traceparent',
  'tracestate',
  'baggage',
].join(', ')
const EXPOSED_HEADERS = 'x-request-id, etag, content-range, accept-ranges, retry-after, location, idempotent-replayed'
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'

/**
 * CORS on every route, also on errors. `origins` are exact origins or `*`. Cookies are never allowed together with
 * `*`; with a list of origins they are, and then a session's unsafe requests must still be same-origin.
 */
export function cors(origins: readonly string[]): MiddlewareHandler<AppEnv> {
  const any = origins.includes('*')
  const allowed = new Set(origins.map((origin) => origin.replace(/\/+$/, '').toLowerCase()))
  return async function cors(c, next) {
    const headers = originHeaders(c.req.header('origin'))
    if (c.req.method !== 'OPTIONS' || c.req.header('access-control-request-method') === undefined)
      return withHeaders(c, { ...headers, 'access-control-expose-headers': EXPOSED_HEADERS }, next)
    return c.body(null, 204, {
      ...headers,
      'access-control-allow-methods': METHODS,
      'access-control-allow-headers': ALLOWED_HEADERS,
      'access-control-max-age': '7200',
    })
  }

  function originHeaders(origin: string | undefined): Record<string, string> {
    if (any) return { 'access-control-allow-origin': '*' }
    if (!origin || !allowed.has(origin.toLowerCase())) return { vary: 'origin' }
    return {
      vary: 'origin',
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
    }
  }
}
