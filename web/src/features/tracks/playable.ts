import type { Playable } from './player.ts'
import type { Track } from './tracks.ts'

/** What of these tracks can be heard now, in order: our copy, else the preview. */
export function playables(tracks: Track[], untitled: string, generationId?: string): Playable[] {
  return tracks.flatMap((track) => {
    const src = track.audioUrl ?? track.previewUrl
    if (!src) return []
    return {
      id: track.audioUrl ? track.id : `${track.id}:preview`,
      title: track.title || untitled,
      src,
      coverUrl: track.coverUrl,
      durationMs: track.durationMs,
      trackId: track.audioUrl ? track.id : undefined,
      generationId: generationId ?? track.generationId ?? undefined,
    }
  })
}
