import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterEach, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { checkRefundStatement, openForeignDatabase, type ForeignDatabase, type RefundStatement } from './foreign-database.ts'

describe('stuck jobs in tables as an app may have them, while it runs', { timeout: 90_000 }, () => {
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

  it('40,000 jobs and 160,000 cards without an index are planned in seconds', async () => {
    await open()
    await ask(`insert into generation_jobs (id, user_id, status, total_cards, tokens_cost, created_at)
      select gen_random_uuid(), 'u', case when n <= 2000 then 'processing' else 'completed' end, 4, 8, now() - interval '1 hour' from generate_series(1, 40000) n`)
    await ask(`insert into generation_tasks (job_id, card_index, status) select id, n, case when status = 'completed' then 'completed' else 'pending' end from generation_jobs, generate_series(0, 3) n`)
    const from = performance.now()
    expect(await foreign.plan(REFUND)).toHaveLength(2000)
    const took = performance.now() - from
    expect(took).toBeLessThan(10_000)
    console.log(`2,000 stuck of 40,000 jobs planned in ${Math.round(took)} ms`)
  })
})
