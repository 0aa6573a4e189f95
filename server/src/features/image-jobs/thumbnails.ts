import type { Database } from '../../database/pool.ts'
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
  logger: Logger
}

interface Large { id: string; userId: string; path: string; imageUrl: string; blobKey: string }

const PER_ROUND = 12
/** Pictures in memory at once; each has 20 MB at most. */
const AT_ONCE = 3
const MOST_BYTES = 20 * 2 ** 20

/**
 * Small copies of stored pictures, for lists. Side work: nothing waits for it, and whatever a crash leaves undone is found
 * again by its missing address. One round makes the next few; answers whether there may be more.
 */
export function createThumbnails({ db, schema, blobs, urlOf, logger }: Deps) {
  const tasks = `"${schema}".generation_tasks`

  async function make({ id, userId, path, imageUrl, blobKey }: Large): Promise<void> {
    const stream = await blobs.get(blobKey)
    if (!stream) throw new BadFile('empty', 'the picture is not in our storage')
    const chunks: Uint8Array[] = []
    for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk)
    const bytes = await thumbnailOf(Buffer.concat(chunks))
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

  async function makeOrGiveUp(large: Large): Promise<void> {
    try {
      await make(large)
    } catch (error) {
      if (!(error instanceof BadFile)) throw error
      // It will not become readable by trying again: the list shows the picture itself.
      logger.warn({ err: error, taskId: large.id }, 'no small copy can be made of a picture')
      await write(large.id, large.imageUrl, large.imageUrl)
    }
  }

  return async function round(): Promise<'more' | 'done'> {
    const { rows } = await db.query<Large>(
      `select t.id, f.user_id as "userId", f.path, f.blob_key as "blobKey", t.image_url as "imageUrl"
       from ${tasks} t join reprise.files f on f.bucket = $1 and f.path = t.storage_path
       where t.storage_path is not null and t.thumbnail_url is null and t.generation_id is not null limit $2`, [PICTURES, PER_ROUND])
    const left = [...rows]
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let large = left.pop(); large; large = left.pop()) await makeOrGiveUp(large)
    }))
    return rows.length === PER_ROUND ? 'more' : 'done'
  }
}

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
