import { describe, expect, it } from 'vitest'
import { createTurns } from './uploads.ts'

describe('decoding in turn', () => {
  it('never runs more at once than allowed, refuses whoever finds too many waiting, and goes on after a failure', async () => {
    const inTurn = createTurns(2, 2)
    let running = 0
    let most = 0
    const release: (() => void)[] = []
    const work = async () => {
      most = Math.max(most, ++running)
      await new Promise<void>((resolve) => release.push(resolve))
      running--
    }
    const four = Array.from({ length: 4 }, () => inTurn(work))
    await expect(inTurn(work)).rejects.toMatchObject({ code: 'too_many_requests' })
    while (release.length || running) {
      release.shift()?.()
      await new Promise(setImmediate)
    }
    await Promise.all(four)
    expect(most).toBe(2)
    await expect(inTurn(() => Promise.reject(new Error('damaged')))).rejects.toThrow('damaged')
    await expect(inTurn(async () => 'next')).resolves.toBe('next')
  })
})
