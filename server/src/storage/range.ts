export type Range = { start: number; end: number } | 'whole' | 'unsatisfiable'

/**
 * Reads a `Range` header against a file of `size` bytes. `start` and `end` are inclusive.
 * Anything that is not one well-formed byte range (several ranges, another unit, nonsense) means the whole file.
 */
export function parseRange(header: string | null | undefined, size: number): Range {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header ?? '')
  if (!match) return 'whole'
  const [first, last] = [match[1]!, match[2]!]
  if (first === '') {
    if (last === '') return 'whole'
    const length = Number(last)
    return length === 0 || size === 0 ? 'unsatisfiable' : { start: Math.max(0, size - length), end: size - 1 }
  }
  const start = Number(first)
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (last !== '' && Number(last) < start) return 'whole'
  return start >= size ? 'unsatisfiable' : { start, end }
}
