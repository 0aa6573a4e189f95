import type { Playable } from './player.ts'
import { downloadUrl, isStored, sourcesOf, type Track } from './tracks.ts'

/** What of this track can be heard now: our copy or the provider's, else the preview, else nothing. */
export function playableOf(track: Track, about: { title: string; subtitle?: string; generationId?: string }): Playable | undefined {
  const whole = Boolean(track.audioUrl)
  const sources = whole ? sourcesOf(track) : track.previewUrl ? [track.previewUrl] : []
  if (sources.length === 0) return undefined
  return {
    id: whole ? track.id : `${track.id}:preview`,
    title: about.title,
    subtitle: about.subtitle,
    sources,
    stored: whole && isStored(track),
    downloadUrl: downloadUrl(track),
    coverUrl: track.coverUrl,
    durationMs: track.durationMs,
    trackId: whole ? track.id : undefined,
    generationId: about.generationId ?? track.generationId ?? undefined,
  }
}
