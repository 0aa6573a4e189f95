import { describe, expect, it } from 'vitest'
import { keepingOf } from './keeping.ts'
import { outcomeOf } from './retry-download.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const at = (hours: number) => new Date(NOW + hours * 3_600_000).toISOString()
const elsewhere = (expiresAt: string | null, saving: 'waiting' | 'gone' | null = 'waiting') =>
  keepingOf({ audioUrl: 'https://cdn.example/a.mp3', providerUrl: 'https://cdn.example/a.mp3', expiresAt, saving }, NOW)

describe('how long a song can still be had', () => {
  it('is told for songs that are not with us: kept, urgent in the last two days, then over', () => {
    expect([at(49), at(48), at(1), at(0), at(-30)].map((end) => elsewhere(end).state)).toEqual(['kept', 'urgent', 'urgent', 'over', 'over'])
    expect(elsewhere(at(49))).toEqual({ state: 'kept', leftMs: 49 * 3_600_000 })
    expect(elsewhere(null).state).toBe('unknown')
  })

  it('is not told once we have our own copy, whatever the row says', () => {
    expect(keepingOf({ audioUrl: '/ours.mp3', providerUrl: 'https://cdn.example/a.mp3', expiresAt: at(5), saving: 'waiting' }, NOW)).toEqual({ state: 'safe' })
  })

  it('a file that nobody has is called gone, not expiring', () => {
    expect(elsewhere(at(49), 'gone').state).toBe('gone')
  })
})

describe('how a retried download ended', () => {
  const track = { id: 'a', title: null, audioUrl: 'https://cdn.example/a.mp3', providerUrl: 'https://cdn.example/a.mp3' }
  it('saved only when the copy is ours; else when it is tried again, or that nobody has it', () => {
    expect(outcomeOf({ ...track, audioUrl: '/ours.mp3', saving: 'waiting' })).toEqual({ state: 'saved' })
    expect(outcomeOf({ ...track, saving: 'resting', nextTryAt: at(3) })).toEqual({ state: 'resting', nextTryAt: at(3) })
    expect(outcomeOf({ ...track, saving: 'gone' })).toEqual({ state: 'gone' })
    expect(outcomeOf({ ...track, saving: 'working' })).toEqual({ state: 'slow' })
  })
})
