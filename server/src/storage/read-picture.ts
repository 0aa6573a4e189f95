import type { BlobStore } from './blob-store.ts'
import { isKey } from './key.ts'

/** A picture in our store, by its bucket and its path in it. */
export interface PictureRef {
  bucket: string
  path: string
}

/**
 * Reads a stored picture whole, as it is handed to a provider. Null: not there, no picture, larger than `maxBytes`, or
 * in another bucket than these. Who may use it has been asked before.
 */
export function createReadPicture({ blobs, buckets, maxBytes }: { blobs: Pick<BlobStore, 'head' | 'get'>; buckets: readonly string[]; maxBytes: number }) {
  return async ({ bucket, path }: PictureRef): Promise<{ bytes: Uint8Array; mime: string } | null> => {
    const key = `${bucket}/${path}`
    if (!buckets.includes(bucket) || !isKey(key)) return null
    const head = await blobs.head(key)
    const stream = head && head.bytes <= maxBytes ? await blobs.get(key) : null
    if (!stream) return null
    const pieces: Buffer[] = []
    for await (const piece of stream) pieces.push(piece as Buffer)
    const bytes = Buffer.concat(pieces)
    const mime = mimeOf(bytes)
    return mime === null ? null : { bytes, mime }
  }
}

/** By its first bytes, whatever its name says. */
function mimeOf(bytes: Buffer): string | null {
  if (bytes.subarray(0, 3).equals(Buffer.from([0xff, 0xd8, 0xff]))) return 'image/jpeg'
  if (bytes.subarray(0, 4).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47]))) return 'image/png'
  return bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP' ? 'image/webp' : null
}
