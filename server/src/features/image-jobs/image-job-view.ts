import { z } from '@hono/zod-openapi'
import { text, type Language } from '../../texts/texts.ts'
import { ERRORS, type ErrorCode } from '../../kernel/errors.ts'
import { actionsOf, type PriceKind } from './cards.ts'
import type { CardRow, JobRow } from './image-jobs.queries.ts'
import { productImagesOf } from './job-wish.ts'
import { isSetStyle } from './prompts.ts'

const time = z.iso.datetime()
const tokens = z.object({ cost: z.int(), held: z.int(), captured: z.int(), released: z.int() })
const cardSchema = z.object({
  id: z.uuid(), jobId: z.uuid(), index: z.int(), type: z.string(),
  status: z.enum(['pending', 'processing', 'retrying', 'completed', 'failed']),
  imageUrl: z.string().nullable(), thumbnailUrl: z.string().nullable().openapi({ description: 'A small copy for lists; a moment after the picture' }),
  retryCount: z.int(), retryAfter: time.nullable(),
  error: z.object({ code: z.string().nullable(), message: z.string(), retryable: z.boolean(),
    reason: z.string().nullable().openapi({ description: 'The name the model gave its refusal, such as `PROHIBITED_CONTENT`' }) }).nullable(),
  arrivedLate: z.boolean().openapi({ description: 'The picture came after its tokens were given back: a gift' }),
  startedAt: time.nullable(), completedAt: time.nullable(), deadlineAt: time.nullable(), generationId: z.uuid().nullable(), tokens,
  prices: z.object({ retry: z.int().nullable(), regenerate: z.int().nullable(), edit: z.int().nullable() })
    .openapi({ description: 'What may be done with it now, and the tokens that it costs; null: not now' }),
}).openapi('ImageCard')

const jobFields = {
  id: z.uuid(), status: z.enum(['pending', 'processing', 'completed', 'failed']), productName: z.string().nullable(), category: z.string().nullable(), description: z.string().nullable(),
  productImages: z.array(z.object({ url: z.string(), previewUrl: z.string().openapi({ description: 'What a plain `<img>` can open, for an hour' }), name: z.string(), type: z.enum(['product', 'reference']) })), aspectRatio: z.string(),
  unifiedStyling: z.boolean(), styleDescription: z.string().nullable(),
  automaticStyle: z.boolean().openapi({ description: 'The style is one of ours, since none was given: nothing that its user asked for' }),
  styleSourceImageUrl: z.string().nullable(), sourceJobId: z.uuid().nullable(),
  totalCards: z.int(), completedCards: z.int(), failedCards: z.int(), tokensCost: z.int(), tokens,
  errorMessage: z.string().nullable(), startedAt: time.nullable(), completedAt: time.nullable(), createdAt: time, updatedAt: time,
}

/** A job in a list: its cards without what was made again from them. */
export const jobSchema = z.object({ ...jobFields, cards: z.array(cardSchema) }).openapi('ImageJob')

/** A job by itself: with each card what was made again from it (tried again, regenerated, edited), oldest first. */
export const wholeJobSchema = z.object({ ...jobFields, cards: z.array(cardSchema.extend({ again: z.array(cardSchema) })) }).openapi('WholeImageJob')

/** What a reader is shown things by. */
interface Look {
  language: Language
  /** How an address from a column is shown: public, or signed. */
  playable: (url: string) => string
  /** The same for the address of somebody's photo. */
  previewOf: (userId: string, url: string) => string
  /** What a picture costs now; null without a price. */
  prices: Record<PriceKind, number | null>
}

const iso = (at: Date | null) => at?.toISOString() ?? null

function cardView(card: CardRow, { language, playable, prices }: Look): z.infer<typeof cardSchema> {
  const { retry, regenerate, edit } = actionsOf(card)
  const { id, jobId, index, type, status, retryCount, generationId, cost, held, captured, released } = card
  return {
    id, jobId, index, type, status, imageUrl: card.imageUrl && playable(card.imageUrl), thumbnailUrl: card.thumbnailUrl && playable(card.thumbnailUrl),
    retryCount, retryAfter: iso(card.retryAfter), error: status === 'failed' || status === 'retrying' ? errorOf(card, language) : null,
    arrivedLate: card.arrivedLateAt !== null, startedAt: iso(card.startedAt), completedAt: iso(card.completedAt), deadlineAt: iso(card.deadlineAt),
    generationId, tokens: { cost, held, captured, released },
    prices: { retry: retry && prices[retry], regenerate: regenerate && prices[regenerate], edit: edit && prices[edit] },
  }
}

function errorOf({ errorCode, refusal, lastError }: CardRow, language: Language) {
  const known = errorCode !== null && errorCode in ERRORS ? (errorCode as ErrorCode) : null
  if (!known) return lastError === null ? null : { code: null, message: lastError, retryable: true, reason: null }
  return { code: known, message: text(language, known), retryable: ERRORS[known].retryable, reason: refusal }
}

function fieldsOf(job: JobRow, cards: CardRow[], { previewOf }: Look) {
  const { userId, startedAt, completedAt, createdAt, updatedAt, ...plain } = job
  const sum = (what: 'cost' | 'held' | 'captured' | 'released') => cards.reduce((total, card) => total + card[what], 0)
  return {
    ...plain, automaticStyle: isSetStyle(job.styleDescription), productImages: productImagesOf(job.productImages).map((image) => ({ ...image, previewUrl: previewOf(userId, image.url) })), failedCards: cards.filter(({ status }) => status === 'failed').length,
    tokens: { cost: sum('cost'), held: sum('held'), captured: sum('captured'), released: sum('released') },
    startedAt: iso(startedAt), completedAt: iso(completedAt), createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString(),
  }
}

const inOrder = (cards: CardRow[]) => [...cards].sort((a, b) => a.index - b.index)

export function jobView(job: JobRow, cards: CardRow[], look: Look): z.infer<typeof jobSchema> {
  const own = cards.filter(({ jobId }) => jobId === job.id)
  return { ...fieldsOf(job, own, look), cards: inOrder(own).map((card) => cardView(card, look)) }
}

/** @param family the job's cards and all that were made again from them */
export function wholeJobView(job: JobRow, family: CardRow[], look: Look): z.infer<typeof wholeJobSchema> {
  const own = family.filter(({ jobId }) => jobId === job.id)
  const parents = new Map(family.map((card) => [card.id, card.sourceTaskId]))
  /** The card of this job from which one comes, through however many. */
  const rootOf = (card: CardRow): string | null => {
    let id: string | null | undefined = card.sourceTaskId
    while (id && !own.some((one) => one.id === id)) id = parents.get(id)
    return id ?? null
  }
  const others = family.filter(({ jobId }) => jobId !== job.id).map((card) => ({ card, root: rootOf(card) }))
  return {
    ...fieldsOf(job, own, look),
    cards: inOrder(own).map((card) => ({
      ...cardView(card, look),
      again: others.filter(({ root }) => root === card.id).map((other) => cardView(other.card, look)),
    })),
  }
}
