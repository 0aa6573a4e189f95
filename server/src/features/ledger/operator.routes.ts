import { createRoute, z } from '@hono/zod-openapi'
import type { AppContext } from '../../http-kit/app-env.ts'
import { requireOperator, userIdOf } from '../../http-kit/authentication.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { cursorTime, decodeCursor, encodeCursor, pageOf, pageQuery } from '../../http-kit/paging.ts'
import type { Explorer } from './explorer.ts'
import type { ByHand, Ledger } from './ledger.ts'
import { balanceSchema, inWords } from './ledger.routes.ts'

const TRANSFERS = ['signup', 'grant', 'hold', 'capture', 'release', 'adjustment'] as const

const byHand = <const Path extends string>(path: Path, summary: string) => createRoute({
  method: 'post', path, tags: ['Tokens'], summary,
  description: 'With an `Idempotency-Key` the same one asked twice is made once, for ever.',
  request: {
    headers: z.object({ 'idempotency-key': z.string().min(1).max(200).optional() }),
    body: jsonBody(z.object({ userId: z.string().min(1).max(200), amount: z.int().min(1).max(1_000_000_000), reason: z.string().trim().min(1).max(200) })),
  },
  responses: {
    201: jsonResponse(balanceSchema, 'The balance afterwards'),
    ...problemResponses('unauthorized', 'forbidden', 'insufficient_tokens', 'validation_failed', 'idempotency_key_reused', 'malformed_body'),
  },
})
const postGrant = byHand('/api/ledger/grants', 'Give tokens to a user (operator)')
const postAdjustment = byHand('/api/ledger/adjustments', 'Take tokens back that were given by mistake (operator)')

const explore = createRoute({
  method: 'get', path: '/api/ledger/explorer', tags: ['Tokens'], summary: "Everybody's movements, newest first (operator)",
  request: {
    query: pageQuery.extend({
      userId: z.string().min(1).max(200).optional(), generationId: z.uuid().optional(), kind: z.enum(TRANSFERS).optional(),
      from: cursorTime.optional(), to: cursorTime.optional().openapi({ description: 'The first moment that no longer counts' }),
    }),
  },
  responses: {
    200: jsonResponse(pageOf(z.object({
      id: z.int(), at: z.iso.datetime(), kind: z.enum(TRANSFERS), amount: z.int(), userId: z.uuid(), subject: z.string().nullable(),
      fromAccount: z.string(), toAccount: z.string(), generationId: z.string().nullable(), imageJobId: z.uuid().nullable(), itemIndex: z.int().nullable(),
      reason: z.string(), text: z.string().nullable().openapi({ description: "The reason in the reader's language, when it is an error code" }), actor: z.string(),
    })), 'A page'),
    ...problemResponses('unauthorized', 'forbidden', 'validation_failed'),
  },
})

const healthSchema = z.object({
  last: z.object({
    at: z.iso.datetime(), found: z.int().openapi({ description: 'How many rows break a promise' }),
    violations: z.array(z.object({ promise: z.string(), userId: z.string(), generationId: z.string().nullable() })).openapi({ description: 'The first hundred' }),
  }).nullable().openapi({ description: 'The last look at the promises about tokens; null before the first' }),
  failure: z.object({ at: z.iso.datetime(), error: z.string() }).nullable().openapi({ description: 'A later look that could not be made' }),
  nextAt: z.iso.datetime(),
}).openapi('LedgerHealth')
const health = createRoute({
  method: 'get', path: '/api/ledger/health', tags: ['Tokens'], summary: 'Whether the ledger keeps its promises (operator)',
  responses: { 200: jsonResponse(healthSchema, 'What the daily look found'), ...problemResponses('unauthorized', 'forbidden') },
})
const check = createRoute({
  method: 'post', path: '/api/ledger/check', tags: ['Tokens'], summary: 'Look at the promises of the ledger now (operator)',
  responses: { 200: jsonResponse(healthSchema, 'What it found'), ...problemResponses('unauthorized', 'forbidden', 'service_unavailable') },
})

interface Deps {
  ledger: Ledger
  explorer: Explorer
  nextCheck: () => Date
  checkNow: () => Promise<unknown>
}

/** What only operators may do with tokens: give, take back, look through everybody's. */
export function operatorLedgerRoutes({ ledger, explorer, nextCheck, checkNow }: Deps): App {
  const app = createRouter()

  async function make(c: AppContext, kind: ByHand['kind'], { userId: named, ...wish }: { userId: string; amount: number; reason: string }, requestKey: string | null) {
    const { subject } = requireOperator(c)
    const userId = userIdOf(named)
    await c.get('provision')({ userId, subject: named })
    const { available, held, replayed } = await ledger.byHand({ kind, userId, ...wish, actor: subject, requestKey })
    if (replayed) c.header('idempotent-replayed', 'true')
    return c.json({ available, held }, 201)
  }
  app.openapi(postGrant, (c) => make(c, 'grant', c.req.valid('json'), c.req.valid('header')['idempotency-key'] ?? null))
  app.openapi(postAdjustment, (c) => make(c, 'adjustment', c.req.valid('json'), c.req.valid('header')['idempotency-key'] ?? null))

  app.openapi(explore, async (c) => {
    requireOperator(c)
    const { limit, cursor, userId, ...search } = c.req.valid('query')
    const rows = await explorer.find({ ...search, userId: userId && userIdOf(userId) }, limit + 1, decodeCursor(z.int(), cursor) ?? null)
    const items = rows.slice(0, limit).map((row) => ({ ...row, at: row.at.toISOString(), text: inWords(c.get('language'), row.reason) }))
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor(items.at(-1)!.id) : null })
  })

  const view = async () => {
    const { last, failure } = await explorer.health()
    return {
      last: last && { ...last, at: last.at.toISOString() }, failure: failure && { ...failure, at: failure.at.toISOString() }, nextAt: nextCheck().toISOString(),
    }
  }
  app.openapi(health, async (c) => {
    requireOperator(c)
    return withEtag(c, await view())
  })
  app.openapi(check, async (c) => {
    requireOperator(c)
    await checkNow()
    return c.json(await view(), 200)
  })

  return app
}
