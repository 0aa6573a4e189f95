import type { MiddlewareHandler } from 'hono'
import { AppError } from '../kernel/errors.ts'
import type { AppEnv } from './app-env.ts'

/** Deeper than anything that means something; far below what recursion bears. */
const MOST_NESTED = 50
/** Bodies that are not ours to judge: providers may send what they like, and are answered 200. */
const TOLERANT = /^\/api\/webhooks\//

/**
 * Refuses, once for all rooms, what the database cannot keep: NUL and halves of surrogate pairs in texts or paths;
 * and JSON nested so deep that walking it would end in a stack overflow.
 */
export function plainInput(): MiddlewareHandler<AppEnv> {
  return async function plainInput(c, next) {
    if (/^[^?]*%00/.test(c.req.url)) throw new AppError('not_found')
    if (c.req.method === 'GET' || c.req.method === 'HEAD' || TOLERANT.test(c.req.path)) return next()
    const type = c.req.header('content-type')
    if (type !== undefined && !/json/i.test(type)) return next()
    // Kept by the context: whoever reads the body afterwards gets this very text.
    checkPlain(await c.req.text())
    return next()
  }
}

/** For those who take a body as JSON whatever it calls itself. Throws AppError: malformed_body, validation_failed. */
export function checkPlain(text: string): void {
  if (isNestedTooDeep(text)) throw new AppError('malformed_body')
  if (!/\\u(0000|d[89a-f])/i.test(text)) return
  const path = findUnkeepable(parse(text), [])
  if (path) throw new AppError('validation_failed', {}, [{ path: path.join('.'), rule: 'characters', message: '' }])
}

/** Whether PostgreSQL keeps this text as it is. */
export const isKeepable = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

function isNestedTooDeep(json: string): boolean {
  let depth = 0
  let quoted = false
  for (let place = 0; place < json.length; place++) {
    const letter = json[place]
    if (quoted) {
      if (letter === '\\') place++
      else if (letter === '"') quoted = false
    } else if (letter === '"') quoted = true
    else if (letter === '[' || letter === '{') {
      if (++depth > MOST_NESTED) return true
    } else if (letter === ']' || letter === '}') depth--
  }
  return false
}

/** Broken JSON is found out, and said, by who needs it. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** The path of the first text that cannot be kept; of its object when it is a name. */
function findUnkeepable(value: unknown, path: string[]): string[] | null {
  if (typeof value === 'string') return isKeepable(value) ? null : path
  if (typeof value !== 'object' || value === null) return null
  for (const [name, inner] of Object.entries(value)) {
    if (!isKeepable(name)) return path
    const found = findUnkeepable(inner, [...path, name])
    if (found) return found
  }
  return null
}
