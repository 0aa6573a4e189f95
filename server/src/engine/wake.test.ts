import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../database/testing/test-database.ts'
import { createLogger } from '../kernel/logger.ts'
import { createWaker, type Topic, type Waker } from './wake.ts'

let test: TestDatabase
let here: Waker
let there: Waker
beforeAll(async () => {
  test = await createTestDatabase()
  const logger = createLogger({ level: 'silent' })
  here = createWaker({ db: test.db, node: 'here', logger })
  there = createWaker({ db: test.db, node: 'there', logger })
  await Promise.all([here.start(), there.start()])
})
afterAll(async () => {
  await Promise.all([here.stop(), there.stop()])
  await test.close()
})

const heardBy = (waker: Waker, topic: Topic) => {
  const heard = { times: 0, stop: () => undefined as unknown }
  heard.stop = waker.on(topic, () => heard.times++)
  return heard
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((next) => setTimeout(next, 1))
}

describe('waking', () => {
  it('its own loops at once, those of other nodes by a notice, and only for what was named', async () => {
    const own = heardBy(here, 'save')
    const foreign = heardBy(there, 'save')
    const silent = heardBy(there, 'attend')
    here.wake(['save'])
    expect(own.times).toBe(1)
    await until(() => foreign.times === 1)
    expect(silent.times).toBe(0)
    // Its own notice does not wake it a second time.
    expect(own.times).toBe(1)
    for (const heard of [own, foreign, silent]) heard.stop()
  })

  it('many wakes in a moment are one notice', async () => {
    const foreign = heardBy(there, 'dispatch')
    const last = heardBy(there, 'outbox')
    here.wake(['dispatch'])
    await until(() => foreign.times === 1)
    for (let time = 0; time < 200; time++) here.wake(['dispatch'])
    await new Promise((next) => setTimeout(next, 60))
    here.wake(['outbox'])
    await until(() => last.times === 1)
    expect(foreign.times).toBeLessThanOrEqual(3)
    for (const heard of [foreign, last]) heard.stop()
  })

  it('a listener that is taken off hears nothing more', () => {
    const own = heardBy(here, 'events')
    own.stop()
    here.wake(['events'])
    expect(own.times).toBe(0)
  })
})
