import { BadFile, inspect, type MediaFacts } from '../media/inspect.ts'
import { toJpeg } from '../media/cover.ts'
import { drawCover, isDrawn } from '../media/drawn-cover.ts'
import { SaveRefused, type SaveJob, type Verified } from './save.ts'
import { StageTooLarge, type BlobStore, type StagedFile } from '../storage/blob-store.ts'
import { download, DownloadError, MAX_BYTES, type DownloadOptions } from '../storage/download.ts'
import type { GuardedFetch } from '../storage/guarded-fetch.ts'

const EXPECT = { song: 'audio', image: 'image', video: 'video' } as const

/** How long a download may take, be silent and drip; what is not named is as `download` has it. */
export type DownloadLimits = Pick<DownloadOptions, 'timeoutMs' | 'idleTimeoutMs' | 'minRate'>

/** What obtaining needs to know of a file. */
export type Wanted = Pick<SaveJob, 'role' | 'kind' | 'sourceUrl' | 'stagedKey' | 'providerDurationMs'>

/** Fetches a result's file (or takes its staged bytes) and makes sure that it is what it should be. Throws SaveRefused. */
export function createObtain({ blobs, guardedFetch, limits }: { blobs: BlobStore; guardedFetch: GuardedFetch; limits?: DownloadLimits }) {
  return async function obtain(job: Wanted, signal: AbortSignal): Promise<Verified> {
    const expect = job.role === 'cover' ? 'image' : EXPECT[job.kind]
    const staged = await receive(job, MAX_BYTES[expect], signal)
    try {
      const facts = await inspect(staged.path, { expect, providerDurationMs: job.role === 'final' ? job.providerDurationMs : null })
      if (job.role === 'cover') return await asJpeg(staged, facts)
      return { staged, mime: facts.mime, ext: facts.ext, durationMs: facts.durationMs, bitrate: facts.bitrate }
    } catch (error) {
      await staged.discard()
      // Bytes that are ours already will not get better.
      if (error instanceof BadFile) throw new SaveRefused('bad_file', error.message, job.stagedKey !== null)
      if (error instanceof StageTooLarge) throw new SaveRefused('file_too_large', error.message, true)
      throw error
    }
  }

  async function receive(job: Wanted, maxBytes: number, signal: AbortSignal): Promise<StagedFile> {
    if (job.stagedKey) {
      const stream = await blobs.get(job.stagedKey)
      if (!stream) throw new SaveRefused('download_failed', 'the staged bytes are gone', true)
      return blobs.stage(stream, { maxBytes, signal }).catch((error) => {
        throw error instanceof StageTooLarge ? new SaveRefused('file_too_large', error.message, true) : error
      })
    }
    if (job.role === 'cover' && isDrawn(job.sourceUrl!)) return blobs.stage(one(await drawCover(job.sourceUrl!)), { maxBytes, signal })
    try {
      return await download(job.sourceUrl!, { ...limits, store: blobs, guardedFetch, maxBytes, signal })
    } catch (error) {
      if (!(error instanceof DownloadError)) throw error
      if (error.code === 'too_large') throw new SaveRefused('file_too_large', error.message, true)
      if (error.code === 'unsafe_url') throw new SaveRefused('unsafe_url', error.message, true)
      const broken = error.code === 'not_media' || error.code === 'empty' || error.code === 'truncated'
      throw new SaveRefused(broken ? 'bad_file' : 'download_failed', error.message)
    }
  }

  /** Covers become JPEG, as the seed names them; one that is JPEG already stays byte for byte. */
  async function asJpeg(staged: StagedFile, facts: MediaFacts): Promise<Verified> {
    const jpeg = { mime: 'image/jpeg', ext: 'jpg', durationMs: null, bitrate: null }
    const bytes = facts.mime === 'image/jpeg' ? null : await toJpeg(staged.path)
    if (!bytes) return { staged, ...jpeg }
    const converted = await blobs.stage(one(bytes), { maxBytes: MAX_BYTES.image })
    await staged.discard()
    return { staged: converted, ...jpeg }
  }
}

async function* one(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
