import { hash } from 'node:crypto'
import type { Context, TypedResponse } from 'hono'
import type { JSONParsed } from 'hono/utils/types'

/** Strong tag of these bytes. */
export const etagOf = (bytes: string | Uint8Array): string =>
  `"${hash('sha256', bytes, 'base64url').slice(0, 27)}"`

/** True when the client's `If-None-Match` names this tag (weak comparison, as RFC 9110 asks for it). */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (!ifNoneMatch) return false
  if (ifNoneMatch.trim() === '*') return true
  const bare = (tag: string) => tag.trim().replace(/^W\//, '')
  return ifNoneMatch.split(',').some((tag) => bare(tag) === bare(etag))
}

/**
 * JSON with an ETag of its bytes; 304 without a body when the client has it already. Private: answers depend on who
 * asks. The 304 is typed like the 200, so that a route need not declare it.
 */
export function withEtag<T>(c: Context, data: T): Response & TypedResponse<JSONParsed<T>, 200, 'json'> {
  const body = JSON.stringify(data)
  const etag = etagOf(body)
  const headers = { etag, 'cache-control': 'private, no-cache' }
  c.header('vary', 'authorization, cookie, accept-language', { append: true })
  const response = matchesEtag(c.req.header('if-none-match'), etag)
    ? c.body(null, 304, headers)
    : c.body(body, 200, { ...headers, 'content-type': 'application/json' })
  return response as unknown as Response & TypedResponse<JSONParsed<T>, 200, 'json'>
}
