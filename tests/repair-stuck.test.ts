import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../server/src/database/testing/test-database.ts'
import { checkRefundStatement, openForeignDatabase, type ForeignDatabase, type RefundStatement } from '../server/src/features/stale-jobs/foreign-database.ts'
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

describe('what their tables and their app may do', { timeout: 90_000 }, () => {
  const REFUND = checkRefundStatement('select give_back($user, $amount, $reason)')
  let theirs: TestDatabase
  let ask: (text: string, values?: unknown[]) => Promise<any[]>
  let foreign: ForeignDatabase
  const opened: (() => Promise<unknown>)[] = []

  async function open({ job = 'uuid', cost = 'int', time = 'timestamptz', zone = 'UTC' } = {}) {
    theirs = await createTestDatabase({ migrated: false })
    opened.push(() => theirs.close())
    await theirs.db.query(`alter database ${new URL(theirs.url).pathname.slice(1)} set timezone = '${zone}'`)
    const app = new pg.Client({ connectionString: theirs.url })
    await app.connect()
    opened.push(() => app.end())
    ask = async (text, values) => (await app.query(text, values)).rows
    await ask(`create table generation_jobs (id uuid primary key, user_id text, status text not null, total_cards int, completed_cards int default 0, tokens_cost ${cost}, error_message text,
        started_at ${time}, completed_at ${time}, created_at ${time} not null default now(), updated_at ${time});
      create table generation_tasks (id uuid primary key default gen_random_uuid(), job_id ${job}, card_index int, status text not null, last_error text, completed_at ${time});
      create table profiles (id text primary key, tokens int not null default 0);
      create function give_back(p_user text, p_amount int, p_reason text) returns boolean language plpgsql as $$ begin
        update profiles set tokens = tokens + p_amount where id = p_user; return found; end $$;
      insert into profiles values ('u')`)
    foreign = await openForeignDatabase({ url: theirs.url, schema: 'public' })
    opened.push(() => foreign.close())
  }
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close()
  })

  /** A job of `u` that costs 6 tokens. */
  async function newJob({ status = 'processing', cards = ['pending', 'pending'], age = '20 minutes', user = 'u' } = {}): Promise<string> {
    const id = randomUUID()
    await ask(`insert into generation_jobs (id, user_id, status, total_cards, tokens_cost, created_at) values ($1, $2, $3, $4, 6, now() - $5::interval)`, [id, user, status, cards.length, age])
    await ask(`insert into generation_tasks (job_id, card_index, status) select '${id}', i, s from unnest($1::text[]) with ordinality c (s, i)`, [cards])
    return id
  }
  const job = async (id: string) => (await ask(`select j.status, j.error_message as said, array(select t.status from generation_tasks t where t.job_id::text = j.id::text order by card_index) as cards from generation_jobs j where id = $1`, [id]))[0]
  const tokens = async () => (await ask(`select tokens from profiles where id = 'u'`))[0].tokens as number
  async function repaired(refund: RefundStatement | null = REFUND) {
    const plan = await foreign.plan(refund)
    await foreign.prepare()
    const outcomes: string[] = []
    for (const one of plan) outcomes.push(await foreign.repair(one).catch((error: Error) => error.message))
    return outcomes
  }

  it('a job that was ended with cards left open gets them ended and refunded, once, and stays as it was ended', async () => {
    await open()
    const failed = await newJob({ status: 'failed', cards: ['pending', 'completed', 'processing'] })
    const closed = await newJob({ status: 'completed', cards: ['completed', 'failed'] })
    const fresh = await newJob({ status: 'failed' })
    await ask(`update generation_jobs set completed_at = now() where id = $1`, [fresh])
    expect(await repaired()).toEqual(['repaired'])
    expect(await repaired()).toEqual([])
    expect(await job(failed)).toEqual({ status: 'failed', said: '2 of 3 cards failed: nobody worked on them any more', cards: ['failed', 'completed', 'failed'] })
    expect([(await job(closed)).cards, (await job(fresh)).cards]).toEqual([['completed', 'failed'], ['pending', 'pending']])
    expect(await tokens()).toBe(4)
  })

  it('a job that their app takes up between plan and repair lives on and is not refunded', async () => {
    await open()
    const id = await newJob({ status: 'pending' })
    const [plan] = await foreign.plan(REFUND)
    await foreign.prepare()
    await ask(`update generation_jobs set status = 'processing', started_at = now() where id = $1`, [id])
    expect(await foreign.repair(plan!)).toBe('alive')
    expect([(await job(id)).status, await tokens()]).toEqual(['processing', 0])
  })

  it('a card that is taken up between plan and repair keeps its job', async () => {
    await open()
    const id = await newJob()
    const [plan] = await foreign.plan(REFUND)
    await foreign.prepare()
    await ask(`update generation_tasks set status = 'processing' where job_id = $1 and card_index = 1`, [id])
    expect(await foreign.repair(plan!)).toBe('changed')
    expect([(await job(id)).status, await tokens()]).toEqual(['processing', 0])
  })

  it('a plan without a refund statement closes no job whose tokens belong to somebody; those that cost nothing it does', async () => {
    await open()
    const paid = await newJob()
    const whole = await newJob({ cards: ['completed', 'completed'] })
    expect((await repaired(null)).sort()).toEqual(['6 tokens belong to u: plan again with --refund', 'repaired'])
    expect(await job(paid)).toMatchObject({ status: 'processing' })
    expect(await job(whole)).toEqual({ status: 'completed', said: null, cards: ['completed', 'completed'] })
    expect(await repaired()).toEqual(['repaired'])
    expect(await tokens()).toBe(6)
  })

  it.each([
    ['answers false', 'select give_back($user, $amount, $reason)'], ['answers nothing', 'select null::int, $user, $amount'], ['finds no row', 'select 1 from profiles where id = $user and $amount > 0'],
    ['changes no row', 'update profiles set tokens = tokens + $amount where id = $user'], ['changes no row to tell of', 'update profiles set tokens = tokens + $amount where id = $user returning tokens'],
  ])('a refund that %s is none: its job stays open', async (_, text) => {
    await open()
    const id = await newJob({ user: 'nobody' })
    expect(await repaired(checkRefundStatement(text))).toEqual(['the refund reached nobody'])
    expect((await job(id)).status).toBe('processing')
    await ask(`insert into profiles values ('nobody')`)
    if (text.includes('null')) return
    expect(await repaired(checkRefundStatement(text))).toEqual(['repaired'])
  })

  it('a refund function that answers nothing by its nature counts as it says', async () => {
    await open()
    await ask(`create function void_back(p_user text, p_amount int) returns void language plpgsql as $$ begin update profiles set tokens = tokens + p_amount where id = p_user; end $$;
      create function sql_back(p_user text, p_amount int) returns void language sql as $$ update profiles set tokens = tokens + p_amount where id = p_user $$`)
    await newJob()
    expect(await repaired(checkRefundStatement('select void_back($user, $amount)'))).toEqual(['repaired'])
    await newJob()
    expect(await repaired(checkRefundStatement('select sql_back($user, $amount)'))).toEqual(['the refund reached nobody'])
    expect(await repaired(checkRefundStatement('select sql_back($user, $amount) is null'))).toEqual(['repaired'])
    expect(await tokens()).toBe(12)
  })

  it('a job that their app holds locked is told as busy after three seconds, and the next one is done', async () => {
    await open()
    const ids = [await newJob({ age: '30 minutes' }), await newJob()]
    await ask('begin')
    await ask(`update generation_jobs set updated_at = now() where id = $1`, [ids[0]])
    expect(await repaired()).toEqual(['busy', 'repaired'])
    await ask('rollback')
    expect(await repaired()).toEqual(['repaired'])
    expect(await tokens()).toBe(12)
  })

  it('columns without a time zone mean the zone of their database: a job begun a moment ago is not stuck', async () => {
    await open({ time: 'timestamp', zone: 'America/New_York' })
    await newJob({ age: '1 minute' })
    const old = await newJob({ age: '11 minutes' })
    expect((await foreign.plan(REFUND)).map(({ jobId }) => jobId)).toEqual([old])
    expect(await repaired()).toEqual(['repaired'])
    expect(await ask(`select completed_at between now() - interval '1 minute' and now() + interval '1 minute' as well from generation_jobs where id = $1`, [old])).toEqual([{ well: true }])
  })

  it('costs with decimals are whole tokens, or refused; ids of cards may be text', async () => {
    await open({ cost: 'numeric(10,2)', job: 'text' })
    const id = await newJob({ cards: ['completed', 'pending'] })
    expect(await repaired()).toEqual(['repaired'])
    expect([(await job(id)).cards, await tokens()]).toEqual([['completed', 'failed'], 3])
    const odd = await newJob()
    await ask('update generation_jobs set tokens_cost = 2.5 where id = $1', [odd])
    await expect(foreign.plan(REFUND)).rejects.toThrow(`The tokens_cost of job ${odd}`)
  })

  it('why a card failed before stays written', async () => {
    await open()
    const id = await newJob({ cards: ['retrying', 'pending'] })
    await ask(`update generation_tasks set last_error = '503' where job_id = $1 and card_index = 1`, [id])
    expect(await repaired()).toEqual(['repaired'])
    expect((await ask('select last_error as said from generation_tasks where job_id = $1 order by card_index', [id])).map(({ said }) => said)).toEqual(['503', 'Nobody worked on it any more'])
  })

  it('a pooler may give every message to another session: nothing is kept in one', async () => {
    const query = pg.Client.prototype.query as (...args: unknown[]) => Promise<unknown>
    await open()
    const id = await newJob()
    pg.Client.prototype.query = async function (this: pg.Client, ...args: unknown[]) {
      try {
        return await query.apply(this, args)
      } finally {
        await query.call(this, 'discard all') // refused inside a transaction
      }
    } as never
    try {
      expect(await repaired()).toEqual(['repaired'])
    } finally {
      pg.Client.prototype.query = query as never
    }
    expect([(await job(id)).status, await tokens()]).toEqual(['failed', 6])
  })

  it('100,000 jobs and 400,000 cards without an index are planned in seconds', async () => {
    await open()
    await ask(`insert into generation_jobs (id, user_id, status, total_cards, tokens_cost, created_at)
      select gen_random_uuid(), 'u', case when n <= 3000 then 'processing' else 'completed' end, 4, 8, now() - interval '1 hour' from generate_series(1, 100000) n`)
    await ask(`insert into generation_tasks (job_id, card_index, status) select id, n, case when status = 'completed' then 'completed' else 'pending' end from generation_jobs, generate_series(0, 3) n`)
    const from = performance.now()
    expect(await foreign.plan(REFUND)).toHaveLength(3000)
    const took = performance.now() - from
    expect(took).toBeLessThan(30_000)
    console.log(`3,000 stuck of 100,000 jobs planned in ${Math.round(took)} ms`)
  })
})
