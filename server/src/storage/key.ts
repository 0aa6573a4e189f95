/** A key that no store will take. Never caused by a provider: keys are made by us, or come from a request's path. */
export class BadKey extends Error {
  constructor(reason: string) {
    super(`bad storage key: ${reason}`)
    this.name = 'BadKey'
  }
}

/**
 * Keys are relative paths with `/` between segments: `tracks-audio/<user>/<track>.mp3`. At most 900 bytes, each
 * segment 1 to 200 bytes (a file name may have 255, an S3 key 1,024), no `.` or `..`, no backslash, nothing
 * unprintable; no segment starts with a dot, so that a store's own folders (`.staging`) can never be named.
 * Throws `BadKey`.
 */
export function checkKey(key: string): void {
  const problem = problemOf(key)
  if (problem) throw new BadKey(problem)
}

export const isKey = (key: string): boolean => problemOf(key) === null

const UNPRINTABLE = /[\p{Cc}\p{Cs}\\\u2028\u2029\ufffd]/u

function problemOf(key: string): string | null {
  if (key === '') return 'empty'
  if (UNPRINTABLE.test(key)) return 'forbidden character'
  if (Buffer.byteLength(key) > 900) return 'too long'
  for (const segment of key.split('/')) {
    if (segment === '') return 'empty segment'
    if (segment.startsWith('.')) return 'segment starts with a dot'
    if (Buffer.byteLength(segment) > 200) return 'segment too long'
  }
  return null
}
