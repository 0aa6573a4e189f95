import { Registry } from 'prom-client'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import type { Logger } from '../../kernel/logger.ts'
import { nextRun, SCHEDULES } from './maintenance.ts'
import { createScheduleWatch } from './schedule-watch.ts'

let database: TestDatabase
const said: string[] = []
const tell = (_: unknown, text: string) => said.push(text)
const logger = { error: tell, info: tell } as unknown as Logger

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

/** All went well just now, nobody has failed, and no time has passed. */
beforeEach(async () => {
  await database.db.setClockOffset(0)
  await database.db.query('delete from reprise.schedule_runs')
  await database.db.query('insert into reprise.schedule_runs (name, last_success) select unnest($1::text[]), reprise.now()', [Object.keys(SCHEDULES)])
  said.splice(0)
})

/** What this process sees that was started long ago. */
async function longUp() {
  const watch = createScheduleWatch({ db: database.db, logger })
  await watch.look()
  await database.db.setClockOffset(25 * 3_600_000)
  await database.db.query('update reprise.schedule_runs set last_success = reprise.now()')
  return watch
}
const lastSuccess = (name: string, age: string) => database.db.query(`update reprise.schedule_runs set last_success = reprise.now() - $2::interval where name = $1`, [name, age])

it('a sweep or an archive run that is missing for two periods is an alert, told once, and told when it is back', async () => {
  const watch = await longUp()
  const registry = new Registry()
  watch.measure(registry)
  await lastSuccess('stale-jobs', '9 minutes')
  await lastSuccess('archive', '47 hours')
  await watch.look()
  expect(said).toEqual([])
  expect(await registry.metrics()).toContain('reprise_schedule_missed{schedule="stale-jobs"} 0')

  await lastSuccess('stale-jobs', '11 minutes')
  await lastSuccess('archive', '49 hours')
  await watch.look()
  await watch.look()
  expect(said.splice(0).sort()).toEqual(['ALERT: archive has missed two of its times', 'ALERT: stale-jobs has missed two of its times'])
  for (const name of ['archive', 'stale-jobs']) expect(await registry.metrics()).toContain(`reprise_schedule_missed{schedule="${name}"} 1`)

  await lastSuccess('stale-jobs', '0 minutes')
  await watch.look()
  expect(said.splice(0)).toEqual(['stale-jobs runs again'])
})

it('one that runs and fails is not called missing: it has words of its own', async () => {
  const watch = await longUp()
  await lastSuccess('stale-jobs', '1 hour')
  await database.db.query(`update reprise.schedule_runs set last_failure = reprise.now() - interval '1 minute', last_error = 'one cannot be closed' where name = 'stale-jobs'`)
  await watch.look()
  await watch.look()
  expect(said.splice(0)).toEqual(['ALERT: stale-jobs runs, but has failed for two of its times'])
  await database.db.query(`update reprise.schedule_runs set last_failure = reprise.now() - interval '11 minutes' where name = 'stale-jobs'`)
  await watch.look()
  expect(said.splice(0)).toEqual(['ALERT: stale-jobs has missed two of its times'])
})

it('after a stop of many hours nothing is missing before its next time has passed, whatever its period', async () => {
  for (const name of Object.keys(SCHEDULES)) await lastSuccess(name, '3 days')
  const watch = createScheduleWatch({ db: database.db, logger })
  const after = async (minutes: number) => {
    await database.db.setClockOffset(minutes * 60_000)
    await watch.look()
    return said.splice(0).map((line) => /ALERT: (\S+) has missed/.exec(line)![1])
  }
  expect(await after(0)).toEqual([])
  expect(await after(5)).toEqual([])
  const soon = await after(12)
  expect(soon).toContain('stale-jobs')
  expect([...soon, ...(await after(67))]).toEqual(expect.arrayContaining(['prune', 'staging-sweep']))
})

it('one that has never run since the last update is missing after two periods, not before', async () => {
  const watch = await longUp()
  await database.db.query(`update reprise.migrations set applied_at = reprise.now()`)
  await database.db.query(`delete from reprise.schedule_runs where name = 'stale-jobs'`)
  await watch.look()
  expect(said).toEqual([])
  await database.db.query(`update reprise.migrations set applied_at = reprise.now() - interval '11 minutes'`)
  await watch.look()
  expect(said.splice(0)).toEqual(['ALERT: stale-jobs has missed two of its times'])
})

it('the watch looks by itself, without the job queue, and says so when it cannot', async () => {
  const db = { query: () => Promise.reject(new Error('no database')) } as never
  const watch = createScheduleWatch({ db, logger, lookMs: 1 })
  watch.start()
  while (said.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  await watch.stop()
  expect(said.at(-1)).toBe('ALERT: nobody can tell whether the scheduled work runs')
})

it('the next time of work that runs every few minutes is told, too', () => {
  expect(nextRun('stale-jobs', Date.parse('2026-01-01T12:03:00Z')).toISOString()).toBe('2026-01-01T12:05:00.000Z')
  expect(nextRun('archive', Date.parse('2026-01-01T12:03:00Z')).toISOString()).toBe('2026-01-02T03:00:00.000Z')
})
