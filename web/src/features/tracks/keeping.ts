import { isStored, type Track } from './tracks.ts'

const URGENT_MS = 2 * 86_400_000

/** How long a song that is not yet with us can still be had. `leftMs` is 0 when its time is over. */
export type Keeping = { state: 'safe' } | { state: 'unknown' | 'kept' | 'urgent' | 'over' | 'gone'; leftMs: number }

export function keepingOf(track: Pick<Track, 'audioUrl' | 'providerUrl' | 'expiresAt' | 'saving'>, now: number): Keeping {
  if (isStored(track)) return { state: 'safe' }
  if (track.saving === 'gone') return { state: 'gone', leftMs: 0 }
  const end = Date.parse(track.expiresAt ?? '')
  if (Number.isNaN(end)) return { state: 'unknown', leftMs: 0 }
  const leftMs = Math.max(0, end - now)
  return { state: leftMs === 0 ? 'over' : leftMs <= URGENT_MS ? 'urgent' : 'kept', leftMs }
}
