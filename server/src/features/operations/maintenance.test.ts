import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDatabase } from '../../database/pool.ts'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import type { Logger } from '../../kernel/logger.ts'
import { checkLedger, createMaintenance, prune, recorded } from './maintenance.ts'

describe('side work', () => {
  let database: TestDatabase
  const said: string[] = []
  const logger = { error: (_: unknown, text: string) => said.push(text) } as unknown as Logger
  const query = (text: string, values?: unknown[]) => database.db.query(text, values)
  const count = async (table: string) => (await query(`select count(*) as n from reprise.${table}`)).rows[0]!.n as number

  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterAll(() => database.close())

  it('prune forgets what has had its time, however many rows, and keeps what has not', async () => {
    const user = randomUUID()
    await query(`insert into reprise.accounts (user_id, subject) values ($1, 'somebody')`, [user])
    await query(`insert into reprise.idempotency (user_id, route, key, body_hash, generation_id, created_at)
      select $1::uuid, 'r', 'old ' || n, ''::bytea, gen_random_uuid(), reprise.now() - interval '25 hours 1 minute' from generate_series(1, 7) n
      union all select $1::uuid, 'r', 'kept', ''::bytea, gen_random_uuid(), reprise.now() - interval '24 hours 59 minutes'`, [user])
    await query(`insert into reprise.parked_callbacks (provider, task_id, received_at) values
      ('suno', 'old', reprise.now() - interval '11 minutes'), ('suno', 'kept', reprise.now() - interval '9 minutes')`)
    await query(`insert into reprise.session_links (token_hash, user_id, expires_at) values
      ('old', $1, reprise.now() - interval '8 days'), ('kept', $1, reprise.now() - interval '6 days')`, [user])
    await query(`insert into reprise.nodes (node, role, started_at, round_at) values
      ('old', 'worker', reprise.now(), reprise.now() - interval '25 hours'), ('kept', 'worker', reprise.now(), reprise.now() - interval '23 hours')`)
    await query(`insert into reprise.fixity_claims (blob_key, owner, lease_until) values
      ('old', 'a', reprise.now() - interval '25 hours'), ('kept', 'a', reprise.now() - interval '23 hours'), ('held', 'a', reprise.now() + interval '1 minute')`)
    await query(`insert into reprise.operation_locks (key, acquired_at, expires_at) values
      ('old', reprise.clock() - interval '3 hours', reprise.clock() - interval '61 minutes'), ('kept', reprise.clock(), reprise.clock() - interval '59 minutes'),
      ('held', reprise.clock() - interval '9 days', reprise.clock() + interval '1 minute')`)
    await prune(database.db, 3)
    expect((await query('select key from reprise.idempotency')).rows).toEqual([{ key: 'kept' }])
    expect((await query('select task_id from reprise.parked_callbacks')).rows).toEqual([{ task_id: 'kept' }])
    expect((await query(`select convert_from(token_hash, 'utf8') as name from reprise.session_links`)).rows).toEqual([{ name: 'kept' }])
    expect((await query('select node from reprise.nodes')).rows).toEqual([{ node: 'kept' }])
    expect((await query('select blob_key from reprise.fixity_claims order by 1')).rows).toEqual([{ blob_key: 'held' }, { blob_key: 'kept' }])
    expect((await query('select key from reprise.operation_locks order by 1')).rows).toEqual([{ key: 'held' }, { key: 'kept' }])
    expect(await count('accounts')).toBe(1)
  })

  it('a broken promise about tokens is found and told as an alert; a sound ledger is silent', async () => {
    const user = randomUUID()
    await query('select reprise.open_wallet($1)', [user])
    await query(`insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, reason, actor) values ($1, 'grant', 'grants', 'available', 10, 'test', 'test')`, [user])
    expect(await checkLedger(database.db, logger)).toBe(0)
    expect(said).toEqual([])
    await query('update reprise.wallets set available = available + 1 where user_id = $1', [user])
    expect(await checkLedger(database.db, logger)).toBe(1)
    expect(said.splice(0)).toEqual(['ALERT: ledger: wallet differs from its entries'])
  })

  it('the look at the ledger takes the time that it takes; the next on its connection is limited as ever', async () => {
    const hurried = createDatabase({ url: database.url, max: 1, applicationName: 'hurried', statementTimeoutMs: 200, logger })
    await query('alter view reprise.ledger_violations rename to ledger_violations_away')
    await query(`create view reprise.ledger_violations as select 'slow' as promise, gen_random_uuid() as user_id, null::uuid as generation_id from pg_sleep(0.5)`)
    try {
      expect(await checkLedger(hurried, logger)).toBe(1)
      expect(said.splice(0)).toEqual(['ALERT: ledger: slow'])
      expect((await hurried.query(`select current_setting('statement_timeout') as time, current_setting('work_mem') as memory`)).rows).toEqual([{ time: '200ms', memory: '4MB' }])
    } finally {
      await hurried.close()
      await query('drop view reprise.ledger_violations')
      await query('alter view reprise.ledger_violations_away rename to ledger_violations')
    }
  })

  it('the schedule looks at the ledger: nobody has to ask', async () => {
    const nothing = async () => undefined
    const maintenance = createMaintenance({ db: database.db, sweepStaging: nothing, sweepUploads: nothing, archive: nothing, fixity: nothing, staleJobs: nothing, logger: { ...logger, warn: () => undefined } as unknown as Logger })
    const before = await count('ledger_checks')
    await maintenance.start()
    try {
      expect((await query(`select cron from reprise_boss.schedule where name = 'ledger-check'`)).rows).toEqual([{ cron: '5 4 * * *' }])
      await query(`insert into reprise_boss.job (name) values ('ledger-check')`) // its time has come
      await expect.poll(async () => (await query(`select last_success is not null as well from reprise.schedule_runs where name = 'ledger-check'`)).rows, { timeout: 20_000 }).toEqual([{ well: true }])
    } finally {
      await maintenance.stop()
    }
    expect(await count('ledger_checks')).toBe(before + 1)
    expect(said.splice(0)).toEqual(['ALERT: ledger: wallet differs from its entries'])
  })

  it('a job that fails is told as an alert and remembered; its last success is not forgotten for it', async () => {
    const row = async () => (await query(`select * from reprise.schedule_runs where name = 'a job'`)).rows[0]!
    await recorded(database.db, logger, 'a job', async () => undefined)
    const first = await row()
    expect(first).toMatchObject({ last_success: expect.any(Date), last_failure: null })
    await expect(recorded(database.db, logger, 'a job', () => Promise.reject(new Error('the disk is gone')))).rejects.toThrow('the disk is gone')
    expect(said).toEqual(['ALERT: a job failed'])
    expect(await row()).toMatchObject({ last_success: first.last_success, last_failure: expect.any(Date), last_error: 'the disk is gone' })
  })

  it('what a node had begun when it died is begun again', async () => {
    const troubles: unknown[] = []
    let begun = 0
    const nothing = async () => undefined
    const maintenance = createMaintenance({
      db: database.db, sweepStaging: nothing, sweepUploads: nothing, archive: nothing, fixity: nothing, superviseSec: 1,
      // The first time it never comes back.
      staleJobs: () => (++begun === 1 ? new Promise(() => undefined) : nothing()),
      logger: { ...logger, warn: (trouble: unknown) => troubles.push(trouble) } as unknown as Logger,
    })
    await maintenance.start()
    await query(`insert into reprise_boss.job (name, expire_seconds) values ('stale-jobs', 1)`)
    await expect.poll(() => begun, { timeout: 15_000 }).toBe(1)
    await expect.poll(() => begun, { timeout: 30_000 }).toBe(2)
    expect(troubles).toEqual([])
    await maintenance.stop()
  })
})
