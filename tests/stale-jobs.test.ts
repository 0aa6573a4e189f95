import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { accept, newAccount } from '../server/src/engine/testing/nodes.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'
import { insertStuckJobs, total, type StuckJob } from './stuck-jobs.ts'

const REPRISE = join(import.meta.dirname, '../server/src/cli/reprise.ts')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reprise-stuck-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const cli = (args: string[], env: Record<string, string>) => new Promise<{ code: number; out: string; err: string }>((done) => {
  execFile(process.execPath, [REPRISE, 'repair-stuck', ...args], { env: { PATH: process.env.PATH, DATA_DIR: folder, ...env }, maxBuffer: 10_000_000 }, (error, out, err) =>
    done({ code: error ? Number(error.code) : 0, out, err }))
})

describe('stuck jobs of our own tables', { timeout: 90_000 }, () => {
  let reprise: Harness
  let users: TestUser[]
  beforeAll(async () => {
    reprise = await startHarness({ workers: false, logger: createLogger({ level: 'silent' }) })
    users = await Promise.all(['ann', 'bob', 'cy', 'dee', 'eve'].map((name) => reprise.user(`stuck ${name}`, 20)))
  })
  afterAll(() => reprise.close())

  const query = (text: string, values?: unknown[]) => reprise.database.db.query(text, values)
  const sweep = () => reprise.call('POST', '/functions/v1/cleanup-stale-jobs', { token: SERVICE_KEY })
  const balance = async (userId: string) => (await query('select available from reprise.wallets where user_id = $1', [userId])).rows[0]!.available as number

  it('only the service may sweep', async () => {
    expect((await reprise.call('POST', '/functions/v1/cleanup-stale-jobs')).status).toBe(401)
    expect((await reprise.call('POST', '/functions/v1/cleanup-stale-jobs', { token: users[0]!.token })).status).toBe(403)
    expect(await sweep()).toMatchObject({ status: 200, body: { success: true, checked: 0, closed: 0, completed: 0, failed: 0, tokensRefunded: 0, errors: [] } })
  })

  it("the seed's case: two sweeps and a repair at once close all 72, each user gets back what each unfinished card held, once; a live job of 12 minutes is left alone", async () => {
    const jobs = await insertStuckJobs(reprise.database.db, users.map(({ id }) => id))
    const { generation_id: generation } = await accept(reprise.database.db, { userId: users[0]!.id, account: await newAccount(reprise.database.db), results: 1, perItem: 3, deadlineSec: 1_200 })
    const live = (await query(`insert into generation_jobs (user_id, status, total_cards, tokens_cost, started_at) values ($1, 'processing', 1, 3, now() - interval '12 minutes') returning id`, [users[0]!.id])).rows[0]!.id
    await query(`insert into generation_tasks (job_id, card_index, card_type, status, generation_id) values ($1, 0, 'cover', 'processing', $2)`, [live, generation])
    await query(`insert into generation_jobs (user_id, total_cards, tokens_cost, created_at) values ($1, 1, 5, now() - interval '9 minutes')`, [users[0]!.id])
    const env = { DATABASE_URL: reprise.database.url }

    const planned = await cli([], env)
    expect(planned.code).toBe(0)
    expect(planned.out).toContain(`72 stuck jobs would be closed (33 without started_at)`)
    expect(planned.out).toContain(`${total(jobs)} tokens would be given back.\nNothing was written.`)
    expect((await query(`select count(*) as n from generation_jobs where status in ('pending', 'processing')`)).rows[0]!.n).toBe(74)

    const [repaired, ...swept] = await Promise.all([cli(['--apply', '--json', '--report', join(folder, 'report.json')], env), begun().then(sweep), begun().then(sweep)])
    const report = JSON.parse(repaired.out)
    expect(JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'))).toEqual(report)
    const reports = [report, ...swept.map(({ body }) => body), (await sweep()).body]
    const sum = (key: string) => reports.reduce((so, one) => so + one[key], 0)
    expect(reports.flatMap(({ errors }) => errors)).toEqual([])
    expect({ closed: sum('closed'), completed: sum('completed'), failed: sum('failed'), tokensRefunded: sum('tokensRefunded') }).toEqual({
      closed: 72, completed: jobs.filter(({ finished }) => finished > 0).length, failed: jobs.filter(({ finished }) => finished === 0).length, tokensRefunded: total(jobs),
    })

    for (const { id } of users) expect(await balance(id)).toBe(20 + total(jobs, id) - (id === users[0]!.id ? 3 : 0))
    await expectClosed(jobs)
    const { rows: told } = await query(`select key, link, message from notifications where key like 'job-ended:%'`)
    expect(told.map(({ key }) => key).sort()).toEqual(jobs.map(({ id }) => `job-ended:${id}`).sort())
    for (const { back, id } of jobs) expect(told.find(({ key }) => key === `job-ended:${id}`)!.message.includes(`Возвращено токенов: ${back}.`)).toBe(back > 0)
    expect((await query(`select status from generation_jobs where id = $1`, [live])).rows).toEqual([{ status: 'processing' }])
    expect((await query('select * from reprise.ledger_violations')).rows).toEqual([])

    expect((await sweep()).body).toMatchObject({ checked: 0, closed: 0, tokensRefunded: 0 })
    expect(JSON.parse((await cli(['--apply', '--json'], env)).out)).toMatchObject({ closed: 0, tokensRefunded: 0, jobs: [] })
    console.log(`72 stuck jobs closed by ${reports.map(({ closed }) => closed).join(' + ')}, ${total(jobs)} tokens back to ${users.length} users`)

    /** Waits until the repair is at it. */
    async function begun() {
      while ((await query(`select count(*) as n from generation_jobs where status = 'failed'`)).rows[0]!.n === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    }

    async function expectClosed(all: StuckJob[]) {
      const { rows } = await query(
        `select j.id, j.status, j.completed_cards as kept, j.error_message is not null as said, j.completed_at is not null as ended,
           (select count(*) from generation_tasks t where t.job_id = j.id and t.status = 'completed') as finished,
           (select count(*) from generation_tasks t where t.job_id = j.id and t.status not in ('completed', 'failed')) as open from generation_jobs j`)
      for (const { id, finished } of all) {
        expect(rows.find((row) => row.id === id)).toEqual({ id, status: finished > 0 ? 'completed' : 'failed', kept: finished, said: true, ended: true, finished, open: 0 })
      }
    }
  })

  it('a job without any card gives back all that it cost; one that is refunded and opened again gives nothing more', async () => {
    const [user] = users
    const before = await balance(user!.id)
    const id = (await query(`insert into generation_jobs (user_id, total_cards, tokens_cost, created_at) values ($1, 6, 13, now() - interval '11 minutes') returning id`, [user!.id])).rows[0]!.id
    expect((await sweep()).body).toMatchObject({ closed: 1, failed: 1, tokensRefunded: 13 })
    await query(`update generation_jobs set status = 'processing', started_at = now() - interval '1 hour' where id = $1`, [id])
    expect((await sweep()).body).toMatchObject({ closed: 1, failed: 1, tokensRefunded: 0 })
    expect(await balance(user!.id)).toBe(before + 13)
  })

  it('cards that were left open by whoever ended their job are ended and refunded once; the job stays as it was ended', async () => {
    const user = await reprise.user('of a crash handler')
    const before = await balance(user.id)
    const job = async (status: string, ended: string, cards: string[], generation: string | null = null) => {
      const id = (await query(`insert into generation_jobs (user_id, product_name, status, total_cards, tokens_cost, error_message, created_at, completed_at)
        values ($1, 'Lamp', $2, $3, $3 * 2 + 1, 'it crashed', now() - interval '1 hour', now() - $4::interval) returning id`, [user.id, status, cards.length, ended])).rows[0]!.id as string
      await query(`insert into generation_tasks (job_id, card_index, card_type, status, generation_id) select $1, i - 1, 'cover', s, case when i = 1 then $3::uuid end from unnest($2::text[]) with ordinality c (s, i)`, [id, cards, generation])
      return id
    }
    const { generation_id: live } = await accept(reprise.database.db, { userId: user.id, account: await newAccount(reprise.database.db), results: 1, perItem: 0, deadlineSec: 1_200 })
    const left = await job('failed', '50 minutes', ['pending', 'processing', 'completed', 'failed'])
    const part = await job('completed', '50 minutes', ['completed', 'retrying'])
    const held = await job('failed', '50 minutes', ['processing', 'pending'], live)
    const fresh = await job('failed', '9 minutes', ['pending'])
    // 9 tokens on 4 cards and 5 on 2: the first card has the odd one.
    expect((await sweep()).body).toMatchObject({ checked: 2, closed: 2, completed: 1, failed: 1, tokensRefunded: 3 + 2 + 2, errors: [] })
    expect((await sweep()).body).toMatchObject({ checked: 0, closed: 0, tokensRefunded: 0 })
    expect(await balance(user.id)).toBe(before + 7)
    const shown = async (id: string) => (await query(
      `select status, completed_cards as kept, error_message as said, array(select t.status from generation_tasks t where t.job_id = j.id order by card_index) as cards from generation_jobs j where id = $1`, [id])).rows[0]
    expect(await shown(left)).toEqual({ status: 'failed', kept: 1, said: 'it crashed', cards: ['failed', 'failed', 'completed', 'failed'] })
    expect(await shown(part)).toEqual({ status: 'completed', kept: 1, said: 'it crashed', cards: ['completed', 'failed'] })
    expect((await shown(held))!.cards).toEqual(['processing', 'pending'])
    expect((await shown(fresh))!.cards).toEqual(['pending'])
    const { rows: told } = await query(`select key, link from notifications where user_id = $1 and key like 'job-ended:%'`, [user.id])
    expect(told.map(({ key, link }) => `${key} ${link}`).sort()).toEqual([left, part].map((id) => `job-ended:${id} /images/${id}`).sort())
    await query('delete from generation_jobs where user_id = $1', [user.id])
  })

  it('a job whose cards are all finished is closed without a word of failure', async () => {
    const id = (await query(`insert into generation_jobs (user_id, product_name, total_cards, tokens_cost, created_at) values ($1, 'Lamp', 1, 2, now() - interval '11 minutes') returning id`, [users[1]!.id])).rows[0]!.id
    await query(`insert into generation_tasks (job_id, card_index, card_type, status) values ($1, 0, 'cover', 'completed')`, [id])
    expect((await sweep()).body).toMatchObject({ closed: 1, completed: 1, tokensRefunded: 0 })
    expect((await query('select status, error_message from generation_jobs where id = $1', [id])).rows).toEqual([{ status: 'completed', error_message: null }])
    expect((await query(`select kind, link from notifications where key = 'job-ended:' || $1`, [id])).rows).toEqual([{ kind: 'done', link: `/images/${id}` }])
  })

  it('a card that was cancelled and may still arrive is the engine’s until its deadline', async () => {
    const { generation_id: generation } = await accept(reprise.database.db, { userId: users[1]!.id, account: await newAccount(reprise.database.db), results: 1, perItem: 0, deadlineSec: 1_200 })
    const id = (await query(`insert into generation_jobs (user_id, status, total_cards, started_at) values ($1, 'processing', 1, now() - interval '1 hour') returning id`, [users[1]!.id])).rows[0]!.id
    await query(`insert into generation_tasks (job_id, card_index, card_type, status, generation_id) values ($1, 0, 'cover', 'processing', $2)`, [id, generation])
    await query(`update reprise.generations set state = 'cancelled', finished_at = now() where id = $1`, [generation])
    expect((await sweep()).body).toMatchObject({ checked: 0, closed: 0 })
    await query('delete from generation_jobs where id = $1', [id])
  })

  it('who is starting a job and who sweeps it never wait for each other in a circle', async () => {
    const id = (await query(`insert into generation_jobs (user_id, total_cards, tokens_cost, created_at) values ($1, 1, 2, now() - interval '11 minutes') returning id`, [users[1]!.id])).rows[0]!.id
    await query(`insert into generation_tasks (job_id, card_index, card_type) values ($1, 0, 'cover')`, [id])
    let swept: ReturnType<typeof sweep>
    // As starting and following do: the wallet, then the job.
    await reprise.database.db.transaction(async (tx) => {
      await tx.query('select from reprise.wallets where user_id = $1 for update', [users[1]!.id])
      swept ??= sweep()
      const waits = `select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
      while ((await query(waits)).rows[0]!.n === 0) await new Promise((resolve) => setTimeout(resolve, 10))
      expect((await tx.query(`select from generation_jobs where id = $1 and status = 'pending' for update nowait`, [id])).rowCount).toBe(1)
    })
    expect((await swept!).body).toMatchObject({ closed: 1, tokensRefunded: 2, errors: [] })
  })

  it('a job that somebody writes at this moment waits for the next sweep', async () => {
    const id = (await query(`insert into generation_jobs (user_id, total_cards, tokens_cost, created_at) values ($1, 1, 2, now() - interval '11 minutes') returning id`, [users[1]!.id])).rows[0]!.id
    await query(`insert into generation_tasks (job_id, card_index, card_type) values ($1, 0, 'cover')`, [id])
    await reprise.database.db.transaction(async (tx) => {
      await tx.query(`update generation_tasks set status = 'completed' where job_id = $1`, [id])
      expect((await sweep()).body).toMatchObject({ closed: 0 })
    })
    expect((await sweep()).body).toMatchObject({ closed: 1, completed: 1, tokensRefunded: 0 })
  })

  it("songs of the team's own are closed too: with a file kept, without one refunded; ours are the engine's", async () => {
    const [, user] = users
    const before = await balance(user!.id)
    const row = async (values: string) => (await query(`insert into ai_generations (user_id, service, prompt, status, metadata, result_url, created_at) values ('${user!.id}', ${values}) returning id`)).rows[0]!.id as string
    const old = `now() - interval '11 minutes'`
    const failed = await row(`'suno', 'a song', 'pending', '{"tokens_cost": 7}', null, ${old}`)
    const kept = await row(`'suno', 'a song', 'processing', '{"tokens_cost": 7}', 'https://cdn.suno.ai/a.mp3', ${old}`)
    const young = await row(`'suno', 'a song', 'processing', '{}', null, now()`)
    const { generation_id: ours } = await accept(reprise.database.db, { userId: user!.id, account: await newAccount(reprise.database.db), deadlineSec: 1_200, perItem: 0 })
    await query(`insert into ai_generations (id, user_id, status, created_at) values ($1, $2, 'processing', ${old})`, [ours, user!.id])
    expect((await sweep()).body).toMatchObject({ closed: 2, completed: 1, failed: 1, tokensRefunded: 7, errors: [] })
    const { rows } = await query('select id, status from ai_generations where id = any ($1)', [[failed, kept, young, ours]])
    expect(Object.fromEntries(rows.map(({ id, status }) => [id, status]))).toEqual({ [failed]: 'failed', [kept]: 'completed', [young]: 'processing', [ours!]: 'processing' })
    expect(await balance(user!.id)).toBe(before + 7)
    const { rows: told } = await query(`select key, kind from notifications where key = any ($1)`, [[failed, kept, young, ours].map((id) => `job-ended:${id}`)])
    expect(Object.fromEntries(told.map(({ key, kind }) => [key, kind]))).toEqual({ [`job-ended:${failed}`]: 'failed', [`job-ended:${kept}`]: 'done' })
  })

  it('an attempt to archive that has lost its place in the queue gets it back, or ends', async () => {
    const track = (await query(`insert into tracks (user_id, title, status, audio_url) values ($1, 'a', 'completed', 'https://cdn.suno.ai/b.mp3') returning id`, [users[0]!.id])).rows[0]!.id
    const job = async (status: string) => (await query(`insert into track_archiving_jobs (track_id, user_id, status, created_at) values ($1, $2, $3, now() - interval '1 hour') returning id`, [track, users[0]!.id, status])).rows[0]!.id
    const begun = await job('processing')
    expect((await sweep()).body).toMatchObject({ closed: 0 })
    await query('delete from reprise.archivals where track_id = $1', [track])
    expect((await sweep()).body).toMatchObject({ closed: 1, failed: 1 })
    expect((await query('select status from track_archiving_jobs where id = $1', [begun])).rows).toEqual([{ status: 'failed' }])
    await job('pending')
    await query('delete from reprise.archivals where track_id = $1', [track])
    expect((await sweep()).body).toMatchObject({ closed: 0 })
    expect((await query('select 1 from reprise.archivals where track_id = $1', [track])).rowCount).toBe(1)
  })

  it('jobs that the engine holds, however many and old, do not stand before those that nobody holds', async () => {
    const user = users[3]!.id
    const { generation_id: one } = await accept(reprise.database.db, { userId: user, account: await newAccount(reprise.database.db), results: 1, perItem: 0, deadlineSec: 1_200 })
    const held = `with made as (
        insert into reprise.generations select (jsonb_populate_record(g, jsonb_build_object('id', gen_random_uuid()))).* from reprise.generations g, generate_series(1, 3000) where g.id = $1 returning id
      ), jobs as (insert into generation_jobs (id, user_id, status, total_cards, started_at) select id, $2, 'processing', 1, now() - interval '2 hours' from made returning id)
      insert into generation_tasks (job_id, card_index, card_type, status, generation_id) select id, 0, 'cover', 'processing', id from jobs`
    await query(held, [one, user])
    await query(`insert into generation_jobs (user_id, total_cards, tokens_cost, created_at) select $1, 1, 1, now() - interval '1 hour' + n * interval '1.1 seconds' from generate_series(1, 30) n`, [user])
    const before = await balance(user)
    // Whoever is held is not even looked at.
    expect((await sweep()).body).toMatchObject({ checked: 30, closed: 30, tokensRefunded: 30, errors: [] })
    expect(await balance(user)).toBe(before + 30)
    expect((await query(`select count(*) as n from generation_jobs where user_id = $1 and status = 'processing'`, [user])).rows).toEqual([{ n: 3000 }])
    await query(`delete from generation_jobs where user_id = $1 and status = 'processing'`, [user])
  })

  it('the schedule runs it: nobody has to ask', async () => {
    const id = (await query(`insert into generation_jobs (user_id, total_cards, tokens_cost, created_at) values ($1, 1, 2, now() - interval '11 minutes') returning id`, [users[4]!.id])).rows[0]!.id
    await reprise.wired.maintenance.start()
    try {
      expect((await query(`select cron from reprise_boss.schedule where name = 'stale-jobs'`)).rows).toEqual([{ cron: '*/5 * * * *' }])
      // A long sweep is not begun again beside itself.
      expect((await query(`select expire_seconds >= 900 as long from reprise_boss.queue where name = 'stale-jobs'`)).rows).toEqual([{ long: true }])
      await query(`insert into reprise_boss.job (name) values ('stale-jobs')`) // its time has come
      const over = Date.now() + 20_000
      while ((await query('select status from generation_jobs where id = $1', [id])).rows[0]!.status === 'pending' && Date.now() < over) await new Promise((resolve) => setTimeout(resolve, 50))
      expect((await query('select status from generation_jobs where id = $1', [id])).rows).toEqual([{ status: 'failed' }])
    } finally {
      await reprise.wired.maintenance.stop()
    }
    expect((await query(`select last_success is not null as well from reprise.schedule_runs where name = 'stale-jobs'`)).rows).toEqual([{ well: true }])
  })

  it('one job that cannot be closed is told of and does not hold back the others', async () => {
    const insert = `insert into generation_jobs (user_id, product_name, total_cards, tokens_cost, created_at) values ($1, $2, 1, 1, now() - interval '11 minutes') returning id`
    const cursed = (await query(insert, [users[2]!.id, 'cursed'])).rows[0]!.id
    await query(insert, [users[2]!.id, 'sound'])
    await query(`create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$`)
    await query(`create trigger refuse before update on generation_jobs for each row when (old.product_name = 'cursed') execute function refuse()`)
    expect((await sweep()).body).toMatchObject({ success: true, closed: 1, errors: [{ table: 'generation_jobs', jobId: cursed, error: 'not this one' }] })
    await query('drop trigger refuse on generation_jobs')
    expect((await sweep()).body).toMatchObject({ closed: 1, errors: [] })
  })
})
