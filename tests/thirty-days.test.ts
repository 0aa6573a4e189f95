import { expect, it } from 'vitest'
import { thirtyDays } from '../prove/thirty-days.ts'

it('thirty days of three providers with outages of a day and bad downloads: nothing expires unarchived, every notice is sent once', { timeout: 180_000 }, async () => {
  const { broken, ...figures } = await thirtyDays({ seed: 20_260_302, tracks: 120 })
  expect(broken).toEqual([])
  expect(figures).toMatchObject({ archived: 120, expiredUnarchived: 0, doubledNotices: 0, fetchedTwice: 0 })
  // Not just survived: there was something to survive.
  expect(figures.failedRuns).toBeGreaterThan(0)
  expect(figures.badDownloads).toBeGreaterThan(0)
})
