import { sleep } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { GenerationQueries, GenerationRow, Named, SongState } from './generations.queries.ts'

export interface DownloadAsk extends Named {
  /** The provider's address of the result that is meant. */
  externalUrl: string
  filename?: string | undefined
  signal?: AbortSignal
}

export type DownloadEnd =
  | { kind: 'stored'; generationId: string; trackId: string; url: string; path: string; bytes: number }
  | { kind: 'in_progress'; since: Date; retryAfterSec: number }

interface Deps {
  generations: GenerationQueries
  /** Whether a song of the team's row may be fetched from there. */
  isValidAudioUrl: (url: string) => boolean
  /** Has the engine fetch again what it gave up. */
  redownload: (generationId: string) => Promise<void>
  /** Puts stored bytes right that are lost or damaged. */
  heal: (blobKey: string) => Promise<'whole' | 'healed' | 'gone'>
  blobs: Pick<BlobStore, 'head'>
  /** Most that a caller waits; ms. */
  waitMs?: number
}

const ASK_EVERY_MS = 250
const RETRY_AFTER_SEC = 5

/**
 * Sees to it that a result is stored and waits for that a while. Never downloads itself: the engine and the archive do,
 * each result once, whoever asks how often.
 */
export function createDownload({ generations, isValidAudioUrl, redownload, heal, blobs, waitMs = 25_000 }: Deps) {
  async function songOf(generation: GenerationRow, index: number): Promise<SongState> {
    const song = (await generations.songs(generation.id)).find((one) => one.index === index)
    if (!song || song.deleted) throw new AppError('not_found')
    return song
  }

  /** The result whose address this is; that of our own copy will do too. */
  async function meant(generation: GenerationRow, { externalUrl, trackId }: DownloadAsk): Promise<SongState> {
    const songs = await generations.songs(generation.id)
    const song = songs.find((one) => [one.providerUrl, one.audioUrl, one.stored?.url].includes(externalUrl))
    if (!song) throw new AppError('forbidden', { reason: 'not_a_result' })
    if (trackId && songs.some((one) => one.trackId === trackId) && song.trackId !== trackId) {
      throw new AppError('validation_failed', {}, [{ path: 'track_id', rule: 'conflict', message: 'This address is not that track’s.' }])
    }
    if (song.deleted) throw new AppError('not_found')
    return song
  }

  return async function download(ask: DownloadAsk): Promise<DownloadEnd> {
    const generation = await generations.find(ask)
    let song = await meant(generation, ask)
    const end = performance.now() + waitMs
    const inTime = <T>(work: Promise<T>): Promise<T | null> => Promise.race([work, sleep(Math.max(0, end - performance.now()), ask.signal).then(() => null)])
    const stored = (): DownloadEnd | null => song.stored && {
      kind: 'stored', generationId: generation.id, trackId: song.trackId!, url: song.stored.url, path: song.stored.path, bytes: song.stored.bytes,
    }

    let jobId: string | null = null
    if (song.stored) {
      const health = (await isFine(song.stored)) ? 'whole' : await inTime(heal(song.stored.blobKey!))
      if (health === 'gone') throw new AppError('download_failed')
      if (health) return stored()!
    } else {
      if (ask.filename) await generations.wishName(generation.id, song.index, ask.filename)
      jobId = await getGoing(generation, song)
      while (performance.now() < end && !ask.signal?.aborted) {
        song = await songOf(generation, song.index)
        const done = stored()
        if (done) return done
        if (song.engine?.state === 'refused' || (jobId && (await generations.job(jobId))?.failed)) throw new AppError('download_failed')
        await sleep(ASK_EVERY_MS, ask.signal)
      }
    }
    const lock = await generations.lock(generation.id, song.index)
    const job = jobId ? await generations.job(jobId) : null
    return { kind: 'in_progress', since: lock?.since ?? job?.since ?? song.engine?.since ?? new Date(), retryAfterSec: Math.max(RETRY_AFTER_SEC, lock?.lastsSec ?? 0) }
  }

  /** Without reading it whole: kept by the team itself, or hashed lately and as long as ever. */
  async function isFine({ blobKey, verifiedLately, bytes }: NonNullable<SongState['stored']>): Promise<boolean> {
    return blobKey === null || (verifiedLately && (await blobs.head(blobKey))?.bytes === bytes)
  }

  /** Wakes who fetches it; leaves alone who is at it. Answers the archive's job, when it is the archive's. */
  async function getGoing(generation: GenerationRow, song: SongState): Promise<string | null> {
    if (song.engine) {
      if (song.engine.state !== 'expected' && !song.engine.busy) await redownload(generation.id)
      return null
    }
    if (!song.providerUrl || !isValidAudioUrl(song.providerUrl)) throw new AppError('forbidden', { reason: 'address_not_allowed' })
    if (!song.exists) await generations.makeTracks(generation.id)
    const { trackId } = await songOf(generation, song.index)
    if (!trackId) throw new AppError('not_found')
    return generations.openJob(trackId)
  }
}

export type Download = ReturnType<typeof createDownload>
