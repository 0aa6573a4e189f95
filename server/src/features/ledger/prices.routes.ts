import { createRoute, z } from '@hono/zod-openapi'
import { requireOperator } from '../../http-kit/authentication.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { decodeCursor, encodeCursor, pageOf, pageQuery } from '../../http-kit/paging.ts'
import type { Prices } from './prices.ts'

const tableSchema = z.object({ items: z.array(z.object({ kind: z.string(), provider: z.string(), model: z.string(), tokensPerResult: z.int(), results: z.int() })) })

const getPrices = createRoute({
  method: 'get', path: '/api/prices', tags: ['Tokens'], summary: 'What a result costs', security: [],
  description: 'The most specific line counts: kind, provider and model, then kind and provider, then the kind; `*` stands for every one.',
  responses: { 200: jsonResponse(tableSchema, 'The price table') },
})

/** As in an address: a name, or `*` for every one. */
const name = z.string().trim().min(1).max(200)
/** The three ways to name a line of the table. */
const LINES = [
  { path: '/api/prices/{kind}', params: z.object({ kind: name }), whose: 'of a kind' },
  { path: '/api/prices/{kind}/{provider}', params: z.object({ kind: name, provider: name }), whose: 'of a kind at one provider' },
  { path: '/api/prices/{kind}/{provider}/{model}', params: z.object({ kind: name, provider: name, model: name }), whose: 'of a kind by one model' },
] as const

const getChanges = createRoute({
  method: 'get', path: '/api/price-changes', tags: ['Tokens'], summary: 'Who changed which price and when, newest first (operator)', request: { query: pageQuery },
  responses: {
    200: jsonResponse(pageOf(z.object({
      id: z.int(), at: z.iso.datetime(), kind: z.string(), provider: z.string(), model: z.string(),
      before: z.int().nullable().openapi({ description: 'Null: there was no such line' }), after: z.int().nullable().openapi({ description: 'Null: the line was removed' }), actor: z.string(),
    })), 'A page'),
    ...problemResponses('unauthorized', 'forbidden', 'validation_failed'),
  },
})

/** @param resultsOf how many results one request gives that names no number; of `*` as its provider, the first that offers the kind. */
export function pricesRoutes({ prices, resultsOf }: { prices: Prices; resultsOf: (kind: string, provider: string) => number }): App {
  const app = createRouter()
  const table = async () => ({ items: (await prices.list()).map((price) => ({ ...price, results: resultsOf(price.kind, price.provider) })) })

  app.openapi(getPrices, async (c) => c.json(await table(), 200))

  for (const { path, params, whose } of LINES) {
    const put = createRoute({
      method: 'put', path, tags: ['Tokens'], summary: `Set the price ${whose} (operator)`,
      description: 'Holds for requests from now on; what is accepted already costs what it cost then. For a provider that can be asked here and a model that it lists.',
      request: { params, body: jsonBody(z.strictObject({ tokensPerResult: z.int().min(0).max(1_000_000) })) },
      responses: { 200: jsonResponse(tableSchema, 'The table now'), ...problemResponses('unauthorized', 'forbidden', 'not_found', 'validation_failed') },
    })
    const remove = createRoute({
      method: 'delete', path, tags: ['Tokens'], summary: `Remove the price ${whose} (operator)`, description: 'The more general price holds again; the last one of a kind stays.',
      request: { params },
      responses: { 200: jsonResponse(tableSchema, 'The table now'), ...problemResponses('unauthorized', 'forbidden', 'not_found', 'conflict') },
    })
    app.openapi(put, async (c) => {
      const { subject } = requireOperator(c)
      await prices.set({ provider: '*', model: '*', ...c.req.valid('param'), tokensPerResult: c.req.valid('json').tokensPerResult }, subject)
      return c.json(await table(), 200)
    })
    app.openapi(remove, async (c) => {
      const { subject } = requireOperator(c)
      await prices.remove({ provider: '*', model: '*', ...c.req.valid('param') }, subject)
      return c.json(await table(), 200)
    })
  }

  app.openapi(getChanges, async (c) => {
    requireOperator(c)
    const { limit, cursor } = c.req.valid('query')
    const rows = await prices.changes(limit + 1, decodeCursor(z.int(), cursor) ?? null)
    const items = rows.slice(0, limit).map((row) => ({ ...row, at: row.at.toISOString() }))
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor(items.at(-1)!.id) : null })
  })

  return app
}
