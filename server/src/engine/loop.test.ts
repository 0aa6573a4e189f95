import { describe, expect, it } from 'vitest'
import { createLogger } from '../kernel/logger.ts'
import { createLoop } from './loop.ts'

const logger = createLogger({ level: 'silent' })

/** Resolves when `done` says so; the test's own time limit ends it otherwise. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((next) => setTimeout(next, 1))
}

describe('a loop', () => {
  it('goes on at once while there is more, and rests when there is not', async () => {
    let rounds = 0
    const loop = createLoop('test', 3_600_000, async () => (++rounds < 5 ? 'more' : 'done'), logger)
    loop.start()
    await until(() => rounds === 5)
    await new Promise((next) => setTimeout(next, 30))
    expect(rounds).toBe(5)
    await loop.stop()
  })

  it('looks at once when it is woken, also when the wake comes in the middle of a round', async () => {
    let rounds = 0
    let finish: (() => void) | null = null
    const loop = createLoop('test', 3_600_000, async () => {
      rounds++
      await new Promise<void>((done) => (finish = done))
      finish = null
      return 'done'
    }, logger)
    loop.start()
    await until(() => finish !== null)
    loop.wake()
    finish!()
    await until(() => rounds === 2 && finish !== null)
    finish!()
    await until(() => finish === null)
    loop.wake()
    await until(() => rounds === 3 && finish !== null)
    const stopped = loop.stop()
    finish!()
    await stopped
  })

  it('a round that fails is tried again, and does not end the loop', async () => {
    let rounds = 0
    const loop = createLoop('test', 1, async () => {
      if (++rounds === 1) throw new Error('the database is away')
      return 'done'
    }, logger)
    loop.start()
    await until(() => rounds >= 3)
    await loop.stop()
  })

  it('stop waits for the round under way, and no other begins', async () => {
    let rounds = 0
    let ended = false
    const loop = createLoop('test', 1, async () => {
      rounds++
      await new Promise((next) => setTimeout(next, 30))
      ended = true
      return 'more'
    }, logger)
    loop.start()
    await until(() => rounds === 1)
    await loop.stop()
    expect(ended).toBe(true)
    loop.wake()
    await new Promise((next) => setTimeout(next, 20))
    expect(rounds).toBe(1)
  })
})
