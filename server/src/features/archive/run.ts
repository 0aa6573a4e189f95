import { join } from 'node:path'
import { SaveRefused, type Verified } from '../../engine/save.ts'
import type { Wanted } from '../../engine/obtain.ts'
import type { Database } from '../../database/pool.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { fileNameIn } from '../../storage/file-address.ts'
import { publishOnce } from '../../storage/publish-once.ts'
import { ROLES, type ArchiveRecords, type Claim, type Kept, type Role, type Work } from './records.ts'

/** The seed's buckets. */
const BUCKETS: Record<Role, string> = { audio: 'tracks-audio', cover: 'tracks-covers', video: 'tracks-videos' }
const WANTED: Record<Role, Pick<Wanted, 'role' | 'kind'>> = {
  audio: { role: 'final', kind: 'song' }, cover: { role: 'cover', kind: 'song' }, video: { role: 'final', kind: 'video' },
}

/** Until a track is looked at again whose file our own store could not take or give; seconds. */
const STORE_PATIENCE_SEC = 60

/** Leave to fetch a track, or after how many seconds to ask again because somebody outside is at it. */
export type Leave = { release(): Promise<void> } | { busySec: number }

/** A file that was ours and whole. */
class OwnFileLost extends SaveRefused {}

interface Deps {
  db: Database
  records: ArchiveRecords
  blobs: BlobStore
  obtain: (wanted: Wanted, signal: AbortSignal) => Promise<Verified>
  /** With which the addresses of our own files begin. */
  base: () => Promise<string>
  urlOf: (base: string, bucket: string, path: string, sha256: string) => string
  /** Puts a file of ours right. */
  heal: (blobKey: string) => Promise<'whole' | 'healed' | 'gone'>
  /** Throws when our whole store is away: then no file is missing. */
  storeIsThere: () => Promise<void>
  /** Asked before anything is fetched. */
  guard?: (trackId: string) => Promise<Leave>
  logger: Logger
}

/**
 * One run over one track: everything that its row names is fetched, verified and published, each file apart, so that a
 * missing cover never holds back the song. A crash anywhere leaves either nothing or a whole file under its own name.
 */
export function createRun({ db, records, blobs, obtain, base, urlOf, heal, storeIsThere, guard, logger }: Deps) {
  return async function run(claim: Claim, signal: AbortSignal): Promise<void> {
    const leave = (await guard?.(claim.trackId)) ?? null
    if (leave && 'busySec' in leave) return records.wait(claim, Math.max(1, leave.busySec))
    try {
      const work = await records.begin(claim)
      if (work) await takeIn(work, signal)
    } finally {
      await leave?.release()
    }
  }

  async function takeIn(work: Work, signal: AbortSignal): Promise<void> {
    const ours = await base()
    const seen = new Map<Role, string>()
    const faults: { role: Role; error: SaveRefused }[] = []
    for (const role of ROLES) {
      if (!work.urls[role] && !work.stored[role]) continue
      try {
        const { url, file } = work.stored[role] ? await look(work.stored[role], ours, role, signal) : await fetchOne(work, role, ours, signal)
        if (!(await records.keep(work, role, url, file))) break // whoever has the track now goes on; or finish() sees what the row names
        seen.set(role, url)
      } catch (error) {
        if (signal.aborted) return
        faults.push({ role, error: refusal(error, work, role) })
      }
    }
    if (faults.length === 0) {
      await records.finish(work, seen)
      return
    }
    const told = faults.map(({ role, error }) => `${role}: ${work.stored[role] ? 'said to be stored, but ' : ''}${error.message}`).join('; ')
    // Our own store is in trouble: that says nothing about the track.
    if (faults.every(({ error }) => error.code === 'storage_failed')) return records.wait(work, STORE_PATIENCE_SEC)
    // Whoever keeps the file may be out of reach for a moment.
    if (!faults.every(({ error }) => error.final) && (await records.retry(work, told)) !== false) return
    logger.error({ trackId: work.trackId, error: told }, 'ALERT: a track could not be archived')
    await records.fail(work, told, faults.filter(({ role, error }) => work.stored[role] && error.code !== 'storage_failed' && !(error instanceof OwnFileLost)).map(({ role }) => role))
  }

  /** Somebody says that the file is stored here: that is looked at. In the team's own store it is there when it can be fetched and is what it should be. */
  async function look(url: string, ours: string, role: Role, signal: AbortSignal): Promise<{ url: string; file: Kept | null }> {
    const file = await find(url, ours, role, signal)
    if (!file) await (await obtain({ ...WANTED[role], sourceUrl: url, stagedKey: null, providerDurationMs: null }, signal)).staged.discard()
    return { url, file }
  }

  /** A file of our own store by its address; null when the address is somebody else's. Throws when it is not there. */
  async function find(url: string, ours: string, role: Role, signal: AbortSignal): Promise<Kept | null> {
    if (!url.startsWith(`${ours}/storage/v1/object/public/`)) return null
    const name = fileNameIn(url)
    if (!name) throw new SaveRefused('download_failed', 'that is no address of a file of ours', true)
    const { rows: [known] } = await db.query<Kept>(
      `select bucket, path, blob_key as "blobKey", sha256, bytes, mime, null as "durationMs", source_url as "sourceUrl" from reprise.files where bucket = $1 and path = $2`, [name.bucket, name.path])
    const blobKey = known?.blobKey ?? join(name.bucket, name.path)
    const there = await blobs.head(blobKey)
    if (known) {
      if (there?.bytes === known.bytes) return known
      // It was whole once: it is put right, or fixity has it on its list. Its address is not forgotten.
      const health = await heal(blobKey)
      if (health === 'gone') throw new OwnFileLost('download_failed', 'our copy is lost or damaged, and cannot be put right now')
      return known
    }
    if (!there) {
      await storeIsThere()
      throw new SaveRefused('download_failed', 'there is no such file in our storage', true)
    }
    // Uploaded by hand: measured like any other file.
    const { staged, mime, durationMs } = await obtain({ ...WANTED[role], sourceUrl: null, stagedKey: blobKey, providerDurationMs: null }, signal)
    const { sha256, bytes } = staged
    await staged.discard()
    return { ...name, blobKey, sha256, bytes, mime, durationMs, sourceUrl: null }
  }

  async function fetchOne(work: Work, role: Role, ours: string, signal: AbortSignal): Promise<{ url: string; file: Kept }> {
    const url = work.urls[role]!
    const own = await find(url, ours, role, signal)
    if (own) return { url, file: own }
    const fetchFrom = (from: string) => obtain({ ...WANTED[role], sourceUrl: from, stagedKey: null, providerDurationMs: null }, signal)
    // An address of the team's own may be dead while the provider still has the song.
    const other = role === 'audio' && work.providerUrl !== url ? work.providerUrl : null
    let sourceUrl = url
    const { staged, mime, ext, durationMs } = await fetchFrom(url).catch((error) => {
      if (!other || !(error instanceof SaveRefused)) throw error
      sourceUrl = other
      return fetchFrom(other).catch(() => { throw error })
    })
    const { sha256, bytes } = staged
    const bucket = BUCKETS[role]
    const blobKey = await publishOnce(blobs, staged, join(bucket, work.userId, work.trackId), { ext, mime })
    const path = blobKey.slice(bucket.length + 1)
    return { url: urlOf(ours, bucket, path, sha256), file: { bucket, path, blobKey, sha256, bytes, mime, durationMs, sourceUrl } }
  }

  function refusal(error: unknown, work: Work, role: Role): SaveRefused {
    if (error instanceof SaveRefused) return error
    // A full disk, lost rights, a fault of ours: told and tried again later.
    logger.error({ err: error, trackId: work.trackId, role }, 'a file could not be archived')
    return new SaveRefused('storage_failed', String((error as NodeJS.ErrnoException).code ?? (error as Error).name))
  }
}
