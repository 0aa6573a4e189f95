import type { Database } from '../../database/pool.ts'
import type { Clock } from '../../kernel/clock.ts'
import { sha256Hex } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import { BadFile } from '../../media/bad-file.ts'
import { thumbnailOf } from '../../media/picture.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { publishOnce } from '../../storage/publish-once.ts'
import { PICTURES } from './pictures.ts'

interface Deps {
  db: Database
  schema: string
  blobs: BlobStore
  urlOf: (bucket: string, path: string, sha256: string) => Promise<string>
  clock: Clock
  logger: Logger
}

interface Large { id: string; userId: string; path: string; imageUrl: string; blobKey: string; sha256: string }

const PER_ROUND = 12
/** Pictures in memory at once; each has 20 MB at most. */
const AT_ONCE = 3
const MOST_BYTES = 20 * 2 ** 20
/** One that could not be read waits so long, and for all others. */
const AGAIN_MS = 600_000

/**
 * Small copies of stored pictures, for lists. Side work: nothing waits for it, and whatever a crash leaves undone is found
 * again by its missing address. One round makes the next few; answers whether there may be more.
 */
export function createThumbnails({ db, schema, blobs, urlOf, clock, logger }: Deps) {
  const tasks = `"${schema}".generation_tasks`
  /** Those that could not be read, and when they are tried again. */
  const postponed = new Map<string, number>()

  async function make({ id, userId, path, imageUrl, blobKey, sha256: whole }: Large): Promise<void> {
    const stream = await blobs.get(blobKey)
    const chunks: Uint8Array[] = []
    for await (const chunk of (stream ?? []) as AsyncIterable<Uint8Array>) chunks.push(chunk)
    const picture = Buffer.concat(chunks)
    // Missing or damaged it may be put right; only what was read as it was stored can be found to be no picture.
    if (sha256Hex(picture) !== whole) throw new Error('the stored picture is missing or damaged')
    const bytes = await thumbnailOf(picture)
    const staged = await blobs.stage(one(bytes), { maxBytes: MOST_BYTES })
    const { sha256, bytes: length } = staged
    const mime = 'image/webp'
    const key = await publishOnce(blobs, staged, `${PICTURES}/${path.replace(/\.[^./]*$/, '')}-480`, { ext: 'webp', mime })
    const small = key.slice(PICTURES.length + 1)
    await db.query(
      `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime) values ($1, $2, $3, $4, $5, $6, $7) on conflict (bucket, path) do nothing`,
      [PICTURES, small, key, userId, sha256, length, mime])
    await write(id, await urlOf(PICTURES, small, sha256), imageUrl)
  }

  const write = (id: string, url: string, imageUrl: string) =>
    db.query(`update ${tasks} set thumbnail_url = $2 where id = $1 and thumbnail_url is null and image_url = $3`, [id, url, imageUrl])

  /** False when it is to be tried again later. */
  async function makeOrGiveUp(large: Large): Promise<boolean> {
    try {
      await make(large)
    } catch (error) {
      if (!(error instanceof BadFile)) {
        if (!postponed.has(large.id)) logger.warn({ err: error, taskId: large.id }, 'a picture cannot be read for its small copy')
        postponed.set(large.id, clock.now() + AGAIN_MS)
        return false
      }
      // It will not become readable by trying again: the list shows the picture itself.
      logger.warn({ err: error, taskId: large.id }, 'no small copy can be made of a picture')
      await write(large.id, large.imageUrl, large.imageUrl)
    }
    postponed.delete(large.id)
    return true
  }

  const find = async (which: string, ids: string[], most: number): Promise<Large[]> => (await db.query<Large>(
    `select t.id, f.user_id as "userId", f.path, f.blob_key as "blobKey", f.sha256, t.image_url as "imageUrl"
     from ${tasks} t join reprise.files f on f.bucket = $1 and f.path = t.storage_path
     where t.storage_path is not null and t.thumbnail_url is null and t.generation_id is not null and ${which} limit $3`, [PICTURES, ids, most])).rows

  return async function round(): Promise<'more' | 'done'> {
    const fresh = await find('t.id <> all ($2)', [...postponed.keys()], PER_ROUND)
    const due = [...postponed].flatMap(([id, at]) => (at <= clock.now() ? [id] : []))
    const again = due.length && fresh.length < PER_ROUND ? await find('t.id = any ($2)', due, PER_ROUND - fresh.length) : []
    // Gone, or somebody else was able to read them.
    if (again.length < PER_ROUND - fresh.length) for (const id of due) if (!again.some((large) => large.id === id)) postponed.delete(id)
    const left = [...again, ...fresh]
    const all = left.length
    let made = 0
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let large = left.pop(); large; large = left.pop()) if (await makeOrGiveUp(large)) made++
    }))
    // None at all: the store may be away, and is not asked for everything at once.
    return all === PER_ROUND && made > 0 ? 'more' : 'done'
  }
}

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
