import { providerError } from '../http-call.ts'
import type { ProviderResult, Snapshot } from '../provider.ts'
import { FAILED_STATUSES } from './errors.ts'
import { SONGS_PER_REQUEST } from './models.ts'

/**
 * A task's status as the engine understands it. Songs speak louder than the status: no file without an address,
 * and an address counts even where the status is unknown.
 */
export function readSnapshot(
  status: string | null,
  songs: ProviderResult[],
  errorText: string,
  raw: unknown,
): Snapshot {
  const finished = songs.filter((song) => song.final).length
  const heard = songs.some((song) => song.final || song.previewUrl)
  const open = (): Snapshot => ({ status: heard ? 'partial' : 'running', results: songs, error: null, raw })
  const succeeded = (): Snapshot => ({ status: 'succeeded', results: songs, error: null, raw })

  const failure = status !== null && Object.hasOwn(FAILED_STATUSES, status) ? FAILED_STATUSES[status] : undefined
  if (failure) {
    return { status: 'failed', results: songs, error: providerError(failure, `${status} ${errorText}`.trim()), raw }
  }
  switch (status) {
    // Also without a file: addresses may be filled in a moment later, so the engine asks again before it believes it.
    case 'SUCCESS':
      return succeeded()
    // Their call to us failed, which says nothing about the music: the songs decide.
    case 'CALLBACK_EXCEPTION':
      return finished >= SONGS_PER_REQUEST ? succeeded() : open()
    case 'PENDING':
      return heard ? open() : { status: 'queued', results: songs, error: null, raw }
    // TEXT_SUCCESS, FIRST_SUCCESS, GENERATING, and whatever they think of next.
    default:
      return open()
  }
}
