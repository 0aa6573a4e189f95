import { describe, expect, it } from 'vitest'
import { jsonForDatabase, keptPayload } from './json.ts'

describe('what a provider may send', () => {
  it('NUL and half characters never reach a statement, also in keys and behind backslashes', () => {
    const sent = { 'a\0b': ['x\0', 'half \ud800 pair', 'a real backslash \\u0000', '𝄇'], deep: { n: 1, none: null } }
    expect(JSON.parse(jsonForDatabase(sent))).toEqual({ ab: ['x', 'half \ufffd pair', 'a real backslash \\u0000', '𝄇'], deep: { n: 1, none: null } })
  })

  it('what is clean stays as it is', () => {
    expect(jsonForDatabase({ a: 'ü', b: [1] })).toBe('{"a":"ü","b":[1]}')
  })

  it('a huge payload is kept by its beginning, a small one whole', () => {
    expect(keptPayload({ a: 1 })).toEqual({ a: 1 })
    expect(keptPayload({ a: 'x'.repeat(100_000) })).toMatchObject({ characters: 100_008 })
    expect(keptPayload(undefined)).toBeUndefined()
  })
})
