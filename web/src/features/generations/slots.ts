import type { Track } from '../tracks/tracks.ts'
import { isOpen, type Generation } from './generations.ts'

/** One song of a generation: ours already, to be heard as a preview, or still to come. `n` counts from 1. */
export interface Slot {
  n: number
  track: Track | undefined
  previewUrl: string | undefined
}

/** Songs that one request gives when nothing else is known. */
const USUAL = 2

/** The places of a generation's songs, in the order of their variants. An ended one shows only what it has. */
export function slotsOf(generation: Pick<Generation, 'state' | 'tracks' | 'previews'>): Slot[] {
  const tracks = new Map((generation.tracks ?? []).map((track, i) => [track.variant ?? i + 1, track]))
  const previews = new Map((generation.previews ?? []).map((preview) => [preview.index + 1, preview.previewUrl]))
  const open = isOpen(generation)
  const most = Math.max(open ? USUAL : 0, ...tracks.keys(), ...(open ? previews.keys() : []))
  return Array.from({ length: most }, (_, i) => ({ n: i + 1, track: tracks.get(i + 1), previewUrl: previews.get(i + 1) })).filter(
    (slot) => open || slot.track,
  )
}
