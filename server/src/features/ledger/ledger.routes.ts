import { createRoute, z } from '@hono/zod-openapi'
import { requireOperator, requireUser, userIdOf } from '../../http-kit/authentication.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { decodeCursor, encodeCursor, pageOf, pageQuery } from '../../http-kit/paging.ts'
import type { Ledger } from './ledger.ts'

const balanceSchema = z.object({
  available: z.int().openapi({ description: 'Tokens that can be spent' }),
  held: z.int().openapi({ description: 'Tokens set aside for generations under way' }),
}).openapi('Balance')

const getBalance = createRoute({
  method: 'get', path: '/api/balance', tags: ['Tokens'], summary: 'My tokens',
  responses: { 200: jsonResponse(balanceSchema, 'Available and held'), ...problemResponses('unauthorized') },
})

const getLedger = createRoute({
  method: 'get', path: '/api/ledger', tags: ['Tokens'], summary: 'Every movement of my tokens, newest first',
  request: { query: pageQuery },
  responses: {
    200: jsonResponse(pageOf(z.object({
      id: z.int(), at: z.iso.datetime(), kind: z.enum(['signup', 'grant', 'hold', 'capture', 'release', 'adjustment']),
      amount: z.int(), generationId: z.string().nullable(), itemIndex: z.int().nullable(), reason: z.string(),
    })), 'A page'),
    ...problemResponses('unauthorized', 'validation_failed'),
  },
})

const getPrices = createRoute({
  method: 'get', path: '/api/prices', tags: ['Tokens'], summary: 'What a result costs', security: [],
  responses: {
    200: jsonResponse(z.object({ items: z.array(z.object({ kind: z.string(), provider: z.string(), model: z.string(), tokensPerResult: z.int(), results: z.int() })) }), 'The price table'),
  },
})

const postGrant = createRoute({
  method: 'post', path: '/api/ledger/grants', tags: ['Tokens'], summary: 'Give tokens to a user (operator)',
  description: 'With an `Idempotency-Key` the same grant asked twice is one grant, for ever.',
  request: {
    headers: z.object({ 'idempotency-key': z.string().min(1).max(200).optional() }),
    body: jsonBody(z.object({ userId: z.string().min(1).max(200), amount: z.int().min(1).max(1_000_000_000), reason: z.string().trim().min(1).max(200) })),
  },
  responses: { 201: jsonResponse(balanceSchema, 'The balance afterwards'), ...problemResponses('unauthorized', 'forbidden', 'validation_failed', 'idempotency_key_reused', 'malformed_body') },
})

/** @param resultsOf how many results one request gives that names no number; of `*` as its provider, the first that offers the kind. */
export function ledgerRoutes({ ledger, resultsOf }: { ledger: Ledger; resultsOf: (kind: string, provider: string) => number }): App {
  const app = createRouter()

  app.openapi(getBalance, async (c) => withEtag(c, await ledger.balance(requireUser(c).userId)))

  app.openapi(getLedger, async (c) => {
    const { userId } = requireUser(c)
    const { limit, cursor } = c.req.valid('query')
    const rows = await ledger.transfers(userId, limit + 1, decodeCursor(z.int(), cursor) ?? null)
    const items = rows.slice(0, limit).map((row) => ({ ...row, at: row.at.toISOString() }))
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor(items.at(-1)!.id) : null })
  })

  app.openapi(getPrices, async (c) => {
    const prices = await ledger.prices()
    return c.json({ items: prices.map((price) => ({ ...price, results: resultsOf(price.kind, price.provider) })) }, 200)
  })

  app.openapi(postGrant, async (c) => {
    const { subject } = requireOperator(c)
    const { userId: named, amount, reason } = c.req.valid('json')
    const userId = userIdOf(named)
    await c.get('provision')({ userId, subject: named })
    const requestKey = c.req.valid('header')['idempotency-key'] ?? null
    const { available, held, replayed } = await ledger.grant({ userId, amount, reason, actor: subject, requestKey })
    if (replayed) c.header('idempotent-replayed', 'true')
    return c.json({ available, held }, 201)
  })

  return app
}
