import { createRoute, z } from '@hono/zod-openapi'
import { requireUser } from '../../http-kit/authentication.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { cursorTime, decodeCursor, encodeCursor, pageQuery } from '../../http-kit/paging.ts'
import { LANGUAGES } from '../../texts/texts.ts'
import { KINDS, type Kind, type Notifications } from './notifications.ts'

const unreadSchema = z.int().openapi({ description: 'How many are not read; not counted beyond 1,000' })

const noticeSchema = z.object({
  id: z.uuid(),
  kind: z.string().nullable().openapi({ description: `One of ${KINDS.join(', ')}; null for a notice of another kind` }),
  type: z.string().openapi({ description: 'info, success, warning or error' }),
  title: z.string(), message: z.string(),
  link: z.string().nullable().openapi({ description: 'Where it leads: a path of this page, or an address of your app' }),
  readAt: z.iso.datetime().nullable(), createdAt: z.iso.datetime(),
}).openapi('Notification')

const list = createRoute({
  method: 'get', path: '/api/notifications', tags: ['Notifications'], summary: 'What I was told, newest first',
  request: { query: pageQuery.extend({ unread: z.enum(['true', 'false']).default('false').openapi({ description: 'Only what is not read' }) }) },
  responses: {
    200: jsonResponse(z.object({ items: z.array(noticeSchema), nextCursor: z.string().nullable(), unread: unreadSchema }), 'A page, and how many are unread'),
    ...problemResponses('unauthorized', 'validation_failed'),
  },
})

const read = createRoute({
  method: 'post', path: '/api/notifications/read', tags: ['Notifications'], summary: 'Mark as read',
  request: { body: jsonBody(z.union([z.strictObject({ ids: z.array(z.uuid()).min(1).max(100) }), z.strictObject({ all: z.literal(true) })])) },
  responses: { 200: jsonResponse(z.object({ unread: unreadSchema }), 'What is left'), ...problemResponses('unauthorized', 'validation_failed') },
})

const settingsSchema = z.strictObject({
  kinds: z.strictObject(Object.fromEntries(KINDS.map((kind) => [kind, z.boolean()])) as Record<Kind, z.ZodBoolean>),
  language: z.enum(LANGUAGES).nullable().openapi({ description: 'In which language notices are written; null: Russian' }),
  lowBalance: z.int().min(0).max(1_000_000_000).openapi({ description: 'Tell me when fewer tokens than this are left; 0: never' }),
}).openapi('NotificationSettings')

const getSettings = createRoute({
  method: 'get', path: '/api/notification-settings', tags: ['Notifications'], summary: 'What I want to be told',
  responses: { 200: jsonResponse(settingsSchema, 'As it is set'), ...problemResponses('unauthorized') },
})
const putSettings = createRoute({
  method: 'put', path: '/api/notification-settings', tags: ['Notifications'], summary: 'Change what I want to be told',
  request: { body: jsonBody(settingsSchema) },
  responses: { 200: jsonResponse(settingsSchema, 'As it is set now'), ...problemResponses('unauthorized', 'validation_failed') },
})

const afterSchema = z.tuple([cursorTime, z.uuid()])

export function notificationsRoutes({ notifications }: { notifications: Notifications }): App {
  const app = createRouter()

  app.openapi(list, async (c) => {
    const { userId } = requireUser(c)
    const { limit, cursor, unread } = c.req.valid('query')
    const [rows, left] = await Promise.all([
      notifications.list(userId, limit + 1, { after: decodeCursor(afterSchema, cursor), unread: unread === 'true' }),
      notifications.unread(userId),
    ])
    const page = rows.slice(0, limit)
    const items = page.map(({ id, kind, type, title, message, link, readAt, createdAt }) => (
      { id, kind, type, title, message, link, readAt: readAt?.toISOString() ?? null, createdAt: createdAt.toISOString() }))
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor([page.at(-1)!.exactAt, page.at(-1)!.id]) : null, unread: left })
  })

  app.openapi(read, async (c) => {
    const { userId } = requireUser(c)
    const body = c.req.valid('json')
    await notifications.read(userId, 'ids' in body ? body.ids : 'all')
    return c.json({ unread: await notifications.unread(userId) }, 200)
  })

  app.openapi(getSettings, async (c) => withEtag(c, await notifications.settings(requireUser(c).userId)))

  app.openapi(putSettings, async (c) => {
    const { userId } = requireUser(c)
    await notifications.change(userId, c.req.valid('json'))
    return c.json(await notifications.settings(userId), 200)
  })

  return app
}
