import type { Queryable } from '../../database/pool.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Ids } from '../../kernel/ids.ts'
import { BadFile } from '../../media/bad-file.ts'
import { cleanPicture, type CleanPicture } from '../../media/picture.ts'
import { StageTooLarge, type BlobStore, type StagedFile } from '../../storage/blob-store.ts'

export const UPLOADS = 'image-uploads'
export const MOST_UPLOAD_BYTES = 15 * 2 ** 20
/** Decoded at once in a process: each may take 200 MB for a moment. */
const AT_ONCE = 2
/** Waiting for their turn; whoever comes then is asked to come again. */
const WAITING = 20

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
export function createUploads({ db, blobs, ids }: { db: Queryable; blobs: Pick<BlobStore, 'stage' | 'publish'>; ids: Ids }) {
  const inTurn = createTurns(AT_ONCE, WAITING)

  async function keep(userId: string, received: StagedFile, sourceUrl: string | null): Promise<Upload> {
    const picture = await inTurn(() => cleanPicture(received.path)).finally(() => received.discard())
    const id = ids.uuid()
    const path = `${userId}/${id}.${picture.ext}`
    const staged = await blobs.stage(one(picture), { maxBytes: MOST_UPLOAD_BYTES * 2 })
    try {
      await blobs.publish(staged, `${UPLOADS}/${path}`, { mime: picture.mime })
    } finally {
      await staged.discard()
    }
    await db.query(
      `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, source_url) values ($1, $2, $1 || '/' || $2, $3, $4, $5, $6, $7)`,
      [UPLOADS, path, userId, staged.sha256, staged.bytes, picture.mime, sourceUrl])
    return { id, bucket: UPLOADS, path, mime: picture.mime, bytes: staged.bytes, width: picture.width, height: picture.height }
  }

  return {
    keep,
    /** Throws AppError: payload_too_large; unsupported_media_type (no JPEG, PNG or WebP); validation_failed (damaged, too many pixels). */
    async receive(userId: string, body: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<Upload> {
      try {
        return await keep(userId, await blobs.stage(body, { maxBytes: MOST_UPLOAD_BYTES, signal }), null)
      } catch (error) {
        if (error instanceof StageTooLarge) throw new AppError('payload_too_large', { maxBytes: MOST_UPLOAD_BYTES })
        if (!(error instanceof BadFile)) throw error
        if (error.reason === 'wrong_type') throw new AppError('unsupported_media_type')
        throw new AppError('validation_failed', {}, [{ path: 'image', rule: 'invalid', message: whyRefused(error) }])
      }
    },
    async find(userId: string, id: string): Promise<{ bucket: string; path: string; blobKey: string; bytes: number; mime: string; sha256: string; userId: string } | null> {
      const { rows } = await db.query<any>(
        `select bucket, path, blob_key as "blobKey", bytes, mime, sha256, user_id as "userId" from reprise.files where bucket = $1 and path = any ($2) and user_id = $3`,
        [UPLOADS, ['jpg', 'webp'].map((ext) => `${userId}/${id}.${ext}`), userId])
      return rows[0] ?? null
    },
  }
}

export type Uploads = ReturnType<typeof createUploads>

/** For people: what is wrong with their picture. */
export function whyRefused({ reason }: BadFile): string {
  if (reason === 'too_many_pixels') return 'The picture has too many pixels: 50 million at most.'
  if (reason === 'wrong_type' || reason === 'html') return 'Not a picture: JPEG, PNG or WebP.'
  return 'The picture is damaged or empty.'
}

/** Runs at most `atOnce` together; 429 for whoever finds `waiting` others before them. */
export function createTurns(atOnce: number, waiting: number) {
  let running = 0
  const queue: (() => void)[] = []
  return async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= atOnce) {
      if (queue.length >= waiting) throw new AppError('too_many_requests', { retryAfterSec: 5 })
      await new Promise<void>((resolve) => queue.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      // The place goes to the next one, or is free.
      const next = queue.shift()
      if (next) next()
      else running--
    }
  }
}

async function* one({ bytes }: CleanPicture): AsyncIterable<Uint8Array> {
  yield bytes
}
