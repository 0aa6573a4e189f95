import { expect, it } from 'vitest'
import { createPace } from './pace.ts'

const never = new AbortController().signal

it('reading is bounded to the rate from file to file: bytes never come faster than their seconds pass', async () => {
  const pace = createPace(1_000_000)
  const started = performance.now()
  for (let n = 0; n < 30; n++) await pace(10_000, never)
  // The last nap may be one that was too short to take.
  expect(performance.now() - started).toBeGreaterThanOrEqual(300 - 15)
})

it('what was not read in time is not caught up', async () => {
  let now = 0
  const pace = createPace(1_000_000, () => now)
  await pace(1_000, never)
  now += 60_000
  const started = performance.now()
  void Promise.resolve().then(() => undefined)
  const waiting = pace(50_000, never)
  await waiting
  expect(performance.now() - started).toBeGreaterThanOrEqual(45)
})

it('waiting ends at once when it is to stop', async () => {
  const stop = new AbortController()
  const waiting = createPace(1)(1_000_000, stop.signal)
  stop.abort()
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
})
