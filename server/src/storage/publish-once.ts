import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import type { BlobStore, StagedFile } from './blob-store.ts'

/**
 * Publishes under `place.ext`. A name is never given to other bytes: when somebody was here before with the same bytes
 * our work is done, with others the file gets a name of its own. The staged file is discarded. Answers the key.
 */
export async function publishOnce(blobs: BlobStore, staged: StagedFile, place: string, { ext, mime }: { ext: string; mime: string }): Promise<string> {
  try {
    const key = `${place}.${ext}`
    if ((await blobs.publish(staged, key, { mime })) !== 'exists' || (await hashOf(blobs, key)) === staged.sha256) return key
    const another = `${place}.${staged.sha256.slice(0, 16)}.${ext}`
    await blobs.publish(staged, another, { mime })
    return another
  } finally {
    await staged.discard()
  }
}

async function hashOf(blobs: BlobStore, key: string): Promise<string | null> {
  const stream = await blobs.get(key)
  if (!stream) return null
  const hash = createHash('sha256')
  await pipeline(stream, hash)
  return hash.digest('hex')
}
