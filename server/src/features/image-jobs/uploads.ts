import type { Queryable } from '../../database/pool.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Ids } from '../../kernel/ids.ts'
import { BadFile } from '../../media/bad-file.ts'
import { cleanPicture, type CleanPicture } from '../../media/picture.ts'
import { StageTooLarge, type BlobStore, type StagedFile } from '../../storage/blob-store.ts'
import type { FieldRule } from '../../texts/texts.ts'
import { createTurns } from './turns.ts'
import { countUnnamed, UPLOADS } from './unnamed-uploads.ts'

export const MOST_UPLOAD_BYTES = 15 * 2 ** 20
/** Decoded at once in a process: each may take `MOST_MEMORY` (200 MB) for a moment. */
const AT_ONCE = 2
/** On their way in a process (slow senders too, so there are many), and of one user in it: more than the pictures of two jobs. */
const UNDER_WAY = 300
const UNDER_WAY_OF_ONE = 12
/** Kept of one user without a job that names them; whoever has more under way may come a few above it. */
const MOST_UNNAMED = { files: 200, bytes: 500 * 2 ** 20 }

/** A picture of a user's in our storage. */
export interface KeptPicture {
  bucket: string
  path: string
}

export interface Upload extends KeptPicture {
  id: string
  mime: string
  bytes: number
  width: number
  height: number
}

/**
 * Keeps strangers' pictures: each is received up to 15 MB, made anew from its pixels and put into the private bucket.
 * What was received is never kept.
 */
export function createUploads({ db, schema, blobs, ids }: { db: Queryable; schema: string; blobs: Pick<BlobStore, 'stage' | 'publish'>; ids: Ids }) {
  const enter = createTurns({ atOnce: AT_ONCE, most: UNDER_WAY, mostOfOne: UNDER_WAY_OF_ONE })

  async function checkRoom(userId: string, field: string): Promise<void> {
    const { files, bytes } = await countUnnamed(db, schema, userId, MOST_UNNAMED)
    if (files < MOST_UNNAMED.files && bytes < MOST_UNNAMED.bytes) return
    throw new AppError('validation_failed', {}, [{ path: field, rule: 'too_many_uploads', message: '' }])
  }

  /** `field` is what a refusal names. Throws AppError: too_many_requests, validation_failed; BadFile; what `receive` throws. */
  const keep = (userId: string, field: string, receive: () => Promise<StagedFile>): Promise<Upload> => enter(userId, async (inTurn) => {
    await checkRoom(userId, field)
    const received = await receive()
    const picture = await inTurn(() => cleanPicture(received.path)).finally(() => received.discard())
    const id = ids.uuid()
    const path = `${userId}/${id}.${picture.ext}`
    const staged = await blobs.stage(one(picture), { maxBytes: MOST_UPLOAD_BYTES * 2 })
    try {
      await blobs.publish(staged, `${UPLOADS}/${path}`, { mime: picture.mime })
    } finally {
      await staged.discard()
    }
    // No source: whatever its address gives are not these bytes, and nobody is to fetch a user's address unasked.
    await db.query(
      `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime) values ($1, $2, $1 || '/' || $2, $3, $4, $5, $6)`,
      [UPLOADS, path, userId, staged.sha256, staged.bytes, picture.mime])
    return { id, bucket: UPLOADS, path, mime: picture.mime, bytes: staged.bytes, width: picture.width, height: picture.height }
  })

  return {
    keep,
    /** Throws AppError: payload_too_large; unsupported_media_type (no JPEG, PNG or WebP); too_many_requests; validation_failed (damaged, too many pixels, no room). */
    async receive(userId: string, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Upload> {
      try {
        return await keep(userId, 'image', () => blobs.stage(body, { maxBytes: MOST_UPLOAD_BYTES, signal }))
      } catch (error) {
        if (error instanceof StageTooLarge) throw new AppError('payload_too_large', { maxBytes: MOST_UPLOAD_BYTES })
        if (!(error instanceof BadFile)) throw error
        if (error.reason === 'wrong_type') throw new AppError('unsupported_media_type')
        throw new AppError('validation_failed', {}, [{ path: 'image', rule: whyRefused(error), message: '' }])
      }
    },
    /** For a request that names it: from now on it is kept as if it were new. */
    async use(userId: string, id: string): Promise<KeptPicture | null> {
      const { rows } = await db.query<KeptPicture>(
        'update reprise.files set used_at = reprise.now() where bucket = $1 and path = any ($2) and user_id = $3 returning bucket, path', [UPLOADS, pathsOf(userId, id), userId])
      return rows[0] ?? null
    },
    async find(userId: string, id: string): Promise<{ bucket: string; path: string; blobKey: string; bytes: number; mime: string; sha256: string; userId: string } | null> {
      const { rows } = await db.query<any>(
        `select bucket, path, blob_key as "blobKey", bytes, mime, sha256, user_id as "userId" from reprise.files where bucket = $1 and path = any ($2) and user_id = $3`,
        [UPLOADS, pathsOf(userId, id), userId])
      return rows[0] ?? null
    },
  }
}

export type Uploads = ReturnType<typeof createUploads>

/** What is wrong with somebody's picture. */
export function whyRefused({ reason }: BadFile): FieldRule {
  if (reason === 'too_many_pixels') return 'too_many_pixels'
  return reason === 'wrong_type' || reason === 'html' ? 'not_a_picture' : 'damaged_picture'
}

const pathsOf = (userId: string, id: string) => ['jpg', 'webp'].map((ext) => `${userId}/${id}.${ext}`)

async function* one({ bytes }: CleanPicture): AsyncIterable<Uint8Array> {
  yield bytes
}
