import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createDatabase, type Database } from '../server/src/database/pool.ts'
import { createTestDatabase, type TestDatabase } from '../server/src/database/testing/test-database.ts'
import { accept, createNode, newAccount, newUser, type Node } from '../server/src/engine/testing/nodes.ts'
import { fileOf, problem, snapshot, song } from '../server/src/engine/testing/records.ts'
import type { Evidence } from '../server/src/engine/state.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { sha256Hex } from '../server/src/kernel/ids.ts'
import { followImageJobs } from '../server/src/features/image-jobs/image-jobs.listener.ts'
import { createStaleJobs, type StaleJobs } from '../server/src/features/stale-jobs/stale-jobs.ts'

/** More cases: `REPRISE_CASES=10` makes it ten times as many. */
const TIMES = Number(process.env.REPRISE_CASES ?? 1)
const CASES = Math.ceil(40 * TIMES)
const OPEN = ['pending', 'processing', 'retrying']

interface Card {
  id: string | null
  status: string
  generationId: string | null
}

interface Job {
  id: string
  userId: string
  kind: 'outside' | 'young' | 'ours' | 'started'
  cost: number
  cards: Card[]
}

let test: TestDatabase
let engine: Node
let account: string
let sweeps: { db: Database; jobs: StaleJobs }[]
const silent = createLogger({ level: 'silent' })

beforeAll(async () => {
  test = await createTestDatabase()
  await test.db.query(`alter database ${new URL(test.url).pathname.slice(1)} set synchronous_commit = off`)
  engine = createNode(test.url, 'engine', [followImageJobs({ base: async () => 'http://here', urlOf: (base, bucket, path) => `${base}/${bucket}/${path}`, onStored: () => undefined })])
  account = await newAccount(test.db)
  sweeps = ['sweep', 'sweep of another node', 'repair'].map((applicationName) => {
    const db = createDatabase({ url: test.url, max: 2, applicationName, logger: silent })
    return { db, jobs: createStaleJobs({ db, linkBase: '', logger: silent }) }
  })
})
afterAll(async () => {
  await Promise.all(sweeps.map(({ db }) => db.close()))
  await engine[Symbol.asyncDispose]()
  await test.close()
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
  const { generation_id: id } = await accept(test.db, { userId, account, results: 1, perItem, deadlineSec: 3_600 })
  await test.db.query(`update reprise.generations set origin = 'image-jobs' where id = $1`, [id])
  if (stage === 0) return id!
  const attemptId = randomUUID()
  await tell(id!, { kind: 'slot', attemptId, tokenHash: sha256Hex(attemptId), adapter: 'suno', account })
  await tell(id!, { kind: 'sending', attemptId })
  await tell(id!, { kind: 'accepted', attemptId, taskId: `t-${attemptId}` })
  if (stage === 2) await provider(id!, true)
  return id!
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
  const kind = (['outside', 'outside', 'outside', 'outside', 'young', 'ours', 'ours', 'started'] as const)[choice & 7]!
  const userId = users[(choice >>> 3) & 1]!
  const count = bits % 7
  const cost = kind === 'ours' ? 2 * count : (bits >>> 3) % 41
  const minutes = kind === 'young' ? 9 : 12
  const neverStarted = ((bits >>> 8) & 1) === 1
  const { rows: [row] } = await test.db.query<{ id: string }>(
    `insert into generation_jobs (user_id, status, total_cards, tokens_cost, created_at, started_at) values ($1, $2, $3, $4, reprise.now() - $5 * interval '1 minute', $6) returning id`,
    [userId, (bits >>> 9) & 1 ? 'pending' : 'processing', count, cost, neverStarted ? minutes : 600, null])
  if (!neverStarted) await test.db.query(`update generation_jobs set started_at = reprise.now() - $2 * interval '1 minute' where id = $1`, [row!.id, minutes])
  const cards: Card[] = []
  for (let place = 0; place < count; place++) {
    const fate = (bits >>> (10 + place)) % 8
    // Only the last ones can be without a row: the app died while it wrote them.
    const gone = kind === 'outside' && place > 0 && (cards.at(-1)!.id === null || fate === 7)
    if (gone) {
      cards.push({ id: null, status: 'missing', generationId: null })
      continue
    }
    const byEngine = kind === 'ours' || kind === 'started'
    const status = byEngine ? 'pending' : ['pending', 'processing', 'retrying', 'completed', 'failed', 'completed', 'processing', 'pending'][fate]!
    const generationId = byEngine ? await generation(userId, kind === 'ours' ? 2 : 0, fate % 3) : null
    const { rows: [card] } = await test.db.query<{ id: string }>(
      `insert into generation_tasks (job_id, card_index, card_type, status, generation_id) values ($1, $2, 'cover', $3, $4) returning id`, [row!.id, place * 2, status, generationId])
    cards.push({ id: card!.id, status, generationId })
  }
  // A job without cards has nothing that the engine could hold.
  return { id: row!.id, userId, kind: count === 0 && kind !== 'young' ? 'outside' : kind, cost, cards }
}

/** What else happens while sweeps run: the team's own app finishes cards, and the provider answers the engine. */
async function meanwhile(job: Job, choice: number): Promise<void> {
  const card = job.cards[choice % Math.max(1, job.cards.length)]
  if (!card?.id) return
  if (!card.generationId) {
    await test.db.query(`update generation_tasks set status = 'completed', image_url = 'https://app/late.png' where id = $1 and status = any ($2)`, [card.id, OPEN])
    return
  }
  await provider(card.generationId, (choice & 64) === 0)
  if (choice & 128) await stored(card.generationId)
}

const balances = async (users: string[]) => new Map((await test.db.query<{ user_id: string; available: number; held: number }>(
  'select user_id, available, held from reprise.wallets where user_id = any ($1)', [users])).rows.map((row) => [row.user_id, row.available + row.held]))

it('whatever sweeps, repairs and late answers do at once, each job is closed once and each user gets back exactly what each unfinished card held', async () => {
  const sum = { jobs: 0, closed: 0, kept: 0, tokens: 0, live: 0, late: 0 }
  const stories = fc.tuple(
    fc.array(fc.nat(0xfffffff), { minLength: 1, maxLength: 7, size: 'max' }),
    fc.array(fc.tuple(fc.nat(6), fc.nat(0xffff)), { maxLength: 10, size: 'max' }),
  )
  const property = fc.asyncProperty(fc.noBias(stories), async ([choices, answers]) => {
    const users = [await newUser(test.db, 200), await newUser(test.db, 200)]
    const jobs: Job[] = []
    for (const choice of choices) jobs.push(await begin(users, choice))
    const before = await balances(users)

    const reports = await Promise.all([
      ...sweeps.map(async ({ jobs: staleJobs }) => {
        await staleJobs.run('plan')
        return staleJobs.run()
      }),
      ...answers.map(([place, choice]) => meanwhile(jobs[place % jobs.length]!, choice).then(() => null)),
    ])
    reports.push(await sweeps[0]!.jobs.run())

    const ids = jobs.map(({ id }) => id)
    const rows = new Map((await test.db.query<{ id: string; status: string; completed: number }>(
      'select id, status, completed_cards as completed from generation_jobs where id = any ($1)', [ids])).rows.map((row) => [row.id, row]))
    const now = new Map((await test.db.query<{ id: string; status: string; url: string | null; items: string[] }>(
      `select t.id, t.status, t.image_url as url, array(select h.state from reprise.hold_items h where h.generation_id = t.generation_id) as items from generation_tasks t where t.job_id = any ($1)`,
      [ids])).rows.map((row) => [row.id, row]))
    const paidBack = new Map<string, number>()
    const captured = new Map<string, number>()

    for (const job of jobs) {
      const row = rows.get(job.id)!
      const ends = job.cards.map((card) => (card.id ? now.get(card.id)!.status : 'failed'))
      const done = ends.filter((status) => status === 'completed').length
      sum.jobs++
      if (job.kind === 'ours') {
        // Settled card by card by the engine, and by nobody else.
        for (const card of job.cards) {
          const { status, items } = now.get(card.id!)!
          expect(items).toEqual([OPEN.includes(status) ? 'open' : status === 'completed' ? 'captured' : 'released'])
        }
        captured.set(job.userId, (captured.get(job.userId) ?? 0) + 2 * done)
      }
      if (job.kind === 'young') {
        expect(['pending', 'processing']).toContain(row.status)
        continue
      }
      if (ends.some((status) => OPEN.includes(status))) {
        // Still open: only what the engine has.
        expect(['ours', 'started']).toContain(job.kind)
        expect(['pending', 'processing']).toContain(row.status)
        sum.live++
        continue
      }
      expect(row).toMatchObject({ status: done > 0 ? 'completed' : 'failed', completed: done })
      sum.closed++
      sum.kept += done
      if (job.kind === 'ours') continue
      const dealt = shares(job.cost, Math.max(1, job.cards.length))
      const back = job.cards.length === 0 ? job.cost
        : job.cards.reduce((tokens, card, place) => tokens + (card.status !== 'completed' && card.status !== 'failed' && ends[place] !== 'completed' ? dealt[place]! : 0), 0)
      paidBack.set(job.userId, (paidBack.get(job.userId) ?? 0) + back)
      sum.tokens += back
      sum.late += job.cards.filter((card) => card.id && now.get(card.id)!.url === 'https://app/late.png').length
    }

    const after = await balances(users)
    for (const user of users) expect(after.get(user)! - before.get(user)!).toBe((paidBack.get(user) ?? 0) - (captured.get(user) ?? 0))
    // Each was closed by exactly one of them, and told once.
    const closers = reports.flatMap((report) => report?.jobs ?? []).map(({ jobId }) => jobId)
    expect(new Set(closers).size).toBe(closers.length)
    const { rows: told } = await test.db.query<{ n: number }>(`select count(*) as n from notifications where user_id = any ($1) and key like 'job-ended:%' group by key having count(*) > 1`, [users])
    expect(told).toEqual([])
    expect(reports.flatMap((report) => report?.errors ?? [])).toEqual([])
    expect((await test.db.query('select * from reprise.ledger_violations where user_id = any ($1)', [users])).rows).toEqual([])
    // Run twice: nothing more.
    expect(await sweeps[1]!.jobs.run()).toMatchObject({ closed: 0, tokensRefunded: 0, errors: [] })
    await test.db.query('delete from generation_jobs where id = any ($1)', [ids])
  })
  const seed = Number(process.env.REPRISE_SEED ?? Date.now() & 0x7fffffff)
  await fc.assert(property, { numRuns: CASES, seed, endOnFailure: true })
  console.log(`stale jobs: ${CASES} cases, ${sum.jobs} jobs, ${sum.closed} ended, ${sum.live} live ones left alone, ${sum.kept} cards kept, ${sum.late} of them late, ${sum.tokens} tokens back, seed ${seed}`)
}, 300_000 * Math.max(1, TIMES))
