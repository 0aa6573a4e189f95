import type { Clock } from '../../kernel/clock.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { bagOf, madeFile, zip, zipLength, type BagFile } from './bag.ts'
import type { Library, StoredFile } from './library.ts'
import { createNames, endingOf, safeTitle } from './names.ts'

interface Deps {
  library: Library
  blobs: Pick<BlobStore, 'get' | 'head'>
  /** Of these files, those known to be damaged. */
  damaged: (blobKeys: string[]) => Promise<Set<string>>
  /** Told of a file that is not what its record says. */
  suspect: (blobKey: string) => void
  version: string
  clock: Clock
}

/** What the bag does not hold, and why. */
export interface Missing {
  trackId: string | null
  title: string | null
  file: string
  reason: 'not stored yet' | 'kept in another store' | 'missing in our storage' | 'damaged in our storage'
  sha256?: string
  /** Where it is, as far as known. */
  url?: string
}

export interface Export {
  /** For the ZIP, without ending, and the folder in it. */
  name: string
  /** Of the whole ZIP. */
  bytes: number
  tracks: number
  files: number
  missing: Missing[]
  /** To be read once. `ended` is called when it is over: read, broken, cancelled, or nobody took anything for 5 minutes. */
  stream(ended?: () => void): ReadableStream<Uint8Array>
}

const HEADS_AT_ONCE = 16

/**
 * A user's whole library as a BagIt bag in a ZIP: every file byte for byte, a sidecar for each track, manifests. All
 * that goes in is looked at before the first byte goes out: what is not there is listed in `data/missing.json`.
 */
export function createExport({ library, blobs, damaged, suspect, version, clock }: Deps) {
  /** Null when the file is there, as long as its record says. */
  async function absence(file: StoredFile, known: Set<string>): Promise<Missing['reason'] | null> {
    if (known.has(file.blobKey)) return 'damaged in our storage'
    const head = await blobs.head(file.blobKey)
    if (head?.bytes === file.bytes) return null
    suspect(file.blobKey)
    return head ? 'damaged in our storage' : 'missing in our storage'
  }

  async function plan(userId: string) {
    const names = createNames()
    const payload: BagFile[] = []
    const missing: Missing[] = []
    let tracks = 0

    /** Puts files under names of one stem into the bag; answers what the sidecar tells of each. */
    async function take(stem: string, files: StoredFile[], of: { id: string; title: string | null } | null, at: Date) {
      const told: object[] = []
      const known = await damaged(files.map(({ blobKey }) => blobKey))
      for (let from = 0; from < files.length; from += HEADS_AT_ONCE) {
        const some = files.slice(from, from + HEADS_AT_ONCE)
        const reasons = await Promise.all(some.map((file) => absence(file, known)))
        for (const [index, file] of some.entries()) {
          const name = names(stem, endingOf(file.path, file.mime))
          const { sha256, bytes, mime } = file
          const reason = reasons[index]!
          told.push({ name: reason ? null : name, sha256, bytes, mime })
          if (reason) missing.push({ trackId: of?.id ?? null, title: of?.title ?? null, file: name, reason, sha256 })
          else payload.push({ name: `data/${name}`, sha256, bytes, at, content: file })
        }
      }
      return told
    }

    for await (const track of library.tracks(userId)) {
      tracks++
      const stem = `${safeTitle(track.title)}-${track.id}`
      const files = await take(stem, track.files, track, track.createdAt)
      for (const { file, url, kept } of track.elsewhere) {
        missing.push({ trackId: track.id, title: track.title, file, reason: kept ? 'kept in another store' : 'not stored yet', url })
      }
      payload.push(madeFile(`data/${names(stem, 'json')}`, json({ ...track.told, files }), track.createdAt))
    }
    const now = new Date(clock.now())
    for (const file of await library.others(userId)) {
      const name = file.path.split('/').at(-1)!
      await take(safeTitle(name.replace(/\.[^.]*$/, '')), [file], null, now)
    }
    payload.push(madeFile('data/missing.json', json(missing), now))
    return { payload, missing, tracks, now }
  }

  return async function prepare(userId: string): Promise<Export> {
    const { payload, missing, tracks, now } = await plan(userId)
    const day = now.toISOString().slice(0, 10)
    const name = `reprise-library-${userId}-${day}`
    const files = bagOf(payload, {
      'Bag-Software-Agent': `Reprise ${version}`,
      'Bagging-Date': day,
      'External-Identifier': userId,
      'External-Description': `Library of user ${userId}: ${tracks} tracks; ${missing.length} files are missing, see data/missing.json`,
    }, now)
    const stored = payload.filter(({ content }) => !(content instanceof Uint8Array)).length
    return { name, bytes: zipLength(name, files), tracks, files: stored, missing, stream: (ended) => zip(name, files, { blobs, suspect, ended }) }
  }
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

export type PrepareExport = ReturnType<typeof createExport>
