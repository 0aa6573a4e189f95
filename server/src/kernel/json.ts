/**
 * JSON that PostgreSQL takes as jsonb: NUL characters are left out and halves of surrogate pairs replaced, which a
 * provider's answer may hold anywhere and which would otherwise fail the whole statement.
 */
export function jsonForDatabase(value: unknown): string {
  const text = JSON.stringify(value)
  if (!text.includes('\\u')) return text
  return text.replace(/\\(u0000|ud[89a-f][0-9a-f]{2}|.)/g, (escape, code: string) => (code === 'u0000' ? '' : code.startsWith('ud') ? '\ufffd' : escape))
}

/** At most this much of one foreign payload is kept; characters of JSON. */
const KEPT = 16_384

/** A foreign payload as it is kept for the timeline: whole when it is small, else its beginning as text. */
export function keptPayload(raw: unknown): unknown {
  const text = JSON.stringify(raw) ?? 'null'
  return text.length <= KEPT ? raw : { beginning: text.slice(0, KEPT), characters: text.length }
}
