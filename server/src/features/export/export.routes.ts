import { createRoute, z } from '@hono/zod-openapi'
import { requireUser, userIdOf } from '../../http-kit/authentication.ts'
import { breakable } from '../../http-kit/breakable.ts'
import { createRouter, problemResponses, type App } from '../../http-kit/openapi.ts'
import { AppError } from '../../kernel/errors.ts'
import { attachment } from '../../storage/serve-file.ts'
import type { PrepareExport } from './export.ts'
import type { Library } from './library.ts'

const route = createRoute({
  method: 'get', path: '/api/export', tags: ['Tracks'], summary: 'My whole library as a ZIP',
  description: 'A BagIt 1.0 bag (RFC 8493): every file byte for byte, a JSON for each track, SHA-256 manifests; what is missing is listed in `data/missing.json`. A file that turns out damaged on its way breaks the connection. An operator may name another user.',
  request: { query: z.object({ userId: z.string().min(1).max(320).optional() }) },
  responses: {
    200: { description: 'The ZIP', content: { 'application/zip': { schema: z.string() } } },
    ...problemResponses('unauthorized', 'not_found', 'validation_failed', 'too_many_requests', 'storage_failed'),
  },
})

/** Most exports of a process at once; one for each user. */
const AT_ONCE = 8

export function exportRoutes({ prepare, library }: { prepare: PrepareExport; library: Pick<Library, 'knows'> }): App {
  const app = createRouter()
  const running = new Set<string>()

  app.openapi(route, async (c) => {
    const identity = requireUser(c)
    const { userId: named } = c.req.valid('query')
    const userId = named === undefined ? identity.userId : userIdOf(named)
    if (userId !== identity.userId && !(identity.operator && (await library.knows(userId)))) throw new AppError('not_found')
    if (running.has(userId) || running.size >= AT_ONCE) throw new AppError('too_many_requests', { retryAfterSec: 30 })
    running.add(userId)
    const end = () => void running.delete(userId)
    try {
      const bag = await prepare(userId)
      const head = c.req.raw.method === 'HEAD'
      const body = head ? null : breakable(c, bag.stream(end))
      if (head) end()
      return new Response(body, {
        headers: {
          'content-type': 'application/zip', 'content-length': String(bag.bytes), 'content-disposition': attachment(`${bag.name}.zip`),
          'cache-control': 'no-store', 'x-content-type-options': 'nosniff',
        },
      }) as never
    } catch (error) {
      end()
      throw error
    }
  })

  return app
}
