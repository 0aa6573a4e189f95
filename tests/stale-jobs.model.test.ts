import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createDatabase, type Database } from '../server/src/database/pool.ts'
import { accept, createNode, newAccount, newUser, type Node } from '../server/src/engine/testing/nodes.ts'
import { fileOf, problem, snapshot, song } from '../server/src/engine/testing/records.ts'
import type { Evidence } from '../server/src/engine/state.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { sha256Hex } from '../server/src/kernel/ids.ts'
import { followImageJobs } from '../server/src/features/image-jobs/image-jobs.listener.ts'
import { createStaleJobs, type StaleJobs } from '../server/src/features/stale-jobs/stale-jobs.ts'
import { SERVICE_KEY, startHarness, type Harness } from './harness.ts'

/** More cases: `REPRISE_CASES=10` makes it ten times as many. */
const TIMES = Number(process.env.REPRISE_CASES ?? 1)
const CASES = Math.ceil(100 * TIMES)
const OPEN = ['pending', 'processing', 'retrying']

interface Card {
  id: string | null
  status: string
  generationId: string | null
}

interface Job {
  id: string
  userId: string
  /** left: ended by the app, which left cards open; ours and started: the engine has the cards, ours were paid here. */
  kind: 'outside' | 'left' | 'young' | 'ours' | 'started'
  status: string
  cost: number
  cards: Card[]
}

let reprise: Harness
let db: Database
let app: Database
let engine: Node
let account: string
let sweeps: { db: Database; jobs: StaleJobs }[]
const silent = createLogger({ level: 'silent' })
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

beforeAll(async () => {
  reprise = await startHarness({ workers: false, google: true, logger: silent })
  db = reprise.database.db
  const { url } = reprise.database
  await db.query(`alter database ${new URL(url).pathname.slice(1)} set synchronous_commit = off`)
  engine = createNode(url, 'engine', [followImageJobs({ base: async () => 'http://here', urlOf: (base, bucket, path) => `${base}/${bucket}/${path}`, onStored: () => undefined })])
  account = await newAccount(db)
  app = createDatabase({ url, max: 10, applicationName: 'app', logger: silent })
  sweeps = ['sweep', 'sweep of another node', 'repair'].map((applicationName) => {
    const own = createDatabase({ url, max: 2, applicationName, logger: silent })
    return { db: own, jobs: createStaleJobs({ db: own, logger: silent }) }
  })
})
afterAll(async () => {
  await Promise.all([app, ...sweeps.map((sweep) => sweep.db)].map((one) => one.close()))
  await engine[Symbol.asyncDispose]()
  await reprise.close()
})

/** As the contract says, told in other words than the code: tokens are dealt out one by one, the first card first. */
function shares(cost: number, cards: number): number[] {
  const dealt = Array.from({ length: cards }, () => 0)
  for (let token = 0; token < cost; token++) dealt[token % cards]!++
  return dealt
}

const tell = (generationId: string, evidence: Evidence) => engine.store.apply({ generationId, evidence, cause: 'a test' })

/** A card that the engine makes, brought as far as `stage` says: 0 waits, 1 the provider is at it, 2 it is being saved. */
async function generation(userId: string, perItem: number, stage: number): Promise<string> {
  const { generation_id: id } = await accept(db, { userId, account, results: 1, perItem, deadlineSec: 3_600 })
  await db.query(`update reprise.generations set origin = 'image-jobs' where id = $1`, [id])
  if (stage > 0) await taken(id!)
  if (stage === 2) await provider(id!, true)
  return id!
}

/** A provider has taken it. */
async function taken(id: string): Promise<void> {
  const { records: [record] } = await engine.store.read([id])
  const attemptId = randomUUID()
  await tell(id, { kind: 'slot', attemptId, tokenHash: sha256Hex(attemptId), adapter: 'suno', account: record!.generation.account })
  await tell(id, { kind: 'sending', attemptId })
  await tell(id, { kind: 'accepted', attemptId, taskId: `t-${attemptId}` })
}

/** What the provider says at last. */
async function provider(id: string, well: boolean): Promise<void> {
  const { records: [record], now } = await engine.store.read([id])
  const attempt = record!.attempts.at(-1)
  if (!attempt) return void (await tell(id, { kind: 'cancel', by: 'user' }))
  const said = well ? snapshot('succeeded', [song('one', `https://provider/${id}`)]) : snapshot('failed', [], problem('content_policy'))
  await tell(id, { kind: 'snapshot', attemptId: attempt.id, snapshot: said, askedAt: now })
}

async function stored(id: string): Promise<void> {
  const { records: [record] } = await engine.store.read([id])
  const result = record!.results.find(({ role }) => role === 'final')!
  if (result.sourceUrl) await tell(id, { kind: 'stored', resultId: result.id, file: fileOf(result.sourceUrl) })
}

async function begin(users: string[], choice: number): Promise<Job> {
  const bits = choice >>> 4
  const kind = (['outside', 'outside', 'outside', 'outside', 'left', 'young', 'ours', 'started'] as const)[choice & 7]!
  const userId = users[(choice >>> 3) & 1]!
  const count = bits % 7
  const cost = kind === 'ours' ? 2 * count : (bits >>> 3) % 41
  const minutes = kind === 'young' ? 9 : 12
  const neverStarted = ((bits >>> 8) & 1) === 1
  const status = (kind === 'left' ? ['failed', 'completed'] : ['processing', 'pending'])[(bits >>> 9) & 1]!
  const { rows: [row] } = await db.query<{ id: string }>(
    `insert into generation_jobs (user_id, status, total_cards, tokens_cost, created_at, started_at, completed_at)
     values ($1, $2, $3, $4, reprise.now() - $5 * interval '1 minute', reprise.now() - $6 * interval '1 minute', reprise.now() - $7 * interval '1 minute') returning id`,
    [userId, status, count, cost, neverStarted ? minutes : 600, neverStarted ? null : minutes, kind === 'left' ? 11 : null])
  const cards: Card[] = []
  for (let place = 0; place < count; place++) {
    const fate = (bits >>> (10 + place)) % 8
    // Only the last ones can be without a row: the app died while it wrote them.
    const gone = kind !== 'ours' && place > 0 && (cards.at(-1)!.id === null || fate === 7)
    if (gone) {
      cards.push({ id: null, status: 'missing', generationId: null })
      continue
    }
    const byEngine = kind === 'ours' || kind === 'started'
    const status = byEngine ? 'pending' : ['pending', 'processing', 'retrying', 'completed', 'failed', 'completed', 'processing', 'pending'][fate]!
    const generationId = byEngine ? await generation(userId, kind === 'ours' ? 2 : 0, fate % 3) : null
    const { rows: [card] } = await db.query<{ id: string }>(
      `insert into generation_tasks (job_id, card_index, card_type, status, generation_id) values ($1, $2, 'cover', $3, $4) returning id`, [row!.id, place * 2, status, generationId])
    cards.push({ id: card!.id, status, generationId })
  }
  // A job without cards has nothing that the engine could hold.
  return { id: row!.id, userId, kind: count === 0 && (kind === 'ours' || kind === 'started') ? 'outside' : kind, status, cost, cards }
}

/** What else happens while sweeps run, at any moment: the team's own app finishes cards or starts the job, and the provider answers the engine. */
async function meanwhile(job: Job, choice: number): Promise<void> {
  const open = job.cards.filter(({ id, status }) => id && OPEN.includes(status))
  const card = open[choice % Math.max(1, open.length)]
  await pause((choice >>> 10) % 48)
  if (card?.generationId) {
    await provider(card.generationId, (choice & 64) === 0)
    if (choice & 128) await stored(card.generationId)
  } else if (choice & 256) {
    const { status } = await reprise.call('POST', '/functions/v1/process-generation-tasks-banana', { token: SERVICE_KEY, body: { jobId: job.id } })
    expect(status).toBe(202)
    const { rows: [started] } = await db.query<{ id: string }>('select generation_id as id from generation_tasks where job_id = $1 and generation_id is not null order by card_index limit 1', [job.id])
    if (!started || !(choice & 128)) return
    if (choice & 64) await taken(started.id)
    await provider(started.id, true)
    if (choice & 64) await stored(started.id)
  } else if (card) {
    await app.transaction(async (tx) => {
      await tx.query(`update generation_tasks set status = 'completed', image_url = 'https://app/late.png' where id = $1 and status = any ($2)`, [card.id, OPEN])
      await pause((choice >>> 16) % 17)
    })
  }
}

const balances = async (users: string[]) => new Map((await db.query<{ user_id: string; available: number; held: number }>(
  'select user_id, available, held from reprise.wallets where user_id = any ($1)', [users])).rows.map((row) => [row.user_id, row.available + row.held]))

it('whatever sweeps, repairs and late answers do at once, each job is closed once and each user gets back exactly what each unfinished card held', async () => {
  const sum = { jobs: 0, closed: 0, left: 0, kept: 0, tokens: 0, live: 0, late: 0, begun: 0 }
  const stories = fc.tuple(
    fc.array(fc.nat(0xfffffff), { minLength: 1, maxLength: 7, size: 'max' }),
    fc.array(fc.tuple(fc.nat(6), fc.nat(0xfffffff)), { minLength: 4, maxLength: 24, size: 'max' }),
  )
  const property = fc.asyncProperty(fc.noBias(stories), async ([choices, answers]) => {
    const users = [await newUser(db, 200), await newUser(db, 200)]
    const jobs: Job[] = []
    for (const choice of choices) jobs.push(await begin(users, choice))
    const before = await balances(users)

    const reports = await Promise.all([
      ...sweeps.map(async ({ jobs: staleJobs }, place) => {
        if (place === 0) await staleJobs.run('plan')
        else await pause(choices[0]! % (20 * place))
        return staleJobs.run()
      }),
      ...answers.map(([place, choice]) => meanwhile(jobs[place % jobs.length]!, choice).then(() => null)),
    ])
    reports.push(await sweeps[0]!.jobs.run())
    expect(reports.flatMap((report) => report?.errors ?? [])).toEqual([])

    const ids = jobs.map(({ id }) => id)
    const rows = new Map((await db.query<{ id: string; status: string; completed: number; young: boolean; told: number }>(
      `select j.id, j.status, j.completed_cards as completed, coalesce(j.started_at, j.created_at) > reprise.now() - interval '10 minutes' as young, (select count(*) from notifications n where n.key = 'job-ended:' || j.id) as told from generation_jobs j where j.id = any ($1)`,
      [ids])).rows.map((row) => [row.id, row]))
    const now = new Map((await db.query<{ id: string; status: string; url: string | null; generation: 'none' | 'live' | 'ended'; items: string[] }>(
      `select t.id, t.status, t.image_url as url, case when t.generation_id is null then 'none' when g.finished_at is null then 'live' else 'ended' end as generation,
         array(select h.state from reprise.hold_items h where h.generation_id = t.generation_id) as items
       from generation_tasks t left join reprise.generations g on g.id = t.generation_id where t.job_id = any ($1)`,
      [ids])).rows.map((row) => [row.id, row]))
    const paidBack = new Map<string, number>()
    const captured = new Map<string, number>()
    const closers = reports.flatMap((report) => report?.jobs ?? []).map(({ jobId }) => jobId)
    // Each was closed by exactly one of them.
    expect(new Set(closers).size).toBe(closers.length)

    for (const job of jobs) {
      const row = rows.get(job.id)!
      const cards = job.cards.flatMap((card) => (card.id ? [now.get(card.id)!] : []))
      const ends = job.cards.map((card) => (card.id ? now.get(card.id)!.status : 'failed'))
      const done = ends.filter((status) => status === 'completed').length
      sum.jobs++
      if (job.cards.some((card) => card.id && !card.generationId && now.get(card.id)!.generation !== 'none')) sum.begun++
      // Nobody ends a card that the engine is making, but the app that has made it itself.
      for (const card of cards) if (card.generation === 'live') expect(card.status).not.toBe('failed')
      if (job.kind === 'ours') {
        // Settled card by card by the engine, and by nobody else.
        for (const { status, items } of cards) expect(items).toEqual([OPEN.includes(status) ? 'open' : status === 'completed' ? 'captured' : 'released'])
        captured.set(job.userId, (captured.get(job.userId) ?? 0) + 2 * done)
      }
      if (OPEN.includes(row.status)) {
        // Still open: only what the engine has and what is young; it is again when it is started for the first time.
        if (!row.young) expect(cards.some(({ generation }) => generation === 'live')).toBe(true)
        expect([closers.includes(job.id), row.told]).toEqual([false, 0])
        sum.live++
        continue
      }
      if (job.kind === 'young') expect(closers).not.toContain(job.id)
      expect(ends.filter((status) => OPEN.includes(status))).toEqual([])
      if (job.kind === 'left' && !closers.includes(job.id)) {
        // The app has finished what it had left before anybody looked.
        expect(row).toMatchObject({ status: job.status, told: 0 })
        continue
      }
      expect(row).toMatchObject({ status: job.kind === 'left' ? job.status : done > 0 ? 'completed' : 'failed', completed: done, told: 1 })
      sum.closed++
      if (job.kind === 'left') sum.left++
      sum.kept += done
      if (job.kind === 'ours') continue
      const dealt = shares(job.cost, Math.max(1, job.cards.length))
      const back = job.cards.length === 0 ? job.cost
        : job.cards.reduce((tokens, card, place) => tokens + (card.status !== 'completed' && card.status !== 'failed' && ends[place] !== 'completed' ? dealt[place]! : 0), 0)
      paidBack.set(job.userId, (paidBack.get(job.userId) ?? 0) + back)
      sum.tokens += back
      sum.late += cards.filter(({ url }) => url === 'https://app/late.png').length
    }

    const after = await balances(users)
    for (const user of users) expect(after.get(user)! - before.get(user)!).toBe((paidBack.get(user) ?? 0) - (captured.get(user) ?? 0))
    expect((await db.query('select * from reprise.ledger_violations where user_id = any ($1)', [users])).rows).toEqual([])
    // Run twice: nothing more.
    expect(await sweeps[1]!.jobs.run()).toMatchObject({ jobs: [], errors: [] })
    await db.query('delete from generation_jobs where id = any ($1)', [ids])
  })
  const seed = Number(process.env.REPRISE_SEED ?? Date.now() & 0x7fffffff)
  await fc.assert(property, { numRuns: CASES, seed, endOnFailure: true })
  console.log(`stale jobs: ${CASES} cases, ${sum.jobs} jobs, ${sum.closed} ended (${sum.left} of them had been, with cards left open), ${sum.live} live ones left alone, ${sum.begun} begun meanwhile, ${sum.kept} cards kept, ${sum.late} of them late, ${sum.tokens} tokens back, seed ${seed}`)
}, 300_000 * Math.max(1, TIMES))
