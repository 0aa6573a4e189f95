import { actingUser, requireUser } from '../../http-kit/authentication.ts'
import type { AppContext } from '../../http-kit/app-env.ts'
import { functionBody } from '../../http-kit/functions.ts'
import { sameRequest, type Idempotency } from '../../http-kit/idempotency.ts'
import { createRouter, type App } from '../../http-kit/openapi.ts'
import type { Database, Tx } from '../../database/pool.ts'
import { AppError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { GenerationRequest } from '../../providers/provider.ts'
import type { Download } from './download.ts'
import type { GenerationQueries, GenerationRow, Named } from './generations.queries.ts'
import { readSongWish } from './song-request.ts'

interface Deps {
  db: Database
  schema: string
  generations: GenerationQueries
  download: Download
  /** Checks before the transaction; what it answers writes in it. AppError when refused, by either. */
  prepare: (asks: [{ userId: string; provider: 'mureka'; request: GenerationRequest; origin: 'mureka-functions'; idempotency: Idempotency }]) =>
    Promise<(tx: Tx) => Promise<{ id: string; replayed: boolean }[]>>
  wakeDispatcher: () => void
  /** An address that a plain `<audio>` can open, also where stored files are not public. */
  playable: (url: string) => string
}

type Body = Record<string, unknown>

const ROUTE = 'POST /functions/v1/generate-mureka-track'

/** Seed 000's functions, as its front end calls them. Reprise stores every result by itself: they ask and wait. */
export function murekaFunctionsRoutes({ db, schema, generations, download, prepare, wakeDispatcher, playable }: Deps): App {
  const app = createRouter()

  app.post('/functions/v1/generate-mureka-track', async (c) => {
    requireUser(c)
    const body = await functionBody(c)
    const userId = await actingUser(c, { bodyUserId: body.userId })
    const { request, notes } = readSongWish(body)
    const { userId: _userId, ...asked } = body
    const write = await prepare([{ userId, provider: 'mureka', origin: 'mureka-functions', request, idempotency: sameRequest(ROUTE, asked, c.req.header('idempotency-key')) }])
    const id = await db.transaction(async (tx) => {
      const [accepted] = (await write(tx)) as [{ id: string; replayed: boolean }]
      if (!accepted.replayed) await tx.query(
        `update "${schema}".ai_generations set prompt = coalesce($2, prompt), metadata = metadata || jsonb_strip_nulls($3::jsonb) where id = $1`,
        [accepted.id, filled(body.prompt) ?? null, JSON.stringify(notes)])
      return accepted.id
    })
    wakeDispatcher()
    return c.json({ success: true, data: { generation_id: id, mureka_task_id: null, status: 'processing', songs: [] } }, 202)
  })

  app.post('/functions/v1/get-mureka-task-status', async (c) => {
    const body = await functionBody(c)
    const generation = await generations.find(await named(c, body))
    const songs = await generations.songs(generation.id)
    return c.json({ success: true, data: {
      generation_id: generation.id, mureka_task_id: generation.taskId, status: murekaWord(generation),
      songs: songs.filter(({ deleted }) => !deleted).map((song) => ({
        id: song.providerId, index: song.index, title: song.title, audio_url: song.audioUrl && playable(song.audioUrl), duration: song.duration, lyrics: song.lyrics,
        track_id: song.exists ? song.trackId : null,
      })),
    } })
  })

  app.post('/functions/v1/save-mureka-generation', async (c) => {
    const body = await functionBody(c)
    const generation = await generations.find(await named(c, body))
    const told = isObject(body.trackData) ? body.trackData : {}
    const index = await savedIndex(generation, told)
    const [projectId, artistId] = [uuidOf(body, 'projectId'), uuidOf(body, 'artistId')]
    const title = filled(told.title)
    await db.transaction(async (tx) => {
      await generations.makeTracks(generation.id, projectId, artistId, tx)
      if (title) await generations.nameSong(generation.id, index, title.slice(0, 200), tx)
    })
    const song = (await generations.songs(generation.id)).find((one) => one.index === index)
    const trackId = song?.trackId ?? (await generations.ownSongId(generation.id, index))
    if (!trackId || song?.deleted) throw new AppError('not_found')
    return c.json({ success: true, data: {
      track_id: trackId, generation_id: generation.id, status: song?.exists ? 'completed' : 'processing', title: song?.title ?? title ?? null,
      audio_url: song?.audioUrl ? playable(song.audioUrl) : null, local_audio_url: song?.stored ? playable(song.stored.url) : null, track_variant: index + 1,
    } })
  })

  app.post('/functions/v1/download-and-save-track', async (c) => {
    const body = await functionBody(c)
    const ids = await named(c, body)
    const externalUrl = filled(body.external_url)
    if (!externalUrl) throw new AppError('validation_failed', {}, [{ path: 'external_url', rule: 'required', message: '' }])
    const end = await download({ ...ids, externalUrl, filename: filled(body.filename), signal: c.req.raw.signal })
    if (end.kind === 'in_progress') {
      c.header('retry-after', String(end.retryAfterSec))
      return c.json({ success: false, status: 'in_progress', message: 'Download already in progress', since: end.since.toISOString(), retryAfterSec: end.retryAfterSec }, 202)
    }
    return c.json({ success: true, status: 'completed', data: {
      generation_id: end.generationId, track_id: end.trackId, local_audio_url: playable(end.url), storage_path: end.path, file_size: end.bytes,
    } })
  })

  /** Which variant is meant: by its address, else by its number. */
  async function savedIndex(generation: GenerationRow, { audio_url, track_variant }: Body): Promise<number> {
    const url = filled(audio_url)
    if (url) {
      const song = (await generations.songs(generation.id)).find((one) => [one.providerUrl, one.audioUrl, one.stored?.url].includes(url))
      if (!song) throw new AppError('forbidden', { reason: 'not_a_result' })
      return song.index
    }
    const variant = Number(track_variant ?? 1)
    if (!Number.isInteger(variant) || variant < 1) throw new AppError('validation_failed', {}, [{ path: 'trackData.track_variant', rule: 'invalid', message: '' }])
    return variant - 1
  }

  return app
}

/** The ids of a request under the seed's names, and whose generations may be meant; the service role's without a name: everybody's. */
async function named(c: AppContext, body: Body): Promise<Named> {
  const { role } = requireUser(c)
  const anybody = role === 'service_role' && !c.req.header('x-user-id') && !filled(body.userId)
  return {
    userId: anybody ? null : await actingUser(c, { bodyUserId: body.userId }),
    generationId: filled(body.generation_id) ?? filled(body.generationId), taskId: filled(body.taskId) ?? filled(body.task_id), trackId: filled(body.track_id) ?? filled(body.trackId),
  }
}

/** The provider's words, by our state or, for the team's own rows, by theirs. */
const MUREKA_WORDS: Record<string, string> = {
  queued: 'preparing', submitting: 'preparing', generating: 'running', previewing: 'streaming', saving: 'succeeded', complete: 'succeeded', timed_out: 'timeouted',
  pending: 'preparing', processing: 'running', completed: 'succeeded',
}
const murekaWord = ({ state, status }: GenerationRow): string => MUREKA_WORDS[state ?? status] ?? state ?? status

const filled = (value: unknown): string | undefined => (typeof value === 'string' && value.trim() !== '' ? value.trim() : typeof value === 'number' ? String(value) : undefined)
const isObject = (value: unknown): value is Body => typeof value === 'object' && value !== null && !Array.isArray(value)

function uuidOf(body: Body, path: string): string | null {
  const text = filled(body[path])
  if (text !== undefined && !isUuid(text)) throw new AppError('validation_failed', {}, [{ path, rule: 'format', message: '' }])
  return text ?? null
}
