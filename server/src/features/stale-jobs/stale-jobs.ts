import type { Database } from '../../database/pool.ts'
import type { Logger } from '../../kernel/logger.ts'

/** A job that was closed, or would be. */
export interface ClosedJob {
  table: 'generation_jobs' | 'ai_generations' | 'track_archiving_jobs'
  jobId: string
  userId: string
  /** `completed` when something of it was finished: that is kept. One that had ended before keeps its status. */
  status: string
  kept: number
  unfinished: number
  /** Tokens that were given back because of it. Of what our own ledger holds the engine gives back each card itself. */
  refunded: number
  /** It had no `started_at`: whoever goes by that column alone never finds it. */
  neverStarted: boolean
}

export interface StaleJobsReport {
  /** Jobs that are old enough and that neither the engine nor the archive holds; one that somebody writes just now is left alone. */
  checked: number
  jobs: ClosedJob[]
  errors: { table: string; jobId: string; error: string }[]
}

export const totalsOf = (jobs: ClosedJob[]) => ({
  closed: jobs.length,
  completed: jobs.filter(({ status }) => status === 'completed').length,
  failed: jobs.filter(({ status }) => status === 'failed').length,
  neverStarted: jobs.filter(({ neverStarted }) => neverStarted).length,
  tokensRefunded: jobs.reduce((sum, { refunded }) => sum + refunded, 0),
})

const STALE_MINUTES = 10
const AT_ONCE = 500

/**
 * Closes jobs that nobody works on any more: what is finished is kept, the rest given back, the user told. Whoever asks,
 * and however many at once, each job is closed and refunded once: reprise.close_stale_job decides it in a transaction.
 */
export function createStaleJobs({ db, logger }: { db: Database; logger: Logger }) {
  /** `plan` decides the same and writes nothing. One job that cannot be closed does not hold back the others. */
  async function run(mode: 'apply' | 'plan' = 'apply'): Promise<StaleJobsReport> {
    const report: StaleJobsReport = { checked: 0, jobs: [], errors: [] }
    for (let after: StaleJob | null = null; ; ) {
      const found: StaleJob[] = await candidates(after)
      report.checked += found.length
      for (const { table, id, user_id, never_started } of found) {
        try {
          const { closed, ...numbers } = await decide(table, id, mode)
          if (closed === null) continue
          report.jobs.push({ table, jobId: id, userId: user_id, status: closed, ...numbers, neverStarted: never_started })
          if (mode === 'apply') logger.warn({ table, jobId: id, userId: user_id, status: closed, ...numbers }, 'a stuck job was closed')
        } catch (error) {
          logger.error({ err: error, table, jobId: id }, 'a stuck job could not be closed')
          report.errors.push({ table, jobId: id, error: String((error as Error).message ?? error) })
        }
      }
      after = found.at(-1) ?? null
      if (found.length < AT_ONCE) return report
    }
  }

  async function candidates(after: StaleJob | null): Promise<StaleJob[]> {
    const { rows } = await db.query<StaleJob>(
      // `o.since`, the time: without the name it would be sorted by the text that is answered.
      `select o.job_table as table, o.id, o.user_id, o.since::text, o.never_started from reprise.stale_jobs o
       where o.since < reprise.now() - $1 * interval '1 minute' and ($2::timestamptz is null or (o.since, o.id) > ($2, $3::uuid)) order by o.since, o.id limit $4`,
      [STALE_MINUTES, after?.since ?? null, after?.id ?? null, AT_ONCE])
    return rows
  }

  async function decide(table: string, id: string, mode: 'apply' | 'plan'): Promise<Decided> {
    let decided: Decided
    await db.transaction(async (tx) => {
      const { rows } = await tx.query<Decided>('select closed, kept, unfinished, refunded from reprise.close_stale_job($1, $2, $3)', [table, id, STALE_MINUTES])
      decided = rows[0]!
      if (mode === 'plan') throw ROLLED_BACK
    }).catch((error: unknown) => error === ROLLED_BACK || Promise.reject(error))
    return decided!
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

interface StaleJob {
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
