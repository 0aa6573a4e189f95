import { join } from 'node:path'
import { SaveRefused, type Verified } from '../../engine/save.ts'
import type { Wanted } from '../../engine/obtain.ts'
import type { Database } from '../../database/pool.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { publishOnce } from '../../storage/publish-once.ts'
import { ROLES, type ArchiveRecords, type Claim, type Kept, type Role, type Work } from './records.ts'

/** The seed's buckets. */
const BUCKETS: Record<Role, string> = { audio: 'tracks-audio', cover: 'tracks-covers', video: 'tracks-videos' }
const WANTED: Record<Role, Pick<Wanted, 'role' | 'kind'>> = {
  audio: { role: 'final', kind: 'song' }, cover: { role: 'cover', kind: 'song' }, video: { role: 'final', kind: 'video' },
}

/** Leave to fetch a track, or after how many seconds to ask again because somebody outside is at it. */
export type Leave = { release(): Promise<void> } | { busySec: number }

interface Deps {
  db: Database
  records: ArchiveRecords
  blobs: BlobStore
  obtain: (wanted: Wanted, signal: AbortSignal) => Promise<Verified>
  /** With which the addresses of our own files begin. */
  base: () => Promise<string>
  urlOf: (base: string, bucket: string, path: string, sha256: string) => string
  /** Asked before anything is fetched. */
  guard?: (trackId: string) => Promise<Leave>
  logger: Logger
}

/**
 * One run over one track: everything that its row names is fetched, verified and published, each file apart, so that a
 * missing cover never holds back the song. A crash anywhere leaves either nothing or a whole file under its own name.
 */
export function createRun({ db, records, blobs, obtain, base, urlOf, guard, logger }: Deps) {
  return async function run(claim: Claim, signal: AbortSignal): Promise<void> {
    const leave = (await guard?.(claim.trackId)) ?? null
    if (leave && 'busySec' in leave) return records.wait(claim, Math.max(1, leave.busySec))
    try {
      const work = await records.begin(claim)
      if (!work) return
      await (work.claimedDone ? look(work, signal) : fetchAll(work, signal))
    } finally {
      await leave?.release()
    }
  }

  async function fetchAll(work: Work, signal: AbortSignal): Promise<void> {
    const ours = await base()
    const faults: { role: Role; error: SaveRefused }[] = []
    for (const role of ROLES) {
      const url = work.urls[role]
      if (!url || url === work.stored[role]) continue
      try {
        const file = (await find(url, ours, role, signal)) ?? (await fetchOne(work, role, url, signal))
        const kept = await records.keep(work, role, url.startsWith(`${ours}/`) ? url : urlOf(ours, file.bucket, file.path, file.sha256), file)
        if (!kept) break // whoever has the track now goes on; or finish() sees what the row names
      } catch (error) {
        if (signal.aborted) return
        faults.push({ role, error: refusal(error, work, role) })
      }
    }
    if (faults.length === 0) {
      await records.finish(work)
      return
    }
    const told = faults.map(({ role, error }) => `${role}: ${error.message}`).join('; ')
    if (!faults.every(({ error }) => error.final) && (await records.retry(work, told)) !== false) return
    logger.error({ trackId: work.trackId, error: told }, 'ALERT: a track could not be archived')
    await records.fail(work, told)
  }

  /** Somebody says that it is archived: every file is looked at where the row says it lies. */
  async function look(work: Work, signal: AbortSignal): Promise<void> {
    const ours = await base()
    const missing: { role: Role; error: SaveRefused }[] = []
    for (const role of ROLES) {
      const url = work.stored[role]
      if (!url) continue
      try {
        const file = await find(url, ours, role, signal)
        // In the team's own store: there when it can be fetched and is what it should be.
        if (!file) await (await obtain({ ...WANTED[role], sourceUrl: url, stagedKey: null, providerDurationMs: null }, signal)).staged.discard()
        await records.keep(work, role, url, file)
      } catch (error) {
        if (signal.aborted) return
        missing.push({ role, error: refusal(error, work, role) })
      }
    }
    if (missing.length === 0) {
      await records.finish(work)
      return
    }
    const error = `said to be archived, but ${missing.map(({ role, error: { message } }) => `${role}: ${message}`).join('; ')}`
    // The team's store may be out of reach for a moment: nobody is told that a song is lost because of that.
    if (!missing.every((one) => one.error.final) && (await records.retry(work, error)) !== false) return
    logger.error({ trackId: work.trackId, error }, 'ALERT: a track is not archived as somebody said')
    await records.takeBack(work, missing.map(({ role }) => role), error)
  }

  /** A file of our own store by its address; null when the address is somebody else's. Throws when it is not there. */
  async function find(url: string, ours: string, role: Role, signal: AbortSignal): Promise<Kept | null> {
    const [, bucket, path] = (url.startsWith(`${ours}/`) && /^\/storage\/v1\/object\/public\/([^/]+)\/([^?#]+)/.exec(url.slice(ours.length))) || []
    if (!bucket || !path) return null
    const name = { bucket, path: decodeURIComponent(path) }
    const { rows: [known] } = await db.query<Kept>(
      `select bucket, path, blob_key as "blobKey", sha256, bytes, mime, null as "durationMs", source_url as "sourceUrl" from reprise.files where bucket = $1 and path = $2`, [name.bucket, name.path])
    const blobKey = known?.blobKey ?? join(name.bucket, name.path)
    const there = await blobs.head(blobKey)
    if (!there || (known && there.bytes !== known.bytes)) throw new SaveRefused('download_failed', 'there is no such file in our storage', true)
    if (known) return known
    // Uploaded by hand: measured like any other file.
    const { staged, mime, durationMs } = await obtain({ ...WANTED[role], sourceUrl: null, stagedKey: blobKey, providerDurationMs: null }, signal)
    const { sha256, bytes } = staged
    await staged.discard()
    return { ...name, blobKey, sha256, bytes, mime, durationMs, sourceUrl: null }
  }

  async function fetchOne(work: Work, role: Role, url: string, signal: AbortSignal): Promise<Kept> {
    const { staged, mime, ext, durationMs } = await obtain({ ...WANTED[role], sourceUrl: url, stagedKey: null, providerDurationMs: null }, signal)
    const { sha256, bytes } = staged
    const bucket = BUCKETS[role]
    const blobKey = await publishOnce(blobs, staged, join(bucket, work.userId, work.trackId), { ext, mime })
    return { bucket, path: blobKey.slice(bucket.length + 1), blobKey, sha256, bytes, mime, durationMs, sourceUrl: url }
  }

  function refusal(error: unknown, work: Work, role: Role): SaveRefused {
    if (error instanceof SaveRefused) return error
    // A full disk, lost rights, a fault of ours: told and tried again later.
    logger.error({ err: error, trackId: work.trackId, role }, 'a file could not be archived')
    return new SaveRefused('storage_failed', String((error as NodeJS.ErrnoException).code ?? (error as Error).name))
  }
}
