import { api } from '../../app/api.ts'
import { queryClient } from '../../app/queries.ts'
import { valueStore } from '../../app/value-store.ts'
import { refresh } from './player.ts'
import { getTrack, isStored, type Track } from './tracks.ts'

/**
 * How a "retry download" goes. `asked`: the server is at it. `slow`: it goes on, but longer than one likes to watch.
 * `resting`: it did not work, the next try is set. `gone`: nobody has the file. `refused`: the request itself failed.
 */
export type Retried =
  | { state: 'asked' | 'saved' | 'slow' | 'gone' }
  | { state: 'resting'; nextTryAt: string | null }
  | { state: 'refused'; problem: unknown }

/** By track, so that every button about the same song says the same. */
export const retried = valueStore<Record<string, Retried>>({})

const ASK_EVERY_MS = 1500
const WATCH_MS = 90_000

/** Has the file fetched again, free, and watches until it is with us; a player that is stuck on it goes on. */
export async function retryDownload(id: string): Promise<void> {
  if (retried.get()[id]?.state === 'asked') return
  tell(id, { state: 'asked' })
  try {
    let track = await api<Track>(`/api/tracks/${encodeURIComponent(id)}/retry-download`, { method: 'POST', body: {} })
    for (const end = Date.now() + WATCH_MS; !isStored(track) && !ended(track) && Date.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))
      track = await getTrack(id)
    }
    tell(id, outcomeOf(track))
    if (isStored(track)) refresh(track)
  } catch (problem) {
    tell(id, { state: 'refused', problem })
  }
  for (const key of ['tracks', 'generations', 'generation']) void queryClient.invalidateQueries({ queryKey: [key] })
}

const ended = (track: Track) => track.saving === 'resting' || track.saving === 'gone'

export function outcomeOf(track: Track): Retried {
  if (isStored(track)) return { state: 'saved' }
  if (track.saving === 'resting') return { state: 'resting', nextTryAt: track.nextTryAt ?? null }
  return { state: track.saving === 'gone' ? 'gone' : 'slow' }
}

const tell = (id: string, news: Retried) => retried.set({ ...retried.get(), [id]: news })
