import { createRoute, z } from '@hono/zod-openapi'
import { requireUser } from '../../http-kit/authentication.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { createRouter, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { decodeCursor, encodeCursor, pageOf, pageQuery } from '../../http-kit/paging.ts'
import { AppError, ERRORS, type ErrorCode } from '../../kernel/errors.ts'
import { label, type Language } from '../../texts/texts.ts'
import type { Ledger } from './ledger.ts'

export const balanceSchema = z.object({
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
      amount: z.int(), generationId: z.string().nullable(), imageJobId: z.uuid().nullable().openapi({ description: 'The image job whose card the generation makes' }),
      title: z.string().nullable().openapi({ description: 'What was asked for: its title, or how its words begin' }),
      itemIndex: z.int().nullable(), reason: z.string(),
      text: z.string().nullable().openapi({ description: "The reason in the user's language, when it is an error code" }),
    })), 'A page'),
    ...problemResponses('unauthorized', 'validation_failed'),
  },
})

const getReceipt = createRoute({
  method: 'get', path: '/api/receipts/{generationId}', tags: ['Tokens'], summary: 'What became of the tokens of one generation',
  request: { params: z.object({ generationId: z.uuid() }) },
  responses: {
    200: jsonResponse(z.object({
      generationId: z.uuid(), imageJobId: z.uuid().nullable(), provider: z.string(), kind: z.string(), model: z.string().nullable(), title: z.string().nullable(), state: z.string(), at: z.iso.datetime(),
      cost: z.int(), held: z.int(), captured: z.int(), released: z.int(),
      items: z.array(z.object({
        index: z.int(), amount: z.int(), state: z.enum(['open', 'captured', 'released']), settledAt: z.iso.datetime().nullable(),
        reason: z.string().nullable().openapi({ description: 'Why its tokens were taken (`stored`) or came back (an error code); null while they are set aside' }),
        text: z.string().nullable().openapi({ description: "The reason in the user's language" }),
      })),
    }).openapi('Receipt'), 'The receipt; held, captured and released make up the cost'),
    ...problemResponses('unauthorized', 'not_found'),
  },
})

/** Why tokens came back, when it was an error; only our own codes have words. */
export const inWords = (language: Language, reason: string | null): string | null => (reason !== null && Object.hasOwn(ERRORS, reason) ? label(language, reason as ErrorCode) : null)

export function ledgerRoutes({ ledger }: { ledger: Ledger }): App {
  const app = createRouter()

  app.openapi(getBalance, async (c) => withEtag(c, await ledger.balance(requireUser(c).userId)))

  app.openapi(getLedger, async (c) => {
    const { userId } = requireUser(c)
    const { limit, cursor } = c.req.valid('query')
    const rows = await ledger.transfers(userId, limit + 1, decodeCursor(z.int(), cursor) ?? null)
    const items = rows.slice(0, limit).map((row) => ({ ...row, at: row.at.toISOString(), text: inWords(c.get('language'), row.reason) }))
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor(items.at(-1)!.id) : null })
  })

  app.openapi(getReceipt, async (c) => {
    const { userId, operator } = requireUser(c)
    const receipt = await ledger.receipt(c.req.valid('param').generationId, operator ? null : userId)
    if (!receipt) throw new AppError('not_found')
    const items = receipt.items.map((item) => ({ ...item, text: inWords(c.get('language'), item.reason) }))
    return withEtag(c, { ...receipt, at: receipt.at.toISOString(), items })
  })

  return app
}
