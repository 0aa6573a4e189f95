import { describe, expect, it } from 'vitest'
import { signMediaPath, verifyMediaPath } from './media-url.ts'

const media = { secret: 's3cret', bucket: 'parcours-tracks', path: 'runs/1/пьеса.mp3' }
const now = 1_700_000_000_000
const query = new URLSearchParams(signMediaPath({ ...media, expiresAt: now + 3_600_000 }))
const verify = (more: Partial<Parameters<typeof verifyMediaPath>[0]> = {}) =>
  verifyMediaPath({ ...media, query, now, ...more })

describe('signed media addresses', () => {
  it('open the file until they expire', () => {
    expect(verify()).toBe('valid')
    expect(verify({ now: now + 3_599_000 })).toBe('valid')
    expect(verify({ now: now + 3_600_000 })).toBe('expired')
  })

  it('open no other file, bucket or split of the two, and nothing under another secret', () => {
    expect(verify({ path: 'runs/2/пьеса.mp3' })).toBe('invalid')
    expect(verify({ bucket: 'uploads' })).toBe('invalid')
    expect(verify({ bucket: 'parcours-tracks/runs', path: '1/пьеса.mp3' })).toBe('invalid')
    expect(verify({ secret: 'other' })).toBe('invalid')
    expect(() => verify({ secret: '' })).toThrow()
  })

  it('cannot be prolonged, shortened, emptied or garbled', () => {
    const change = (name: string, value: string) => {
      const changed = new URLSearchParams(query)
      changed.set(name, value)
      return verify({ query: changed })
    }
    const signature = query.get('signature')!
    for (const expires of ['9999999999', '1e12', '', 'x', '-1', `0${query.get('expires')}`, '1'.repeat(13)]) {
      expect(change('expires', expires)).toBe('invalid')
    }
    for (const wrong of ['', 'x', signature.slice(1), `${signature}AAAA`, signature.toUpperCase()]) {
      expect(change('signature', wrong)).toBe('invalid')
    }
    expect(verify({ query: new URLSearchParams() })).toBe('invalid')
  })
})
