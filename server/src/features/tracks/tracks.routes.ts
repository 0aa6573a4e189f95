import { createRoute, z } from '@hono/zod-openapi'
import type { AppContext } from '../../http-kit/app-env.ts'
import { requireUser } from '../../http-kit/authentication.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { createRouter, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { cursorTime, decodeCursor, encodeCursor, pageOf, pageQuery } from '../../http-kit/paging.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Serve } from './files.routes.ts'
import { SAVING, type Tracks } from './tracks.queries.ts'

const trackSchema = z.object({
  id: z.uuid(), generationId: z.string().nullable(), title: z.string().nullable(), durationMs: z.int().nullable(), variant: z.int().nullable(),
  archived: z.boolean(), sha256: z.string().nullable(), bytes: z.int().nullable(), mime: z.string().nullable(),
  audioUrl: z.string().nullable().openapi({ description: 'Ours, else the provider’s' }),
  providerUrl: z.string().nullable().openapi({ description: 'The provider’s; equal to audioUrl while we have no copy' }),
  coverUrl: z.string().nullable(), expiresAt: z.string().nullable().openapi({ description: 'When the provider deletes what is not yet ours' }),
  saving: z.enum(SAVING).nullable(), nextTryAt: z.string().nullable(), createdAt: z.iso.datetime(),
}).openapi('Track')

const idParam = z.object({ id: z.uuid() })
const afterSchema = z.tuple([cursorTime, z.uuid()])
const tags = ['Tracks']

const list = createRoute({
  method: 'get', path: '/api/tracks', tags, summary: 'My tracks, newest first', request: { query: pageQuery },
  responses: { 200: jsonResponse(pageOf(trackSchema), 'A page'), ...problemResponses('unauthorized', 'validation_failed') },
})
const read = createRoute({
  method: 'get', path: '/api/tracks/{id}', tags, summary: 'One track', request: { params: idParam },
  responses: { 200: jsonResponse(trackSchema, 'The track'), ...problemResponses('unauthorized', 'not_found') },
})
const audio = createRoute({
  method: 'get', path: '/api/tracks/{id}/audio', tags, summary: 'Its bytes, as the provider made them', description: 'Range is honoured; `?download=1` names the file.',
  request: { params: idParam, query: z.object({ download: z.string().optional() }) },
  responses: { 200: { description: 'The file', content: { 'audio/*': { schema: z.string() } } }, 206: { description: 'A part of it' }, ...problemResponses('unauthorized', 'not_found', 'range_not_satisfiable') },
})
const retry = createRoute({
  method: 'post', path: '/api/tracks/{id}/retry-download', tags, summary: 'Fetch its file again, free', request: { params: idParam },
  description: 'A lost or damaged file is put right when its source still has the very same bytes; else `conflict`. What was never fetched is fetched now: `saving` says how it went.',
  responses: { 200: jsonResponse(trackSchema, 'The track'), ...problemResponses('unauthorized', 'not_found', 'conflict', 'storage_failed') },
})
const remove = createRoute({
  method: 'delete', path: '/api/tracks/{id}', tags, summary: 'Delete it', request: { params: idParam },
  responses: { 204: { description: 'Deleted' }, ...problemResponses('unauthorized', 'not_found') },
})

interface Deps {
  tracks: Tracks
  serve: Serve
  /** Asks the engine to fetch a generation's files again. */
  redownload: (generationId: string, by: string) => Promise<void>
  /** Puts a stored file right. */
  heal: (blobKey: string) => Promise<'whole' | 'healed' | 'gone'>
  /** Fetches what is not ours yet; waits a while for it. */
  archiveNow: (trackId: string) => Promise<void>
}

export function tracksRoutes({ tracks, serve, redownload, heal, archiveNow }: Deps): App {
  const app = createRouter()
  /** Operators see and mend everybody's; a user only their own. */
  const scope = (c: AppContext): string | null => {
    const identity = requireUser(c)
    return identity.operator ? null : identity.userId
  }

  app.openapi(list, async (c) => {
    const { userId } = requireUser(c)
    const { limit, cursor } = c.req.valid('query')
    const { items, next } = await tracks.list(userId, limit, decodeCursor(afterSchema, cursor))
    return withEtag(c, { items, nextCursor: next && encodeCursor(next) })
  })

  app.openapi(read, async (c) => {
    const track = await tracks.find(c.req.valid('param').id, scope(c))
    if (!track) throw new AppError('not_found')
    return withEtag(c, track)
  })

  app.openapi(audio, async (c) => {
    const file = await tracks.audioFile(c.req.valid('param').id, scope(c))
    if (!file) throw new AppError('not_found')
    const name = c.req.valid('query').download ? `${file.title ?? 'track'}.${file.path.split('.').at(-1)}` : undefined
    return (await serve(c, file, 'private, max-age=3600', name)) as never
  })

  app.openapi(retry, async (c) => {
    const track = await tracks.find(c.req.valid('param').id, scope(c))
    if (!track) throw new AppError('not_found')
    let gone = false
    for (const { blobKey, song } of await tracks.storedFiles(track.id)) if ((await heal(blobKey)) === 'gone' && song) gone = true
    if (track.generationId) await redownload(track.generationId, requireUser(c).subject)
    if (gone) throw new AppError('conflict')
    if (track.archived) return c.json(track, 200)
    await archiveNow(track.id)
    return c.json((await tracks.find(track.id, scope(c))) ?? track, 200)
  })

  app.openapi(remove, async (c) => {
    if (!(await tracks.remove(c.req.valid('param').id, scope(c)))) throw new AppError('not_found')
    return c.body(null, 204)
  })

  return app
}
