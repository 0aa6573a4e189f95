import type { Database } from '../database/pool.ts'
import type { ErrorCode } from '../kernel/errors.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Kind } from '../providers/provider.ts'
import type { BlobStore, StagedFile } from '../storage/blob-store.ts'
import { publishOnce } from '../storage/publish-once.ts'
import type { Crash } from './crash.ts'
import type { PatientKnock } from './knock.ts'
import type { Leases } from './leases.ts'
import { createLoop } from './loop.ts'
import type { StoredFile } from './state.ts'

/** A result that this process has claimed for saving. */
export interface SaveJob {
  id: string
  fence: number
  generationId: string
  role: 'final' | 'cover'
  index: number
  sourceUrl: string | null
  stagedKey: string | null
  providerDurationMs: number | null
  userId: string
  kind: Kind
  /** The id of the track or image: covers lie beside it. */
  finalId: string
}

/** A verified file, ready to be published. */
export interface Verified {
  staged: StagedFile
  mime: string
  /** Without the dot. */
  ext: string
  durationMs: number | null
  bitrate: number | null
}

/** Why a file was not taken; `final` when fetching it again cannot help. */
export class SaveRefused extends Error {
  readonly code: ErrorCode
  readonly final: boolean
  constructor(code: ErrorCode, detail: string, final = false) {
    super(detail)
    this.name = 'SaveRefused'
    this.code = code
    this.final = final
  }
}

interface Deps {
  db: Database
  knock: PatientKnock
  leases: Leases
  blobs: BlobStore
  /** Fetches and verifies; throws SaveRefused. */
  obtain: (job: SaveJob, signal: AbortSignal) => Promise<Verified>
  /** Where a file of this kind and role lies, without extension: `bucket/user/track`. */
  placeOf: (job: SaveJob) => string
  node: string
  leaseMs: number
  crash: Crash
  logger: Logger
  atOnce?: number
}

/**
 * Copies results to our storage as soon as they are known: fetch, verify, publish, then tell. A crash anywhere
 * leaves either nothing or a complete file under its own name; the next worker finds it there or fetches it again.
 */
export function createSaver(deps: Deps) {
  const { db, knock, leases, blobs, node, leaseMs, crash, logger, atOnce = 32 } = deps
  const busy = new Set<Promise<void>>()
  const stopping = new AbortController()

  async function round(): Promise<'more' | 'done'> {
    const room = atOnce - busy.size
    if (room <= 0) return 'done'
    const { rows } = await db.query<Record<string, any>>({
      name: 'claim_results', text: 'select * from reprise.claim_results($1, $2, $3)', values: [node, room, leaseMs],
    })
    for (const row of rows) {
      const job = readJob(row)
      const work = save(job)
        .catch((error) => logger.error({ err: error, resultId: job.id }, 'saving broke off; the lease lapses'))
        .finally(() => {
          busy.delete(work)
          loop.wake()
        })
      busy.add(work)
    }
    return rows.length === room ? 'more' : 'done'
  }

  async function save(job: SaveJob): Promise<void> {
    const letGo = leases.hold('result', job.id, job.fence)
    const lease = { resultId: job.id, fence: job.fence }
    const started = performance.now()
    try {
      const file = await fetchAndPublish(job).catch((error) => {
        if (stopping.signal.aborted || error instanceof SaveRefused) throw error
        // A full disk, lost rights, a fault of ours: told and tried again later, or it would stay the first in the queue.
        logger.error({ err: error, resultId: job.id }, 'a file could not be stored')
        throw new SaveRefused('storage_failed', String((error as NodeJS.ErrnoException).code ?? (error as Error).name))
      })
      await crash('after_publish')
      await knock({
        generationId: job.generationId, cause: 'save', resultLease: lease,
        evidence: { kind: 'stored', resultId: job.id, file, ms: Math.round(performance.now() - started) },
      })
      await crash('after_stored')
      if (job.stagedKey) await blobs.delete(job.stagedKey)
    } catch (error) {
      if (stopping.signal.aborted) return
      if (!(error instanceof SaveRefused)) throw error
      await knock({
        generationId: job.generationId, cause: 'save', resultLease: lease,
        evidence: { kind: 'unsaved', resultId: job.id, code: error.code, detail: error.message, final: error.final },
      })
    } finally {
      letGo()
    }
  }

  async function fetchAndPublish(job: SaveJob): Promise<StoredFile> {
    await crash('after_claim')
    const verified = await deps.obtain(job, stopping.signal)
    const { staged, mime, ext, durationMs, bitrate } = verified
    await crash('after_download')
    const { sha256, bytes } = staged
    const blobKey = await publishOnce(blobs, staged, deps.placeOf(job), { ext, mime })
    return { blobKey, sha256, bytes, mime, durationMs, bitrate }
  }

  const loop = createLoop('save', 1_000, round, logger)
  return {
    ...loop,
    async stop(): Promise<void> {
      stopping.abort()
      await loop.stop()
      await Promise.allSettled(busy)
    },
  }
}

function readJob(row: Record<string, any>): SaveJob {
  return {
    id: row.id, fence: row.fence, generationId: row.generation_id, role: row.role, index: row.index, sourceUrl: row.source_url,
    stagedKey: row.staged_key, providerDurationMs: row.provider_duration_ms, userId: row.user_id, kind: row.kind, finalId: row.final_id,
  }
}
