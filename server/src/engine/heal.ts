import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Database } from '../database/pool.ts'
import { AppError } from '../kernel/errors.ts'
import type { Ids } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import type { Wanted } from './obtain.ts'
import { SaveRefused, type Verified } from './save.ts'

/** `truncated`: shorter than stored; `altered`: longer; `flipped`: as long, but other bytes; `unreadable`: the disk fails. */
export type Damage = 'missing' | 'truncated' | 'altered' | 'flipped' | 'unreadable'

/** How a stored file was found, and what became of it. */
export interface Examined {
  /** `healed`: they were damaged, and are the very same bytes again. `gone`: they are damaged still. */
  health: 'whole' | 'healed' | 'gone'
  /** Null when nothing was wrong. */
  damage: Damage | null
  /** Why it could not be put right, in a few words for the operator. */
  why: string | null
  /** Its source will never have these bytes again: trying again cannot help. */
  lost: boolean
  /** The key under which the damaged bytes are kept. */
  aside: string | null
}

/** Waits before going on, so that reading stays within its rate; throws to stop it. */
export type Pace = (bytes: number) => Promise<void>

/** Nobody waits for the answer: reading is paced, and a source has the time that any download has, until `signal`. */
export interface Background {
  pace?: Pace
  signal: AbortSignal
}

/** So long whoever waits for the answer waits for the source. */
const PATIENCE_MS = 60_000
const TOO_SLOW = 'its source was too slow'
/** Damaged bytes are kept under this prefix. */
export const ASIDE = 'aside/'

interface Stored {
  blobKey: string
  sourceUrl: string | null
  sha256: string
  bytes: number
  mime: string
}

interface Deps {
  db: Database
  blobs: BlobStore
  /** Fetches a file as it was fetched when it was stored. */
  obtain: (wanted: Wanted, signal: AbortSignal) => Promise<Verified>
  /** Throws when the store itself is not there, in which every file would seem to be missing. */
  storeIsThere: () => Promise<void>
  ids: Ids
  logger: Logger
  patienceMs?: number
}

/**
 * Reads a stored file (`reprise.files`) and puts lost or damaged bytes right: fetched from their source again and
 * published under their own key when they are the very bytes that were stored. No other bytes ever take their place,
 * the damaged ones are kept aside, and no record changes. Null when no record names that file.
 * Throws AppError(storage_failed) when our own store is in trouble, and the reason of a background's `signal`.
 */
export function createHealer({ db, blobs, obtain, storeIsThere, ids, logger, patienceMs = PATIENCE_MS }: Deps) {
  const mending = new Map<string, Promise<Examined>>()
  const reading = new Map<string, Promise<Damage | null>>()

  async function find(blobKey: string): Promise<Stored | null> {
    const { rows } = await db.query<Stored>({
      name: 'stored_file', values: [blobKey],
      text: `select blob_key as "blobKey", source_url as "sourceUrl", sha256, bytes, mime
        from reprise.files where blob_key = $1 order by source_url is null, created_at limit 1`,
    })
    return rows[0] ?? null
  }

  async function damageOf({ blobKey, bytes, sha256 }: Stored, pace?: Pace): Promise<Damage | null> {
    const head = await blobs.head(blobKey)
    const stream = head?.bytes === bytes ? await blobs.get(blobKey) : null
    if (head && head.bytes !== bytes) return head.bytes < bytes ? 'truncated' : 'altered'
    if (!stream) {
      await storeIsThere()
      return 'missing'
    }
    const hash = createHash('sha256')
    try {
      for await (const chunk of stream as AsyncIterable<Uint8Array>) {
        hash.update(chunk)
        await pace?.(chunk.byteLength)
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EIO') return 'unreadable'
      throw error
    }
    return hash.digest('hex') === sha256 ? null : 'flipped'
  }

  async function mend(stored: Stored, damage: Damage, background?: Background): Promise<Examined> {
    const { blobKey } = stored
    logger.error({ blobKey, damage }, 'ALERT: a stored file is missing or damaged')
    const gone = (why: string, lost: boolean): Examined => {
      logger.error({ blobKey, why }, 'ALERT: a stored file cannot be put right')
      return { health: 'gone', damage, why, lost, aside: null }
    }
    if (!stored.sourceUrl) return gone('it has no source', true)
    let again: Verified
    const signal = background?.signal ?? AbortSignal.timeout(patienceMs)
    try {
      again = await obtain(wanted(stored), signal)
    } catch (error) {
      if (error instanceof SaveRefused) return gone(error.message, error.final)
      if (!background && signal.aborted && error === signal.reason) return gone(TOO_SLOW, false)
      throw error
    }
    try {
      if (again.staged.sha256 !== stored.sha256) return gone('its source has other bytes now', true)
      // Fetching took its time: another process may have been quicker.
      const aside = (await damageOf(stored)) ? `${ASIDE}${blobKey}.${ids.uuid().slice(0, 8)}` : null
      if (aside) await blobs.replace(again.staged, blobKey, { mime: stored.mime, aside })
      logger.warn({ blobKey, aside }, 'a stored file was fetched again and is whole')
      return { health: 'healed', damage, why: null, lost: false, aside: damage === 'missing' ? null : aside }
    } finally {
      await again.staged.discard()
    }
  }

  async function examine(stored: Stored, background?: Background): Promise<Examined> {
    const damage = await (background ? damageOf(stored, background.pace) : readOnce(stored))
    if (!damage) return { health: 'whole', damage: null, why: null, lost: false, aside: null }
    const { blobKey } = stored
    const others = mending.get(blobKey)
    if (others) return background ? others : Promise.race([others, tooSlow(damage)])
    const work = mend(stored, damage, background).finally(() => mending.delete(blobKey))
    mending.set(blobKey, work)
    return work
  }

  /** However many wait for a file: it is read once for all of them. A paced reader is too slow for these. */
  function readOnce(stored: Stored): Promise<Damage | null> {
    const { blobKey } = stored
    const read = reading.get(blobKey) ?? damageOf(stored).finally(() => reading.delete(blobKey))
    reading.set(blobKey, read)
    return read
  }

  /** Somebody else's work has another patience. */
  async function tooSlow(damage: Damage): Promise<Examined> {
    await setTimeout(patienceMs, undefined, { ref: false })
    return { health: 'gone', damage, why: TOO_SLOW, lost: false, aside: null }
  }

  return async function heal(blobKey: string, background?: Background): Promise<Examined | null> {
    const stored = await find(blobKey)
    if (!stored) return null
    try {
      return await examine(stored, background)
    } catch (error) {
      if (error instanceof AppError || background?.signal.aborted) throw error
      logger.error({ err: error, blobKey }, 'a stored file could not be looked after')
      throw new AppError('storage_failed')
    }
  }
}

export type Heal = ReturnType<typeof createHealer>

/** A picture that was stored as JPEG may have been made one; every other file is stored byte for byte. */
function wanted({ sourceUrl, mime }: Stored): Wanted {
  const [type] = mime.split('/')
  const kind = type === 'video' ? 'video' : type === 'image' && mime !== 'image/jpeg' ? 'image' : 'song'
  return { role: mime === 'image/jpeg' ? 'cover' : 'final', kind, sourceUrl, stagedKey: null, providerDurationMs: null }
}
