import type { Playable } from './player.ts'
import { downloadUrl, type Track } from './tracks.ts'

/** What of this track can be heard now: our copy, else the preview, else nothing. */
export function playableOf(track: Track, about: { title: string; subtitle?: string; generationId?: string }): Playable | undefined {
  const src = track.audioUrl ?? track.previewUrl
  if (!src) return undefined
  return {
    id: track.audioUrl ? track.id : `${track.id}:preview`,
    title: about.title,
    subtitle: about.subtitle,
    src,
    downloadUrl: downloadUrl(track),
    coverUrl: track.coverUrl,
    durationMs: track.durationMs,
    trackId: track.audioUrl ? track.id : undefined,
    generationId: about.generationId ?? track.generationId ?? undefined,
  }
}
