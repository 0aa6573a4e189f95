import type { Database } from '../../database/pool.ts'
import type { Logger } from '../../kernel/logger.ts'

/** A job that was closed, or would be. */
export interface ClosedJob {
  table: 'generation_jobs' | 'ai_generations' | 'track_archiving_jobs'
  jobId: string
  userId: string
  /** `completed` when something of it was finished: that is kept. */
  status: string
  kept: number
  unfinished: number
  /** Tokens that were given back because of it. Of what our own ledger holds the engine gives back each card itself. */
  refunded: number
  /** It had no `started_at`: whoever goes by that column alone never finds it. */
  neverStarted: boolean
}

export interface StaleJobsReport {
  /** Open jobs that are old enough; those that somebody works on are left alone. */
  checked: number
  closed: number
  completed: number
  failed: number
  tokensRefunded: number
  jobs: ClosedJob[]
  errors: { table: string; jobId: string; error: string }[]
}

interface Deps {
  db: Database
  /** With which links in notices begin. */
  linkBase: string
  logger: Logger
}

const STALE_MINUTES = 10
const AT_ONCE = 500

/**
 * Closes jobs that nobody works on any more: what is finished is kept, the rest given back, the user told. Whoever asks,
 * and however many at once, each job is closed and refunded once: reprise.close_stale_job decides it in a transaction.
 */
export function createStaleJobs({ db, linkBase, logger }: Deps) {
  /** `plan` decides the same and writes nothing. One job that cannot be closed does not hold back the others. */
  async function run(mode: 'apply' | 'plan' = 'apply'): Promise<StaleJobsReport> {
    const report: StaleJobsReport = { checked: 0, closed: 0, completed: 0, failed: 0, tokensRefunded: 0, jobs: [], errors: [] }
    for (let after: OpenJob | null = null; ; ) {
      const open: OpenJob[] = await candidates(after)
      for (const { table, id, user_id, never_started } of open) {
        report.checked++
        try {
          const { closed, ...numbers } = await (mode === 'apply' ? decide(table, id) : rolledBack(table, id))
          if (closed === null) continue
          report.jobs.push({ table, jobId: id, userId: user_id, status: closed, ...numbers, neverStarted: never_started })
          report.closed++
          report[closed === 'completed' ? 'completed' : 'failed']++
          report.tokensRefunded += numbers.refunded
          if (mode === 'apply') logger.warn({ table, jobId: id, userId: user_id, status: closed, ...numbers }, 'a stuck job was closed')
        } catch (error) {
          logger.error({ err: error, table, jobId: id }, 'a stuck job could not be closed')
          report.errors.push({ table, jobId: id, error: String((error as Error).message ?? error) })
        }
      }
      after = open.at(-1) ?? null
      if (open.length < AT_ONCE) return report
    }
  }

  async function candidates(after: OpenJob | null): Promise<OpenJob[]> {
    const { rows } = await db.query<OpenJob>(
      // `o.since`, the time: without the name it would be sorted by the text that is answered.
      `select o.job_table as table, o.id, o.user_id, o.since::text, o.never_started from reprise.open_jobs o
       where o.since < reprise.now() - $1 * interval '1 minute' and ($2::timestamptz is null or (o.since, o.id) > ($2, $3::uuid)) order by o.since, o.id limit $4`,
      [STALE_MINUTES, after?.since ?? null, after?.id ?? null, AT_ONCE])
    return rows
  }

  const decide = (table: string, id: string, on: Pick<Database, 'query'> = db): Promise<Decided> => on
    .query<Decided>('select closed, kept, unfinished, refunded from reprise.close_stale_job($1, $2, $3, $4)', [table, id, STALE_MINUTES, linkBase])
    .then(({ rows }) => rows[0]!)

  async function rolledBack(table: string, id: string): Promise<Decided> {
    const found: Decided[] = []
    await db.transaction(async (tx) => {
      found.push(await decide(table, id, tx))
      throw ROLLED_BACK
    }).catch((error: unknown) => error === ROLLED_BACK || Promise.reject(error))
    return found.at(-1)!
  }

  return {
    run,
    /** What the schedule runs: a job that could not be closed makes it fail, so that somebody is told. */
    async sweep(): Promise<void> {
      const { errors } = await run()
      if (errors.length) throw new Error(`${errors.length} stuck jobs could not be closed, the first is ${errors[0]!.table}/${errors[0]!.jobId}: ${errors[0]!.error}`)
    },
  }
}

export type StaleJobs = ReturnType<typeof createStaleJobs>

interface OpenJob {
  table: ClosedJob['table']
  id: string
  user_id: string
  /** As text: a Date would cut the microseconds off, and the next page would begin with the same job. */
  since: string
  never_started: boolean
}

interface Decided {
  closed: string | null
  kept: number
  unfinished: number
  refunded: number
}

const ROLLED_BACK = new Error('planned only')
