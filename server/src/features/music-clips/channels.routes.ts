import { createRoute, z } from '@hono/zod-openapi'
import { requireUser } from '../../http-kit/authentication.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { cursorTime, decodeCursor, encodeCursor, pageOf, pageQuery } from '../../http-kit/paging.ts'
import { AppError } from '../../kernel/errors.ts'
import type { Ids } from '../../kernel/ids.ts'
import { channelInput, channelPatch, channelSchema, settingsSchema, type Channel } from './channel.ts'
import type { Channels } from './channels.queries.ts'

const tags = ['Channels']
const idParam = z.object({ id: z.string().regex(/^[\w.-]{1,128}$/) })
const afterSchema = z.tuple([cursorTime, z.string()])

const list = createRoute({
  method: 'get', path: '/api/channels', tags, summary: 'My channels, newest first', request: { query: pageQuery },
  responses: { 200: jsonResponse(pageOf(channelSchema), 'A page'), ...problemResponses('unauthorized', 'validation_failed') },
})
const create = createRoute({
  method: 'post', path: '/api/channels', tags, summary: 'Make a channel', request: { body: jsonBody(channelInput) },
  responses: { 201: jsonResponse(channelSchema, 'Made'), ...problemResponses('unauthorized', 'validation_failed') },
})
const read = createRoute({
  method: 'get', path: '/api/channels/{id}', tags, summary: 'One channel', request: { params: idParam },
  responses: { 200: jsonResponse(channelSchema, 'The channel'), ...problemResponses('unauthorized', 'not_found') },
})
const put = createRoute({
  method: 'put', path: '/api/channels/{id}', tags, summary: 'Replace a channel, or import one under its old id', request: { params: idParam, body: jsonBody(channelInput) },
  responses: { 200: jsonResponse(channelSchema, 'As it is now'), ...problemResponses('unauthorized', 'not_found', 'validation_failed') },
})
const patch = createRoute({
  method: 'patch', path: '/api/channels/{id}', tags, summary: 'Change some of it', request: { params: idParam, body: jsonBody(channelPatch) },
  responses: { 200: jsonResponse(channelSchema, 'As it is now'), ...problemResponses('unauthorized', 'not_found', 'validation_failed') },
})
const remove = createRoute({
  method: 'delete', path: '/api/channels/{id}', tags, summary: 'Delete it; its runs and songs stay', request: { params: idParam },
  responses: { 204: { description: 'Deleted' }, ...problemResponses('unauthorized', 'not_found') },
})

export function channelsRoutes({ channels, ids }: { channels: Channels; ids: Ids }): App {
  const app = createRouter()

  app.openapi(list, async (c) => {
    const { userId } = requireUser(c)
    const { limit, cursor } = c.req.valid('query')
    const rows = await channels.list(userId, limit + 1, decodeCursor(afterSchema, cursor))
    const items = rows.slice(0, limit).map(channelView)
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor([items.at(-1)!.createdAt, items.at(-1)!.id]) : null })
  })

  app.openapi(create, async (c) => {
    const { userId } = requireUser(c)
    const id = `channel_${ids.uuid().replaceAll('-', '').slice(0, 16)}`
    return c.json(channelView((await channels.put({ ...c.req.valid('json'), id, userId }))!), 201)
  })

  app.openapi(read, async (c) => {
    const channel = await channels.find(c.req.valid('param').id, requireUser(c).userId)
    if (!channel) throw new AppError('not_found')
    return withEtag(c, channelView(channel))
  })

  app.openapi(put, async (c) => {
    const { userId } = requireUser(c)
    const channel = await channels.put({ ...c.req.valid('json'), id: c.req.valid('param').id, userId })
    if (!channel) throw new AppError('not_found')
    return c.json(channelView(channel), 200)
  })

  app.openapi(patch, async (c) => {
    const { userId } = requireUser(c)
    const before = await channels.find(c.req.valid('param').id, userId)
    if (!before) throw new AppError('not_found')
    const { musicClipsSettings: changed = {}, ...rest } = c.req.valid('json')
    const merged = settingsSchema.safeParse({ ...before.musicClipsSettings, ...changed })
    if (!merged.success) {
      throw new AppError('validation_failed', {}, merged.error.issues.map((issue) => ({ path: ['musicClipsSettings', ...issue.path].join('.'), rule: 'invalid', message: issue.message })))
    }
    const settings = Object.fromEntries(Object.keys(changed).map((name) => [name, merged.data[name as keyof typeof merged.data]]))
    const after = await channels.change(before.id, userId, rest, settings)
    if (!after) throw new AppError('not_found')
    return c.json(channelView(after), 200)
  })

  app.openapi(remove, async (c) => {
    if (!(await channels.remove(c.req.valid('param').id, requireUser(c).userId))) throw new AppError('not_found')
    return c.body(null, 204)
  })

  return app
}

const channelView = ({ userId: _userId, createdAt, updatedAt, ...channel }: Channel) => ({
  ...channel, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString(),
})
