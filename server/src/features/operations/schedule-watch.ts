import { Gauge, type Registry } from 'prom-client'
import type { Database, Queryable } from '../../database/pool.ts'
import type { Logger } from '../../kernel/logger.ts'
import { SCHEDULES } from './maintenance.ts'

export interface ScheduleState {
  name: string
  succeeded: Date | null
  failed: Date | null
  error: string | null
  /** Two of its times have passed without a success. */
  missed: boolean
}

/** How the scheduled work stands, by what it wrote down itself: the job queue is not asked. */
export async function readSchedules(db: Pick<Queryable, 'query'>): Promise<ScheduleState[]> {
  const { rows } = await db.query<Omit<ScheduleState, 'missed'> & { since: Date; now: Date }>(
    // What never ran had its chance since the last update: with it the work may have come.
    `select s.name, r.last_success as succeeded, r.last_failure as failed, r.last_error as error, reprise.now() as now,
       (select max(applied_at) from reprise.migrations) as since
     from unnest($1::text[]) s (name) left join reprise.schedule_runs r using (name)`, [Object.keys(SCHEDULES)])
  return rows.map(({ since, now, ...row }) => ({
    ...row, missed: now.getTime() - (row.succeeded ?? since).getTime() > 2 * SCHEDULES[row.name as keyof typeof SCHEDULES].everyMs,
  }))
}

/** Whoever was down gets so long to catch up; everything that runs more often than daily has run by then. */
const PATIENCE_MS = 6 * 60_000
const LOOK_MS = 60_000

/**
 * Watches the work that watches: a sweep or an archive run that is missing for two of its times is an alert. It runs in
 * every process, on a plain timer, so that it speaks also when the job queue or every worker is gone.
 */
export function createScheduleWatch({ db, logger, patienceMs = PATIENCE_MS, lookMs = LOOK_MS }: {
  db: Database
  logger: Logger
  patienceMs?: number
  lookMs?: number
}) {
  const told = new Set<string>()
  let timer: NodeJS.Timeout | null = null
  let looking: Promise<void> = Promise.resolve()

  /** Tells once of each that is missing, and once when it is back. */
  async function look(): Promise<void> {
    for (const { name, succeeded, missed } of await readSchedules(db)) {
      if (missed && !told.has(name)) logger.error({ schedule: name, lastSuccess: succeeded }, `ALERT: ${name} has missed two of its times`)
      if (!missed && told.has(name)) logger.info({ schedule: name, lastSuccess: succeeded }, `${name} runs again`)
      if (missed) told.add(name)
      else told.delete(name)
    }
  }

  const next = (ms: number) => {
    timer = setTimeout(() => {
      looking = look()
        .catch((error) => logger.error({ err: error }, 'ALERT: nobody can tell whether the scheduled work runs'))
        .finally(() => timer && next(lookMs))
    }, ms).unref()
  }

  return {
    look,
    start: () => next(patienceMs),
    async stop(): Promise<void> {
      if (timer) clearTimeout(timer)
      timer = null
      await looking
    },
    measure(registry: Registry): void {
      new Gauge({
        name: 'reprise_schedule_missed', help: '1 when a scheduled job has missed two of its times.', labelNames: ['schedule'], registers: [registry],
        async collect() {
          for (const { name, missed } of await readSchedules(db)) this.set({ schedule: name }, missed ? 1 : 0)
        },
      })
    },
  }
}
