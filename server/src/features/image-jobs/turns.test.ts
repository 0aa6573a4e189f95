import { describe, expect, it } from 'vitest'
import { createTurns } from './turns.ts'

describe('working in turn', () => {
  it('never more at once than allowed; whoever brings many waits for others after each, and a failure gives its place on', async () => {
    const enter = createTurns({ atOnce: 2, most: 20, mostOfOne: 10 })
    const order: string[] = []
    let running = 0
    let most = 0
    const release: (() => void)[] = []
    const visit = (who: string, fails = false) => enter(who, (inTurn) => inTurn(async () => {
      order.push(who)
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => release.push(resolve))
      running--
      if (fails) throw new Error('damaged')
    }))
    const all = [...Array.from({ length: 6 }, () => visit('many')), visit('one', true), visit('other'), visit('other')]
    const ends = Promise.allSettled(all)
    await new Promise(setImmediate)
    while (release.length || running) {
      release.shift()?.()
      await new Promise(setImmediate)
    }
    expect((await ends).filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(most).toBe(2)
    expect(order).toEqual(['many', 'many', 'many', 'one', 'other', 'many', 'other', 'many', 'many'])
    await expect(enter('many', (inTurn) => inTurn(async () => 'next'))).resolves.toBe('next')
  })

  it('one who fills their own places is refused, before anything is received; others are let in until all are taken', async () => {
    const enter = createTurns({ atOnce: 1, most: 4, mostOfOne: 3 })
    const release: (() => void)[] = []
    let received = 0
    const visit = (who: string) => enter(who, async () => {
      received++
      await new Promise<void>((resolve) => release.push(resolve))
    })
    const inside = [visit('many'), visit('many'), visit('many')]
    await expect(visit('many')).rejects.toMatchObject({ code: 'too_many_requests' })
    inside.push(visit('one'))
    await expect(visit('other')).rejects.toMatchObject({ code: 'too_many_requests' })
    expect(received).toBe(4)
    for (const each of release.splice(0)) each()
    await Promise.all(inside)
    const again = visit('many')
    release[0]!()
    await again
  })
})
