import { Registry } from 'prom-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
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
  await database.db.query('insert into reprise.schedule_runs (name, last_success) select unnest($1::text[]), reprise.now()', [Object.keys(SCHEDULES)])
})
afterAll(() => database.close())

const lastSuccess = (name: string, age: string) => database.db.query(`update reprise.schedule_runs set last_success = reprise.now() - $2::interval where name = $1`, [name, age])

it('a sweep or an archive run that is missing for two periods is an alert, told once, and told when it is back', async () => {
  const watch = createScheduleWatch({ db: database.db, logger })
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

it('one that has never run since the last update is missing after two periods, not before', async () => {
  const watch = createScheduleWatch({ db: database.db, logger })
  await lastSuccess('archive', '1 hour')
  await database.db.query(`delete from reprise.schedule_runs where name = 'stale-jobs'`)
  await watch.look()
  expect(said).toEqual([])
  await database.db.query(`update reprise.migrations set applied_at = reprise.now() - interval '11 minutes'`)
  await watch.look()
  expect(said.splice(0)).toEqual(['ALERT: stale-jobs has missed two of its times'])
})

it('the watch looks by itself, without the job queue, and says so when it cannot', async () => {
  const db = { query: () => Promise.reject(new Error('no database')) } as never
  const watch = createScheduleWatch({ db, logger, patienceMs: 1, lookMs: 1 })
  watch.start()
  while (said.length < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  await watch.stop()
  expect(said.at(-1)).toBe('ALERT: nobody can tell whether the scheduled work runs')
})

it('the next time of work that runs every few minutes is told, too', () => {
  expect(nextRun('stale-jobs', Date.parse('2026-01-01T12:03:00Z')).toISOString()).toBe('2026-01-01T12:05:00.000Z')
  expect(nextRun('archive', Date.parse('2026-01-01T12:03:00Z')).toISOString()).toBe('2026-01-02T03:00:00.000Z')
})
