import { createRoute, z } from '@hono/zod-openapi'
import { requireUser } from '../../http-kit/authentication.ts'
import { createRouter, problemResponses, type App } from '../../http-kit/openapi.ts'
import type { EventStreams } from '../../http-kit/sse.ts'
import type { LiveEvents } from './live.ts'

const follow = createRoute({
  method: 'get', path: '/api/events', tags: ['Live'], summary: 'My live events (server-sent events)',
  description: 'Each move of my generations (`generation`) and each new notice (`notice`) as it is committed. `Last-Event-ID` (or `?lastEventId=`) resumes without a gap; an event `reset` says: read everything anew. An id is `transaction.number`: of two moves of one generation the one with the greater number is the later.',
  request: { query: z.object({ lastEventId: z.string().max(60).optional() }) },
  responses: { 200: { description: 'The stream', content: { 'text/event-stream': { schema: z.string() } } }, ...problemResponses('unauthorized', 'validation_failed', 'service_unavailable') },
})

export function liveRoutes({ live, streams }: { live: LiveEvents; streams: EventStreams }): App {
  const app = createRouter()
  app.openapi(follow, async (c) => {
    const { userId } = requireUser(c)
    const lastEventId = c.req.header('last-event-id') ?? c.req.valid('query').lastEventId
    return (await streams.stream(c, { lastEventId, subscribe: (sink, from) => live.subscribe(userId, sink, from) })) as never
  })
  return app
}
