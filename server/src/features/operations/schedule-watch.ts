import { Gauge, type Registry } from 'prom-client'
import type { Database, Queryable } from '../../database/pool.ts'
import type { Logger } from '../../kernel/logger.ts'
import { nextRun, SCHEDULES } from './maintenance.ts'

type Name = keyof typeof SCHEDULES

export interface ScheduleState {
  name: Name
  succeeded: Date | null
  failed: Date | null
  error: string | null
  /** Two of its times have passed without a run. */
  missed: boolean
  /** It runs, but two of its times have passed without a success. */
  failing: boolean
  /** The time of this look, by the database's clock. */
  now: Date
}

/** How the scheduled work stands, by what it wrote down itself: the job queue is not asked. */
export async function readSchedules(db: Pick<Queryable, 'query'>): Promise<ScheduleState[]> {
  const { rows } = await db.query<Omit<ScheduleState, 'missed' | 'failing'> & { since: Date }>(
    // What never ran had its chance since the last update: with it the work may have come.
    `select s.name, r.last_success as succeeded, r.last_failure as failed, r.last_error as error, reprise.now() as now,
       (select max(applied_at) from reprise.migrations) as since
     from unnest($1::text[]) s (name) left join reprise.schedule_runs r using (name)`, [Object.keys(SCHEDULES)])
  return rows.map(({ since, ...row }) => {
    const late = (last: Date) => row.now.getTime() - last.getTime() > 2 * SCHEDULES[row.name].everyMs
    const well = row.succeeded ?? since
    const missed = late(row.failed && row.failed > well ? row.failed : well)
    return { ...row, missed, failing: late(well) && !missed }
  })
}

/** How long after its time a job is waited for. */
const PATIENCE_MS = 6 * 60_000
const LOOK_MS = 60_000

/**
 * Watches the work that watches: a sweep or an archive run that is missing for two of its times is an alert. It runs in
 * every process, on a plain timer, so that it speaks also when the job queue or every worker is gone. What nobody could
 * run, because everything was down, has until its next time.
 */
export function createScheduleWatch({ db, logger, patienceMs = PATIENCE_MS, lookMs = LOOK_MS }: {
  db: Database
  logger: Logger
  patienceMs?: number
  lookMs?: number
}) {
  const told = new Map<Name, string>()
  let firstLook: Date | null = null
  let timer: NodeJS.Timeout | null = null
  let looking: Promise<void> = Promise.resolve()

  /** Tells once of each that is missing or fails, and once when it is well again. */
  async function look(): Promise<void> {
    for (const { name, succeeded, error, missed, failing, now } of await readSchedules(db)) {
      firstLook ??= now
      const hadItsTime = now.getTime() > nextRun(name, firstLook.getTime()).getTime() + patienceMs
      const trouble = missed && hadItsTime ? 'has missed two of its times' : failing ? 'runs, but has failed for two of its times' : null
      if (trouble && told.get(name) !== trouble) logger.error({ schedule: name, lastSuccess: succeeded, ...(failing && { lastError: error }) }, `ALERT: ${name} ${trouble}`)
      if (!missed && !failing && told.delete(name)) logger.info({ schedule: name, lastSuccess: succeeded }, `${name} runs again`)
      if (trouble) told.set(name, trouble)
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
    start: () => next(0),
    async stop(): Promise<void> {
      if (timer) clearTimeout(timer)
      timer = null
      await looking
    },
    measure(registry: Registry): void {
      new Gauge({
        name: 'reprise_schedule_missed', help: '1 when a scheduled job has not ended well for two of its times.', labelNames: ['schedule'], registers: [registry],
        async collect() {
          for (const { name, missed, failing } of await readSchedules(db)) this.set({ schedule: name }, missed || failing ? 1 : 0)
        },
      })
    },
  }
}
