import { createLoop } from '../../engine/loop.ts'
import { ASIDE, type Background, type Examined, type Heal } from '../../engine/heal.ts'
import { sleep, type Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { compare, type Listed } from './compare.ts'
import { createPace } from './pace.ts'
import type { FixityRecords } from './records.ts'

interface Deps {
  records: FixityRecords
  blobs: BlobStore
  heal: Heal
  days: number
  mbPerSec: number
  leaseMs: number
  clock: Clock
  logger: Logger
}

const LOOK_EVERY_MS = 60_000
/** Between two files, so that many small ones are no burst of queries. */
const PAUSE_MS = 20
/** A file that could not be looked at (not: that is damaged) waits so long for the next try, and for all others. */
const AGAIN_MS = 600_000
/** After the nth such file in a row n times as long, up to the most: our store may be away. */
const FAULT_PAUSE_MS = 50
const MOST_FAULT_PAUSE_MS = 10_000
/** Younger files may be without a record because it is just being written. */
const YOUNG_MS = 24 * 3_600_000
const AT_ONCE = 500
/** More than that many files that cannot be looked at are a fault of the store, not of the files. */
const MOST_FAULTS = 10
const MB = 1_000_000

/**
 * Fixity: every stored file is read and hashed again within `days`, at most `mbPerSec` in this process, the longest
 * unread first. What is damaged is repaired from its source or reported; originals are never deleted.
 */
export function createFixity({ records, blobs, heal, days, mbPerSec, leaseMs, clock, logger }: Deps) {
  const pace = createPace(mbPerSec * MB)
  let stopping = new AbortController()
  let faults = 0

  async function round(): Promise<'more' | 'done'> {
    const blobKey = await records.claim()
    if (blobKey === null) return 'done'
    const { signal } = stopping
    const renewing = setInterval(() => records.renew(blobKey).catch(() => undefined), leaseMs / 3).unref()
    let nap = PAUSE_MS
    try {
      await examine(blobKey, { pace: (bytes) => pace(bytes, signal), signal })
      faults = 0
    } catch (error) {
      await records.release(blobKey, signal.aborted ? 0 : AGAIN_MS)
      // A file of which heal has said what is wrong with it: the others have their turn.
      if (!signal.aborted && !(error instanceof AppError)) throw error
      nap = Math.min(MOST_FAULT_PAUSE_MS, ++faults * FAULT_PAUSE_MS)
    } finally {
      clearInterval(renewing)
    }
    await sleep(nap, signal)
    return signal.aborted ? 'done' : 'more'
  }

  async function examine(blobKey: string, background?: Background): Promise<Examined | null> {
    const examined = await heal(blobKey, background)
    await records.settle(blobKey, examined)
    return examined
  }

  const loop = createLoop('fixity', LOOK_EVERY_MS, round, logger)

  return {
    start(): void {
      stopping = new AbortController()
      loop.start()
    },
    /** Stops in the middle of a file too: it stays due. */
    async stop(): Promise<void> {
      stopping.abort()
      await loop.stop()
    },

    /** Looks at one file now, because somebody asks; what is found is written down like in any round. */
    look: async (blobKey: string): Promise<'whole' | 'healed' | 'gone'> => (await examine(blobKey))?.health ?? 'whole',

    /**
     * Compares all records with all files: what is missing or has another size is repaired or reported at once, bytes
     * without a record are reported. Says when reading cannot keep up.
     */
    async pass(): Promise<{ files: number; bytes: number; damaged: number; orphans: number }> {
      const id = await records.beginPass()
      const seen = { files: 0, bytes: 0, damaged: 0, orphans: 0 }
      let strays: string[] = []
      const settleStrays = async () => {
        if (strays.length > 0) seen.orphans += await records.orphans(strays)
        strays = []
      }
      const { signal } = stopping
      let faults = 0
      for await (const { key, record } of compare(blobs.list(''), counted(records.recorded(), seen))) {
        if (signal.aborted) return seen // the next pass sees it all
        if (record) {
          const examined = await examine(key, { signal }).catch((error) => {
            if (++faults > MOST_FAULTS) throw error
            return null
          })
          if (examined?.damage) seen.damaged++
        } else if (!key.startsWith(ASIDE) && (await isOld(key))) strays.push(key)
        if (strays.length >= AT_ONCE) await settleStrays()
      }
      await settleStrays()
      const { overdue, nodes } = await records.endPass(id, seen)
      const needed = seen.bytes / (days * 86_400) / MB
      if (overdue > 0 || needed > mbPerSec * Math.max(1, nodes)) {
        logger.error({ overdue, neededMbPerSec: Math.ceil(needed * 10) / 10, mbPerSec, nodes },
          `ALERT: stored files are not read again within ${days} days: raise FIXITY_MB_PER_SEC, or start another worker`)
      }
      if (seen.orphans > 0) logger.warn({ orphans: seen.orphans }, 'there are stored files that no record names; nothing was deleted')
      return seen
    },

    board: records.board,
    overdue: records.overdue,
    openFindings: records.openFindings,
    damaged: records.damaged,
  }

  async function isOld(key: string): Promise<boolean> {
    const head = await blobs.head(key)
    return head !== null && clock.now() - head.modifiedAt.getTime() > YOUNG_MS
  }
}

async function* counted(items: AsyncIterable<Listed>, sum: { files: number; bytes: number }): AsyncGenerator<Listed> {
  for await (const item of items) {
    sum.files++
    sum.bytes += item.bytes
    yield item
  }
}

export type Fixity = ReturnType<typeof createFixity>
