import { createRoute, z } from '@hono/zod-openapi'
import type { Database, Queryable } from '../../database/pool.ts'
import { isFinal } from '../../engine/state.ts'
import type { Outcome, Store } from '../../engine/store.ts'
import type { AppContext } from '../../http-kit/app-env.ts'
import { requireUser } from '../../http-kit/authentication.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { sameRequest } from '../../http-kit/idempotency.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { cursorTime, decodeCursor, encodeCursor, pageOf, pageQuery } from '../../http-kit/paging.ts'
import { AppError } from '../../kernel/errors.ts'
import type { GenerationRequest } from '../../providers/provider.ts'
import type { Accept, Accepted, Ask } from './accept.ts'
import { generationView, type FileUrl, type TrackView } from './generation-view.ts'
import { findGeneration, listEvents, listGenerations } from './generations.queries.ts'

const text = (max: number) => z.string().trim().min(1).max(max)

const askSchema = z.object({
  provider: text(50).openapi({ example: 'suno' }),
  kind: z.enum(['song', 'image', 'video']),
  prompt: text(5_000).openapi({ example: 'a quiet piano waltz about the sea' }),
  title: text(200).optional(),
  style: text(1_000).optional(),
  lyrics: text(5_000).optional(),
  instrumental: z.boolean().optional(),
  model: text(100).optional(),
  options: z.record(z.string(), z.unknown()).optional().openapi({ description: 'Options that only this provider knows' }),
}).openapi('GenerationRequest')

const acceptedSchema = z.object({
  id: z.uuid(), state: z.literal('queued'), provider: z.string(), kind: z.string(),
  cost: z.int().openapi({ description: 'Tokens held for it' }),
  createdAt: z.iso.datetime(), deadlineAt: z.iso.datetime(),
}).openapi('AcceptedGeneration')

const time = z.iso.datetime()
const generationSchema = z.object({
  id: z.uuid(),
  state: z.enum(['queued', 'submitting', 'generating', 'previewing', 'saving', 'complete', 'failed', 'timed_out', 'cancelled']),
  progressText: z.string().openapi({ description: "What is happening, in the user's language" }),
  provider: z.string(), kind: z.enum(['song', 'image', 'video']), title: z.string().nullable(), prompt: z.string(),
  request: z.looseObject({}).openapi({ description: 'As it was asked, without the provider' }),
  cost: z.int(), providerTaskId: z.string().nullable(),
  indeterminate: z.boolean().openapi({ description: 'It is not known whether the provider took it; never repeated blindly' }),
  blockedReason: z.string().nullable(), missing: z.int(), arrivedLateAt: time.nullable(), regeneratedFrom: z.string().nullable(),
  imageJobId: z.uuid().nullable().openapi({ description: 'The image job whose card this makes' }),
  createdAt: time, deadlineAt: time, finishedAt: time.nullable(),
  updatedAt: time.openapi({ description: 'When Reprise last looked after it' }),
  providerHeardAt: time.nullable().openapi({ description: "The provider's last sign" }),
  stale: z.boolean().openapi({ description: 'Open, and nobody has looked after it for 60 s' }),
  attempts: z.array(z.object({
    number: z.int(), state: z.string(), providerTaskId: z.string().nullable(), errorCode: z.string().nullable(), createdAt: time,
    sentAt: time.nullable(), acceptedAt: time.nullable(), endedAt: time.nullable(),
  })),
  previews: z.array(z.object({ index: z.int(), previewUrl: z.string() })),
  tracks: z.array(z.looseObject({ id: z.string() })),
  images: z.array(z.object({
    id: z.uuid(), index: z.int(), url: z.string().openapi({ description: 'Our stored copy' }), sha256: z.string(), bytes: z.int(), mime: z.string(),
  })).openapi({ description: 'Stored pictures' }),
  error: z.object({ code: z.string(), label: z.string(), message: z.string(), retryable: z.boolean(), charged: z.boolean() }).nullable(),
  receipt: z.object({ cost: z.int(), held: z.int(), captured: z.int(), released: z.int() }),
}).openapi('Generation')

const idParam = z.object({ id: z.uuid() })
const keyHeader = z.object({ 'idempotency-key': z.string().min(1).max(200).optional() })
const PAID = ['unauthorized', 'validation_failed', 'insufficient_tokens', 'queue_full', 'provider_not_configured', 'request_in_progress', 'idempotency_key_reused', 'malformed_body'] as const

const create = createRoute({
  method: 'post', path: '/api/generations', tags: ['Generations'], summary: 'Ask for a generation',
  description: 'Durable before it is answered. With an `Idempotency-Key` (kept 24 hours) the same request is accepted once.',
  request: { headers: keyHeader, body: jsonBody(askSchema) },
  responses: { 202: jsonResponse(acceptedSchema, 'Accepted'), ...problemResponses(...PAID) },
})
const list = createRoute({
  method: 'get', path: '/api/generations', tags: ['Generations'], summary: 'My generations, newest first',
  request: {
    query: pageQuery.extend({
      exceptOrigin: z.string().regex(/^[a-z-]{1,40}$/).optional().openapi({ description: 'Leaves out what was asked for there', example: 'image-jobs' }),
    }),
  },
  responses: { 200: jsonResponse(pageOf(generationSchema), 'A page'), ...problemResponses('unauthorized', 'validation_failed') },
})
const read = createRoute({
  method: 'get', path: '/api/generations/{id}', tags: ['Generations'], summary: 'One generation', request: { params: idParam },
  responses: { 200: jsonResponse(generationSchema, 'As it is now'), ...problemResponses('unauthorized', 'not_found') },
})
const events = createRoute({
  method: 'get', path: '/api/generations/{id}/events', tags: ['Generations'], summary: 'Its timeline, oldest first', request: { params: idParam, query: pageQuery },
  responses: {
    200: jsonResponse(pageOf(z.object({
      id: z.int(), at: z.iso.datetime(), type: z.string(), state: z.string(), attempt: z.int().nullable(), cause: z.string(), data: z.looseObject({}),
    })), 'A page'),
    ...problemResponses('unauthorized', 'not_found', 'validation_failed'),
  },
})
const action = <const Name extends 'cancel' | 'recheck' | 'redownload'>(name: Name, summary: string) => createRoute({
  method: 'post', path: `/api/generations/{id}/${name}` as const, tags: ['Generations'], summary, request: { params: idParam },
  responses: { 200: jsonResponse(generationSchema, 'As it is now'), ...problemResponses('unauthorized', 'not_found', 'conflict') },
})
const cancel = action('cancel', 'Cancel it; what is not sent yet costs nothing')
const recheck = action('recheck', 'Ask the provider again, free')
const redownload = action('redownload', 'Fetch the files again, free')
const regenerate = createRoute({
  method: 'post', path: '/api/generations/{id}/regenerate', tags: ['Generations'], summary: 'The same request as a new generation, at its price',
  request: { params: idParam, headers: keyHeader },
  responses: { 202: jsonResponse(acceptedSchema, 'Accepted'), ...problemResponses(...PAID, 'not_found', 'conflict') },
})

interface Deps {
  db: Database
  store: Pick<Store, 'apply'>
  accept: Accept
  /** Stored results of generations, by generation id. */
  tracksOf: (generationIds: string[], on: Queryable) => Promise<Map<string, TrackView[]>>
  fileUrl: FileUrl
  /** Puts lost or damaged files of a generation right, as far as it can be done. */
  healFiles: (generationId: string) => Promise<unknown>
}

/** Whose results belong to something of their own, which alone may have more of them. */
const JOBS = 'image-jobs'
const afterSchema = z.tuple([cursorTime, z.uuid()])

export function generationsRoutes({ db, store, accept, tracksOf, fileUrl, healFiles }: Deps): App {
  const app = createRouter()

  /** A generation and its tracks as of one moment: else a file could be there that the receipt does not know yet. */
  const atOnce = <T>(read: (tx: Queryable) => Promise<T>): Promise<T> => db.transaction(read, { isolation: 'repeatable read' })

  function view(c: AppContext, id: string, userId: string | null) {
    return atOnce(async (tx) => {
      const row = await findGeneration(tx, id, userId)
      if (!row) throw new AppError('not_found')
      return generationView(row, (await tracksOf([id], tx)).get(id) ?? [], fileUrl, c.get('language'))
    })
  }

  /** Service role and operator may look at everybody's; a user sees only their own. */
  const scope = (c: AppContext): string | null => {
    const identity = requireUser(c)
    return identity.operator ? null : identity.userId
  }

  app.openapi(create, async (c) => {
    const { userId } = requireUser(c)
    const { provider, ...request } = c.req.valid('json')
    const key = c.req.valid('header')['idempotency-key']
    const idempotency = key ? sameRequest('POST /api/generations', { provider, ...request }, key) : null
    return answer(c, await accept.acceptNow({ userId, provider, request: request as GenerationRequest, origin: 'api', idempotency }))
  })

  app.openapi(list, async (c) => {
    const { userId } = requireUser(c)
    const { limit, cursor, exceptOrigin } = c.req.valid('query')
    const after = decodeCursor(afterSchema, cursor)
    const { rows, items } = await atOnce(async (tx) => {
      const rows = await listGenerations(tx, userId, limit + 1, after, exceptOrigin)
      const page = rows.slice(0, limit)
      const tracks = await tracksOf(page.map((row) => row.id), tx)
      return { rows, items: page.map((row) => generationView(row, tracks.get(row.id) ?? [], fileUrl, c.get('language'))) }
    })
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor([items.at(-1)!.createdAt, items.at(-1)!.id]) : null })
  })

  app.openapi(read, async (c) => withEtag(c, await view(c, c.req.valid('param').id, scope(c))))

  app.openapi(events, async (c) => {
    const { id } = c.req.valid('param')
    if (!(await findGeneration(db, id, scope(c)))) throw new AppError('not_found')
    const { limit, cursor } = c.req.valid('query')
    const rows = await listEvents(db, id, limit + 1, decodeCursor(z.int(), cursor))
    const items = rows.slice(0, limit).map((row) => ({
      id: row.id as number, at: row.at.toISOString() as string, type: row.type as string, state: row.state as string,
      attempt: row.attempt as number | null, cause: row.cause as string, data: visibleData(row.data, requireUser(c).operator),
    }))
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor(items.at(-1)!.id) : null })
  })

  for (const [route, kind] of [[cancel, 'cancel'], [recheck, 'recheck'], [redownload, 'redownload']] as const) {
    app.openapi(route, async (c) => {
      const userId = scope(c)
      const { id } = c.req.valid('param')
      const before = await view(c, id, userId)
      if (kind === 'cancel' && isFinal(before.state)) throw new AppError('conflict', { state: before.state })
      if (kind === 'redownload') await healFiles(id)
      const outcome: Outcome = await store.apply({ generationId: id, cause: 'user', evidence: { kind, by: requireUser(c).subject } })
      if (outcome.kind === 'missing') throw new AppError('not_found')
      if (kind === 'cancel' && outcome.kind === 'applied' && outcome.move.decision.move === 'ignored') throw new AppError('conflict')
      return c.json(await view(c, id, userId), 200)
    })
  }

  app.openapi(regenerate, async (c) => {
    const { userId } = requireUser(c)
    const { id } = c.req.valid('param')
    const row = await findGeneration(db, id, userId)
    if (!row) throw new AppError('not_found')
    if (row.origin === JOBS) throw new AppError('conflict', { state: row.state })
    const key = c.req.valid('header')['idempotency-key']
    const ask: Ask = {
      userId, provider: row.provider, request: row.request, origin: 'api', regeneratedFrom: id,
      idempotency: key ? sameRequest('POST /api/generations/regenerate', { id }, key) : null,
    }
    return answer(c, await accept.acceptNow(ask))
  })

  return app
}

function answer(c: AppContext, accepted: Accepted) {
  c.header('location', `/api/generations/${accepted.id}`)
  if (accepted.replayed) c.header('idempotent-replayed', 'true')
  return c.json({
    id: accepted.id, state: 'queued' as const, provider: accepted.provider, kind: accepted.kind, cost: accepted.cost,
    createdAt: accepted.createdAt.toISOString(), deadlineAt: accepted.deadlineAt.toISOString(),
  }, 202)
}

/** The provider's own words and payloads are for the operator. */
function visibleData(data: Record<string, unknown>, operator: boolean): Record<string, unknown> {
  if (operator) return data
  const { raw: _raw, detail: _detail, ...rest } = data
  return rest
}
