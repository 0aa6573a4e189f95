import type { Database } from '../database/pool.ts'
import { AppError } from '../kernel/errors.ts'
import type { Logger } from '../kernel/logger.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { SaveRefused, type SaveJob, type Verified } from './save.ts'

/** `whole`: the bytes are there. `healed`: they were not, and are again. `gone`: nobody has them any more. */
export type Health = 'whole' | 'healed' | 'gone'

/** Somebody waits for the answer. */
const PATIENCE_MS = 60_000

interface Stored extends SaveJob {
  blobKey: string
  sha256: string
  bytes: number
  mime: string
}

interface Deps {
  db: Database
  blobs: BlobStore
  obtain: (job: SaveJob, signal: AbortSignal) => Promise<Verified>
  logger: Logger
}

/**
 * Puts a stored result's lost or damaged bytes right: fetched from their source again and published under their own
 * key when they are the very bytes that were stored; no other bytes ever take their place, and no record changes.
 * Throws AppError(storage_failed) when our own store is in trouble.
 */
export function createHealer({ db, blobs, obtain, logger }: Deps) {
  const healing = new Map<string, Promise<Health>>()

  async function examine(resultId: string): Promise<Health> {
    const { rows } = await db.query<Stored>(
      `select r.id, r.fence, r.generation_id as "generationId", r.role, r.index, r.source_url as "sourceUrl", null as "stagedKey",
         r.provider_duration_ms as "providerDurationMs", g.user_id as "userId", g.kind, r.id as "finalId", r.blob_key as "blobKey", r.sha256, r.bytes, r.mime
       from reprise.results r join reprise.generations g on g.id = r.generation_id where r.id = $1 and r.state = 'stored'`, [resultId])
    const stored = rows[0]
    if (!stored || (await isWhole(stored))) return 'whole'
    const { blobKey } = stored
    logger.error({ resultId, blobKey }, 'ALERT: a stored file is missing or damaged')
    const again = await fetchAgain(stored)
    if (!again) return 'gone'
    try {
      // Bytes of another length under this name are nobody's file.
      if (!(await isWhole(stored))) await blobs.delete(blobKey)
      await blobs.publish(again.staged, blobKey, { mime: stored.mime })
    } finally {
      await again.staged.discard()
    }
    logger.warn({ resultId, blobKey }, 'a stored file was fetched again and is whole')
    return 'healed'
  }

  async function fetchAgain(stored: Stored): Promise<Verified | null> {
    const lost = (why: string): null => {
      logger.error({ resultId: stored.id, blobKey: stored.blobKey, why }, 'ALERT: a stored file cannot be put right')
      return null
    }
    if (!stored.sourceUrl) return lost('it has no source')
    try {
      const again = await obtain(stored, AbortSignal.timeout(PATIENCE_MS))
      if (again.staged.sha256 === stored.sha256) return again
      await again.staged.discard()
      return lost('its source has other bytes now')
    } catch (error) {
      if (error instanceof SaveRefused) return lost(error.message)
      throw error
    }
  }

  const isWhole = async ({ blobKey, bytes }: Stored): Promise<boolean> => (await blobs.head(blobKey))?.bytes === bytes

  return async function heal(resultId: string): Promise<Health> {
    const under = healing.get(resultId)
    if (under) return under
    const work = examine(resultId)
      .catch((error) => {
        logger.error({ err: error, resultId }, 'a stored file could not be looked after')
        throw new AppError('storage_failed')
      })
      .finally(() => healing.delete(resultId))
    healing.set(resultId, work)
    return work
  }
}

