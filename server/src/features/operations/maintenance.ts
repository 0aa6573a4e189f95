import { PgBoss } from 'pg-boss'
import type { Database } from '../../database/pool.ts'
import type { Logger } from '../../kernel/logger.ts'

const SCHEMA = 'reprise_boss'

const HOUR_MS = 3_600_000
const SWEEP_MS = 300_000

/** What runs when, and how far apart in milliseconds. */
export const SCHEDULES = {
  prune: { cron: '17 * * * *', everyMs: HOUR_MS },
  'staging-sweep': { cron: '43 * * * *', everyMs: HOUR_MS },
  'ledger-check': { cron: '5 4 * * *', everyMs: 24 * HOUR_MS },
  archive: { cron: '0 3 * * *', everyMs: 24 * HOUR_MS },
  'uploads-sweep': { cron: '20 2 * * *', everyMs: 24 * HOUR_MS },
  fixity: { cron: '30 1 * * *', everyMs: 24 * HOUR_MS },
  'stale-jobs': { cron: '*/5 * * * *', everyMs: SWEEP_MS },
} as const

/** When this work runs next: all of it is at a fixed time of the day, hourly, or every few minutes, in UTC. */
export function nextRun(name: keyof typeof SCHEDULES, now: number): Date {
  const { cron, everyMs } = SCHEDULES[name]
  const [minute, hour] = cron.split(' ')
  const offset = (hour === '*' ? 0 : Number(hour)) * HOUR_MS + (minute!.startsWith('*') ? 0 : Number(minute) * 60_000)
  return new Date(Math.floor((now - offset) / everyMs) * everyMs + everyMs + offset)
}

/**
 * Side work on a schedule. Nothing here moves a generation: were all its jobs deleted, every generation would still
 * end right.
 */
export function createMaintenance({ db, sweepStaging, sweepUploads, archive, fixity, staleJobs, logger, superviseSec = 60 }: {
  db: Database
  sweepStaging: () => Promise<unknown>
  sweepUploads: () => Promise<unknown>
  archive: () => Promise<unknown>
  fixity: () => Promise<unknown>
  staleJobs: () => Promise<unknown>
  logger: Logger
  /** How often work is looked for that a dead node had begun. */
  superviseSec?: number
}) {
  const boss = new PgBoss({
    schema: SCHEMA,
    superviseIntervalSeconds: superviseSec,
    monitorIntervalSeconds: superviseSec,
    // On our own pool, so that its statements follow the same settings and close with it. Several statements in one text
    // have a result each, which it wants to see: hence the bare pool.
    db: { executeSql: (text, values) => db.pool.query(text, values) },
  })
  boss.on('error', (error) => logger.warn({ err: error }, 'side work failed for the moment'))

  const work: Record<keyof typeof SCHEDULES, () => Promise<unknown>> = {
    prune: () => prune(db),
    'staging-sweep': sweepStaging,
    'uploads-sweep': sweepUploads,
    'ledger-check': () => checkLedger(db, logger),
    archive,
    fixity,
    'stale-jobs': staleJobs,
  }

  return {
    async start(): Promise<void> {
      await boss.start()
      for (const [name, { cron, everyMs }] of Object.entries(SCHEDULES)) {
        // Long work may take its time; what a dead node had begun is begun again after it. A long sweep must not be begun
        // again beside itself; the one after a dead node's comes by its own time.
        await boss.createQueue(name, { policy: 'standard', expireInSeconds: Math.max(900, everyMs / 4_000) })
        await boss.schedule(name, cron)
        await boss.work(name, () => recorded(db, logger, name, work[name as keyof typeof SCHEDULES]))
      }
    },
    stop: () => boss.stop({ graceful: true, timeout: 5_000, close: false }),
  }
}

/** Runs one job and keeps how it ended: the queue swallows failures, so they are told here. Throws what `run` throws. */
export async function recorded(db: Database, logger: Logger, name: string, run: () => Promise<unknown>): Promise<void> {
  const note = (ended: string, error: string | null) => db.query(
    `insert into reprise.schedule_runs (name, ${ended}, last_error) values ($1, reprise.now(), $2)
     on conflict (name) do update set ${ended} = excluded.${ended}, last_error = coalesce(excluded.last_error, schedule_runs.last_error)`, [name, error])
  try {
    await run()
  } catch (error) {
    logger.error({ err: error }, `ALERT: ${name} failed`)
    await note('last_failure', String((error as Error).message ?? error).slice(0, 500)).catch(() => undefined)
    throw error
  }
  await note('last_success', null)
}

const FORGOTTEN = {
  idempotency: `created_at < reprise.now() - interval '25 hours'`,
  parked_callbacks: `received_at < reprise.now() - interval '10 minutes'`,
  session_links: `expires_at < reprise.now() - interval '7 days'`,
  nodes: `round_at < reprise.now() - interval '1 day'`,
  // of files that could not be looked at: with it they wait for all others, without it they are the oldest again
  fixity_claims: `lease_until < reprise.now() - interval '1 day'`,
  operation_locks: `expires_at < reprise.clock() - interval '1 hour'`,
}

/** Forgets what has had its time, some rows at once: no statement holds many locks or runs into its time limit. */
export async function prune(db: Database, atOnce = 10_000): Promise<void> {
  for (const [table, old] of Object.entries(FORGOTTEN)) {
    const text = `delete from reprise.${table} where ctid = any (array(select ctid from reprise.${table} where ${old} limit ${atOnce}))`
    while ((await db.query(text)).rowCount === atOnce);
  }
}

/** How long the look at the whole ledger may take, and how much memory each of its sorts and hashes. */
const LOOK_MS = 2 * HOUR_MS
const LOOK_MEMORY = '64MB'

/** The promises about tokens, checked daily and written down; a broken one is an alert. Answers how many rows break one. */
export async function checkLedger(db: Database, logger: Logger): Promise<number> {
  // One text is one transaction: the limits hold for it alone. On the bare pool, as the client has a limit of its own.
  const query = {
    text: `set local statement_timeout = ${LOOK_MS}; set local work_mem = '${LOOK_MEMORY}';
      with broken as materialized (select promise, user_id as "userId", generation_id as "generationId" from reprise.ledger_violations)
      insert into reprise.ledger_checks (found, violations)
      select (select count(*) from broken), (select coalesce(jsonb_agg(to_jsonb(b)), '[]') from (select * from broken limit 100) b)
      returning found, violations`,
    query_timeout: LOOK_MS + 5_000,
  }
  const results = await db.pool.query(query) as unknown as { rows: { found: number; violations: object[] }[] }[]
  const { found, violations } = results.at(-1)!.rows[0]!
  for (const one of violations) logger.error(one, `ALERT: ledger: ${(one as { promise: string }).promise}`)
  return found
}
