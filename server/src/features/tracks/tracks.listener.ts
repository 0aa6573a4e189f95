import type { BaseAddress } from './base-address.ts'
import { jsonForDatabase } from '../../kernel/json.ts'
import type { AppliedMove, MoveListener } from '../../engine/store.ts'
import type { Result } from '../../engine/state.ts'

/** The bucket of each role; bucket and path are the seeds' (`tracks-audio/{user}/{track}.mp3`). */
export const BUCKETS = { final: 'tracks-audio', cover: 'tracks-covers' } as const

/** A stored file is served under `bucket/path`; a changed file would get another `?v=`. */
export function publicUrl(base: string, bucket: string, path: string, sha256: string): string {
  return `${base}/storage/v1/object/public/${bucket}/${path.split('/').map(encodeURIComponent).join('/')}?v=${sha256.slice(0, 8)}`
}

/**
 * Every stored song becomes a track of its own, in the transaction of the move; covers are added to theirs. Runs for
 * late results too. A track that its owner has deleted stays deleted.
 * @param address with which the URLs in columns begin
 */
export function followTracks(schema: string, address: BaseAddress): MoveListener {
  return async (tx, moves) => {
    if (!moves.some((move) => move.decision.after.generation.kind === 'song' && newlyStored(move)?.file)) return
    const base = await address.current(tx)
    const files: unknown[] = []
    const tracks: unknown[] = []
    const covers: unknown[] = []
    for (const move of moves) {
      const result = newlyStored(move)
      const { generation, results } = move.decision.after
      if (!result?.file || generation.kind !== 'song') continue
      const bucket = BUCKETS[result.role]
      const path = result.file.blobKey.slice(bucket.length + 1)
      const { blobKey, sha256, bytes, mime, durationMs } = result.file
      const url = publicUrl(base, bucket, path, sha256)
      const track = results.find((item) => item.role === 'final' && item.index === result.index)!
      files.push({ bucket, path, blob_key: blobKey, user_id: generation.userId, sha256, bytes, mime, track_id: track.id, source_url: result.sourceUrl })
      if (result.role === 'cover') covers.push({ id: track.id, url })
      else tracks.push({
        id: result.id, user_id: generation.userId, title: result.title ?? generation.request.title ?? titleFrom(generation.request.prompt),
        prompt: generation.request.prompt, lyrics: result.lyrics ?? generation.request.lyrics ?? null, tags: result.tags,
        provider: generation.provider, model: generation.request.model ?? null, audio_url: url, duration_ms: durationMs,
        generation_id: generation.id, track_variant: result.index + 1, total_variants: generation.resultCount, sha256, bytes, mime,
        created_at: generation.createdAt, at: move.at,
        metadata: { provider_url: result.sourceUrl, provider_result_id: result.providerResultId, provider_task_id: generation.providerTaskId },
        cover_url: coverUrl(results, result, base),
      })
    }
    await tx.query({ name: 'follow_tracks', text: `select reprise.follow_tracks($1, $2, $3)`, values: [files, tracks, covers].map(jsonForDatabase) })
  }
}

function newlyStored({ decision: { before, after } }: AppliedMove): Result | null {
  return after.results.find((result) => result.state === 'stored' && before.results.find((old) => old.id === result.id)?.state !== 'stored') ?? null
}

/** The cover may have been stored before its song. */
function coverUrl(results: Result[], song: Result, base: string): string | null {
  const cover = results.find((item) => item.role === 'cover' && item.index === song.index && item.file)
  if (!cover?.file) return null
  return publicUrl(base, BUCKETS.cover, cover.file.blobKey.slice(BUCKETS.cover.length + 1), cover.file.sha256)
}

const titleFrom = (prompt: string): string => (prompt.length > 60 ? `${prompt.slice(0, 59)}…` : prompt)
