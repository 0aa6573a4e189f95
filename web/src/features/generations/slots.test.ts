import { describe, expect, it } from 'vitest'
import { slotsOf } from './slots.ts'

const track = (variant: number) => ({ id: `t${variant}`, title: null, variant })

describe('the places of the songs', () => {
  it('while it runs, every song has a place: stored, previewed or awaited', () => {
    const slots = slotsOf({ state: 'saving', tracks: [track(2)], previews: [{ index: 0, previewUrl: '/p' }, { index: 1, previewUrl: '/q' }] })
    expect(slots.map(({ n, track, previewUrl }) => [n, track?.id, previewUrl])).toEqual([
      [1, undefined, '/p'],
      [2, 't2', '/q'],
    ])
    expect(slotsOf({ state: 'queued' })).toHaveLength(2)
  })

  it('at the end only what is ours is shown, and the second song stays the second', () => {
    const slots = slotsOf({ state: 'complete', tracks: [track(2)], previews: [{ index: 0, previewUrl: '/p' }] })
    expect(slots.map((slot) => slot.n)).toEqual([2])
    expect(slotsOf({ state: 'failed', previews: [{ index: 0, previewUrl: '/p' }] })).toEqual([])
  })
})
