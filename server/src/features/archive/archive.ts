import type { Database } from '../../database/pool.ts'
import { createLoop } from '../../engine/loop.ts'
import { sleep } from '../../kernel/clock.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { ArchiveRecords, Claim } from './records.ts'

export interface JobState {
  status: 'pending' | 'processing' | 'completed' | 'failed'
  error: string | null
}

interface Deps {
  db: Database
  schema: string
  records: ArchiveRecords
  run: (claim: Claim, signal: AbortSignal) => Promise<void>
  /** Tells the workers of every process that there is something to do. */
  wake: () => void
  leaseMs: number
  /** Most tracks at once. */
  atOnce: number
  logger: Logger
}

const LOOK_EVERY_MS = 5_000
const ASK_EVERY_MS = 200
const AFTER_A_FAULT_SEC = 60

/** Archives tracks whose files lie elsewhere (seed 002), and takes requests to do so now. */
export function createArchive({ db, schema, records, run, wake, leaseMs, atOnce, logger }: Deps) {
  const busy = new Map<Claim, Promise<void>>()
  let stopping = new AbortController()
  let renewing: NodeJS.Timeout | null = null

  async function round(): Promise<'more' | 'done'> {
    const room = atOnce - busy.size
    if (room <= 0) return 'done'
    const claims = await records.claim(room)
    for (const claim of claims) {
      const work = run(claim, stopping.signal)
        .catch(async (error) => {
          logger.error({ err: error, trackId: claim.trackId }, 'archiving broke off')
          // A fault of ours must not come back at once, again and again, before everything else that is due.
          await records.wait(claim, AFTER_A_FAULT_SEC).catch(() => undefined)
        })
        .finally(() => {
          busy.delete(claim)
          loop.wake()
        })
      busy.set(claim, work)
    }
    return claims.length === room ? 'more' : 'done'
  }

  const renew = () => {
    if (busy.size > 0) records.renew([...busy.keys()]).catch((error) => logger.warn({ err: error }, 'claims of the archive could not be renewed; they lapse if this goes on'))
  }

  const loop = createLoop('archive', LOOK_EVERY_MS, round, logger)

  return {
    wake: loop.wake,
    start(): void {
      stopping = new AbortController()
      renewing ??= setInterval(renew, Math.max(50, leaseMs / 3)).unref()
      loop.start()
    },
    async stop(): Promise<void> {
      stopping.abort()
      await loop.stop()
      await Promise.allSettled(busy.values())
      if (renewing) clearInterval(renewing)
      renewing = null
    },

    /** Asks for these tracks now, also those that wait for tomorrow's run. Answers the job of each track that exists. */
    async request(trackIds: string[], cause: string): Promise<Map<string, string>> {
      const { rows } = await db.query<{ id: string; track_id: string }>(
        // Asked twice before anybody began is asked once.
        `with open as (select distinct on (track_id) id, track_id from "${schema}".track_archiving_jobs where track_id = any ($1) and status = 'pending' order by track_id, created_at),
         new as (insert into "${schema}".track_archiving_jobs (track_id, user_id, metadata) select t.id, t.user_id, $2 from "${schema}".tracks t
           where t.id = any ($1) and t.deleted_at is null and t.id not in (select track_id from open) returning id, track_id)
         select id, track_id from open union all select id, track_id from new`, [trackIds, { cause }])
      wake()
      return new Map(rows.map((row) => [row.track_id, row.id]))
    },

    /** Waits until all these jobs have ended, at most so long; the work goes on anyway. */
    async waitFor(jobIds: Iterable<string>, ms: number, signal?: AbortSignal): Promise<Map<string, JobState>> {
      const ids = [...jobIds]
      const end = performance.now() + ms
      for (;;) {
        const { rows } = await db.query<{ id: string } & JobState>(
          `select id, status, error_message as error from "${schema}".track_archiving_jobs where id = any ($1)`, [ids])
        const open = rows.some(({ status }) => status === 'pending' || status === 'processing')
        if (!open || performance.now() >= end || signal?.aborted) return new Map(rows.map(({ id, status, error }) => [id, { status, error }]))
        await sleep(ASK_EVERY_MS, signal)
      }
    },

    /** The daily run: finds what the triggers missed; the workers go on until nothing is due. Answers how many it found. */
    async daily(): Promise<number> {
      const { rows: [row] } = await db.query<{ found: number }>('select reprise.rearm_archive() as found')
      if (row!.found > 0) logger.warn({ tracks: row!.found }, 'tracks were found that nobody had put into the archive’s queue')
      wake()
      return row!.found
    },
  }
}

export type Archive = ReturnType<typeof createArchive>
