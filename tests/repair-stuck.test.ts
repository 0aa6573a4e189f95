import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../server/src/database/testing/test-database.ts'
import { insertStuckJobs, total, type StuckJob } from './stuck-jobs.ts'

const REPRISE = join(import.meta.dirname, '../server/src/cli/reprise.ts')

const cli = (args: string[], env: Record<string, string>) => new Promise<{ code: number; out: string; err: string }>((done) => {
  execFile(process.execPath, [REPRISE, 'repair-stuck', ...args], { env: { PATH: process.env.PATH, ...env }, maxBuffer: 10_000_000 }, (error, out, err) =>
    done({ code: error ? Number(error.code) : 0, out, err }))
})

describe("stuck jobs of somebody else's database", { timeout: 90_000 }, () => {
  let theirs: TestDatabase
  const users = Array.from({ length: 5 }, () => randomUUID())
  let jobs: StuckJob[]
  const REFUND = 'select give_back($user, $amount, $reason)'
  const env = () => ({ THEIRS: theirs.url })
  const query = (text: string, values?: unknown[]) => theirs.db.query(text, values)
  const tokens = async () => Object.fromEntries((await query('select id, tokens from profiles')).rows.map(({ id, tokens }) => [id, tokens]))
  const open = async () => (await query(`select count(*) as n from generation_jobs where status in ('pending', 'processing')`)).rows[0]!.n as number

  beforeAll(async () => {
    theirs = await createTestDatabase({ migrated: false })
    await query(`create table profiles (id uuid primary key, tokens int not null default 0)`)
    await query(`create function give_back(p_user uuid, p_amount int, p_reason text) returns boolean language plpgsql as $$ begin
      update profiles set tokens = tokens + p_amount where id = p_user;
      if not found then raise exception 'no such user'; end if;
      return true; end $$`)
    // As the app has them: without what Reprise added.
    await query(`create table generation_jobs (id uuid primary key, user_id uuid not null, product_name text, status text not null, total_cards int, completed_cards int default 0,
      tokens_cost int, error_message text, started_at timestamptz, completed_at timestamptz, created_at timestamptz not null default now(), updated_at timestamptz)`)
    await query(`create table generation_tasks (id uuid primary key default gen_random_uuid(), job_id uuid references generation_jobs, card_index int, card_type text, status text not null,
      image_url text, last_error text, completed_at timestamptz, updated_at timestamptz)`)
    await query('insert into profiles (id) select unnest($1::uuid[])', [users])
    jobs = await insertStuckJobs(theirs.db, users)
  })
  afterAll(() => theirs.close())

  it('nothing is written before it is said how tokens are given back', async () => {
    const refused = await cli(['--database', 'env:THEIRS', '--apply'], env())
    expect(refused).toMatchObject({ code: 1, out: '' })
    expect(refused.err).toContain('--refund')
    expect((await cli(['--database', 'env:THEIRS', '--apply', '--refund', 'select give_back(1)'], env())).err).toContain('$user')
    expect(await open()).toBe(72)
  })

  it('no password is ever shown', async () => {
    const secret = 'postgres://bob:hunter2@127.0.0.1:1/app'
    for (const args of [['--database', secret], ['--database', 'env:SECRET', '--apply', '--json'], ['--database', secret.replace('postgres:', 'mysql:')]]) {
      const { code, out, err } = await cli(args, { SECRET: secret })
      expect(code).toBe(1)
      expect(out + err).not.toContain('hunter2')
    }
  })

  it('the plan is SQL that can be run by hand: what has changed since is left alone', async () => {
    const planned = await cli(['--database', 'env:THEIRS', '--refund', REFUND], env())
    expect(planned.code).toBe(0)
    expect(planned.out).toContain(`-- ${new URL(theirs.url).host.split(':')[0]}${new URL(theirs.url).pathname}: 72 stuck jobs would be closed (33 without started_at)`)
    expect(planned.out).toContain(`${total(jobs)} tokens would be given back.\n-- Nothing was written.`)
    expect(await open()).toBe(72)
    const [changed] = jobs.filter(({ back, cards }) => back > 0 && cards > 1)
    await theirs.db.transaction(async (tx) => {
      await tx.query(`update generation_tasks set status = 'completed' where id = (select id from generation_tasks where job_id = $1 and status <> 'completed' limit 1)`, [changed!.id])
      await tx.query(planned.out)
      const { rows } = await tx.query<{ id: string }>(`select id from generation_jobs where status in ('pending', 'processing')`)
      expect(rows).toEqual([{ id: changed!.id }])
      throw new Error('only tried')
    }).catch((error: Error) => expect(error.message).toBe('only tried'))
    expect(await open()).toBe(72)
  })

  it("the seed's case: two repairs at once close all 72 and give back each job's own cost, once", async () => {
    const [lost] = jobs.filter(({ back }) => back > 0)
    const stranger = randomUUID()
    await query('update generation_jobs set user_id = $2 where id = $1', [lost!.id, stranger])
    const repair = () => cli(['--database', 'env:THEIRS', '--apply', '--json', '--refund', REFUND], env())
    const both = await Promise.all([repair(), repair()])
    for (const { code, out } of both) {
      expect(code).toBe(3)
      expect(JSON.parse(out).errors.some(({ jobId }: { jobId: string }) => jobId === lost!.id)).toBe(true)
    }
    const done = both.map(({ out }) => JSON.parse(out))
    expect({ closed: done[0].closed + done[1].closed, tokens: done[0].tokensRefunded + done[1].tokensRefunded }).toEqual({ closed: 71, tokens: total(jobs) - lost!.back })
    // A refund that reaches nobody leaves its job open, to be found again.
    expect(await open()).toBe(1)
    await query('insert into profiles (id) values ($1)', [stranger])
    expect(JSON.parse((await repair()).out)).toMatchObject({ closed: 1, tokensRefunded: lost!.back, errors: [] })

    expect(await tokens()).toEqual(Object.fromEntries([...users.map((id) => [id, total(jobs, id) - (id === lost!.userId ? lost!.back : 0)]), [stranger, lost!.back]]))
    expect((await query('select count(*) as n, sum(amount)::int as back from reprise_repairs')).rows).toEqual([{ n: 72, back: total(jobs) }])
    expect((await query(`select count(*) as n from generation_tasks where status not in ('completed', 'failed')`)).rows).toEqual([{ n: 0 }])
    for (const { id, finished } of jobs) {
      expect((await query('select status, completed_cards from generation_jobs where id = $1', [id])).rows).toEqual([{ status: finished ? 'completed' : 'failed', completed_cards: finished }])
    }

    expect(JSON.parse((await repair()).out)).toMatchObject({ closed: 0, tokensRefunded: 0, errors: [] })
    // Opened again by somebody: closed again, and not refunded again.
    const before = await tokens()
    await query(`update generation_jobs set status = 'processing' where id = $1`, [jobs[0]!.id])
    await query(`update generation_tasks set status = 'processing' where job_id = $1`, [jobs[0]!.id])
    expect(JSON.parse((await repair()).out)).toMatchObject({ closed: 1, tokensRefunded: 0 })
    expect(await tokens()).toEqual(before)
  })

  it("Reprise's own tables are not taken for somebody else's", async () => {
    const ours = await createTestDatabase()
    try {
      expect((await cli(['--database', 'env:OURS'], { OURS: ours.url })).err).toContain("Reprise's own")
    } finally {
      await ours.close()
    }
  })
})
