import { createStaleJobs } from '../server/src/features/stale-jobs/stale-jobs.ts'
import type { Queryable } from '../server/src/database/pool.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { ask, INSTANT, startHouse, type House } from './kit/house.ts'
import { options, percentile, report } from './kit/report.ts'

/** Goal 4: finding what is overdue among ten million rows, and ending it in time. See bench/README.md. */
const settings = options({ rows: 10_000_000, open: 5_000, samples: 200, silent: 500, 'deadline-sec': 60 })
const { rows, open, samples, silent, 'deadline-sec': deadlineSec } = settings
const NOBODY = '00000000-0000-4000-8000-000000000001'
const STUCK = 72
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const house = await startHouse({ roles: ['all'], provider: INSTANT, env: { GENERATION_DEADLINE_SEC: String(deadlineSec) } })
try {
  await fill(house)
  console.log('the tables are full')
  const late = await endInTime(house)
  console.log(`the provider's silence ended: ${JSON.stringify(late)}`)
  const { found, claims, idle, sweeps, closing, scan } = await sweep(house)
  report(4, `nothing stays open: ${rows} generations and ${rows} jobs, ${open} of each open`, {
    figures: [
      { what: `open past deadline + 60 s, of ${silent} whose provider never answers`, value: late.most, unit: 'generations', bar: 0, aim: 0 },
      { what: 'from the deadline to the end, p99', value: late.p99, unit: 's' },
      { what: '32 overdue generations found and leased, p99', value: percentile(found, 0.99), unit: 'ms', bar: 10, aim: 2 },
      { what: 'the same, p50', value: percentile(found, 0.5), unit: 'ms' },
      { what: 'the same with its commit on disk, p99', value: percentile(claims, 0.99), unit: 'ms' },
      { what: 'the same when nothing is due, p99', value: percentile(idle, 0.99), unit: 'ms', bar: 10, aim: 2 },
      { what: 'sweep of every job table when nothing is stuck, p99', value: percentile(sweeps, 0.99), unit: 'ms', bar: 10, aim: 2 },
      { what: `sweep that closes ${STUCK} stuck jobs, a job`, value: closing / STUCK, unit: 'ms' },
    ],
    peers: [{ what: 'one query by status and deadline without an index for it (sequential scan), p50', value: percentile(scan, 0.5), unit: 'ms' }],
    settings,
  })
} finally {
  await house.stop()
}

/** Ids rise as ours do (UUIDv7). Almost all have ended; the others are young and looked at in an hour. */
async function fill({ db }: House): Promise<void> {
  const SLICE = 1_000_000
  for (let from = 0; from < rows; from += SLICE) {
    const to = Math.min(rows, from + SLICE)
    await db.transaction(async (tx) => {
      await tx.query(`set local statement_timeout = 0`)
      await tx.query(`set local session_replication_role = replica`) // nothing follows what has long been
      const id = (kind: string) => `('${kind}0000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`
      await tx.query(
        `insert into reprise.generations (id, user_id, provider, account, kind, request, cost, result_count, state, created_at, deadline_at, watch_until, changed_at, finished_at, next_at)
         select ${id('0190')}, '${NOBODY}', 'suno', 'suno:bench', 'song', '{"prompt":"a quiet piano waltz about the sea"}', 10, 2,
           case when over then 'complete' else 'generating' end, at, case when over then at + interval '10 minutes' else now() + interval '1 day' end, at + interval '14 days', at,
           case when over then at + interval '3 minutes' end, case when not over then now() + interval '1 hour' end
         from (select n, n <= $1::int - $3::int as over, now() - ($1::int - n) * interval '1 second' as at from generate_series($2::int + 1, $4::int) n) plot`, [rows, from, open, to])
      await tx.query(
        `insert into public.generation_jobs (id, user_id, product_name, status, total_cards, completed_cards, tokens_cost, created_at, started_at, completed_at)
         select ${id('0191')}, '${NOBODY}', 'Kettle', case when over then 'completed' else 'processing' end, 6, case when over then 6 else 0 end, 6, at, at, case when over then at end
         from (select n, n <= $1::int - $3::int as over, case when n <= $1::int - $3::int then now() - ($1::int - n) * interval '1 second' else now() end as at from generate_series($2::int + 1, $4::int) n) plot`, [rows, from, open, to])
    })
  }
  for (const table of ['reprise.generations', 'public.generation_jobs']) await db.query(`set statement_timeout = 0; analyze ${table}; reset statement_timeout`)
}

/** Songs whose provider takes them and is never heard of again; counted each second until all have ended. */
async function endInTime(at: House): Promise<{ most: number; p99: number }> {
  const tokens = await at.tokens(10)
  const body = JSON.stringify({ provider: 'suno', kind: 'song', prompt: 'a quiet piano waltz [[fault:never-finishes]]' })
  const ids: string[] = []
  while (ids.length < silent) ids.push(...(await Promise.all(tokens.map((token) => ask(at, token, body)))))
  const mine = async <Row extends object>(sql: string) => (await at.db.query<Row>(sql, [ids])).rows[0]!
  let most = 0
  for (const end = performance.now() + (deadlineSec + 120) * 1000; performance.now() < end; await pause(1_000)) {
    const { alive, overdue } = await mine<{ alive: number; overdue: number }>(
      `select count(*)::int as alive, (count(*) filter (where deadline_at + interval '60 s' < reprise.now()))::int as overdue from reprise.generations where id = any ($1) and finished_at is null`)
    most = Math.max(most, overdue)
    if (alive === 0) break
  }
  const { p99 } = await mine<{ p99: number | null }>(
    `select extract(epoch from percentile_disc(0.99) within group (order by coalesce(finished_at, 'infinity') - deadline_at))::float as p99 from reprise.generations where id = any ($1)`)
  return { most, p99: p99 ?? NaN }
}

/** The server is ended first: what is claimed here belongs to nobody else. */
async function sweep({ db, servers }: House) {
  for (const server of servers) await server.stop()
  const time = async (run: () => Promise<unknown>, before = async (): Promise<unknown> => undefined, times = samples) => {
    const taken: number[] = []
    for (let sample = 0; sample < times; sample++) {
      await before()
      const from = performance.now()
      await run()
      taken.push(performance.now() - from)
    }
    return taken
  }
  // Each time 32 others become overdue; what was claimed before sleeps on.
  const asleep = (await db.query<{ id: string }>(`select id from reprise.generations where next_at > now()`)).rows.map(({ id }) => id)
  const claim = (on: Queryable = db) => on.query({ name: 'claim_generations', text: 'select * from reprise.claim_generations($1, $2, $3)', values: ['bench', 32, 600_000] })
  let turn = 0
  const overdue = async () => {
    await db.query(`update reprise.generations set next_at = now() + interval '1 hour', lease_owner = null, lease_until = null where next_at <= now()`)
    const next = Array.from({ length: 32 }, (_, place) => asleep[(turn * 32 + place) % asleep.length])
    turn++
    await db.query(`update reprise.generations set next_at = now() - interval '1 minute' where id = any ($1)`, [next])
  }
  const found: number[] = []
  const claims = await time(() => db.transaction(async (tx) => {
    const from = performance.now()
    await claim(tx)
    found.push(performance.now() - from)
  }), overdue)
  await db.query(`update reprise.generations set next_at = now() + interval '1 hour', lease_owner = null, lease_until = null where next_at <= now()`)
  const idle = await time(() => claim())

  const stale = createStaleJobs({ db, logger: createLogger({ level: 'fatal' }) })
  const sweeps = await time(() => stale.run())
  await db.query(
    `update public.generation_jobs set started_at = case when random() < 0.5 then now() - interval '1 day' end, created_at = now() - interval '1 day'
     where id in (select id from public.generation_jobs where status = 'processing' order by id limit ${STUCK})`)
  const from = performance.now()
  const { length: closed } = (await stale.run()).jobs
  const closing = performance.now() - from
  if (closed !== STUCK) throw new Error(`the sweep closed ${closed} of ${STUCK} stuck jobs`)

  const scan = await time(() => db.query(
    `select id from reprise.generations where state in ('queued', 'submitting', 'generating', 'previewing', 'saving') and deadline_at < now()`), undefined, 5)
  return { found, claims, idle, sweeps, closing, scan }
}
