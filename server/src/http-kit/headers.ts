import type { Next } from 'hono'
import type { AppContext } from './app-env.ts'

/**
 * Headers for whatever the request will be answered with. They are set before, because an event stream begins inside
 * the handler, and again after, because a handler that makes a bare `Response` does not take over the context's.
 */
export async function withHeaders(c: AppContext, headers: Record<string, string>, next: Next): Promise<void> {
  for (const [name, value] of Object.entries(headers)) c.header(name, value, { append: name === 'vary' })
  await next()
  if (c.res.headers.has('x-hono-already-sent')) return
  for (const [name, value] of Object.entries(headers)) {
    const present = c.res.headers.get(name)
    if (present === null) c.header(name, value)
    else if (name === 'vary' && !present.toLowerCase().includes(value)) c.header(name, value, { append: true })
  }
}
