import type { Queryable } from '../../database/pool.ts'
import type { Urgency } from '../../engine/state.ts'
import { AppError } from '../../kernel/errors.ts'
import { sha256Hex, type Ids } from '../../kernel/ids.ts'
import type { GenerationRequest, Provider } from '../../providers/provider.ts'
import type { Registry } from '../../providers/registry.ts'

export interface Ask {
  userId: string
  provider: string
  request: GenerationRequest
  /** The feature that asks; its listeners follow the moves. */
  origin: string
  urgency?: Urgency
  regeneratedFrom?: string
  /** Same user, route and key within the time: the same request. */
  idempotency: { route: string; key: string; body: unknown; keySeconds: number; waitForTwin: boolean } | null
}

export interface Accepted {
  id: string
  provider: string
  kind: string
  cost: number
  createdAt: Date
  deadlineAt: Date
  replayed: boolean
}

interface Deps {
  registry: Registry
  /** Asked on the transaction's own connection: one more from the pool could wait for ever behind twins that wait for us. */
  priceOf: (on: Queryable, kind: string, provider: string, model: string) => Promise<number>
  /** The open breaker's reason when the provider account refuses all work (no credits, bad key), else null. */
  refusing: (account: string) => Promise<'no_credits' | 'provider_auth' | null>
  wakeDispatcher: () => void
  ids: Ids
  deadlineSec: number
}

/**
 * Accepts a paid request: validated first, then idempotency, admission, hold, generation and first event in one SQL
 * call, durable before it answers. Whatever is refused has written and charged nothing. Pass a transaction to add
 * rows of your own to it; `wakeDispatcher` is then yours to call after the commit.
 */
export function createAccept(deps: Deps) {
  const { registry, ids, deadlineSec } = deps

  async function accept(db: Queryable, ask: Ask): Promise<Accepted> {
    const provider = registry.get(ask.provider)
    const problems = provider.validate(ask.request)
    if (problems.length) throw new AppError('validation_failed', {}, problems)
    const refusing = await deps.refusing(provider.account)
    if (refusing) throw new AppError(refusing, { provider: ask.provider, retryAfterSec: 60 })
    const model = ask.request.model ?? provider.descriptor.defaultModel
    const results = provider.resultCount(ask.request)
    const perItem = await deps.priceOf(db, ask.request.kind, ask.provider, model)
    const { rows } = await db.query<Record<string, any>>({
      name: 'accept_generation',
      text: 'select * from reprise.accept_generation($1)',
      values: [JSON.stringify({
        id: ids.uuid(), userId: ask.userId, provider: ask.provider, account: provider.account, kind: ask.request.kind,
        origin: ask.origin, urgency: ask.urgency ?? 'interactive', request: ask.request, perItem, cost: perItem * results,
        resultCount: results, deadlineSec, watchSec: Math.ceil(provider.descriptor.retentionMs / 1000),
        regeneratedFrom: ask.regeneratedFrom ?? null, startsPerSec: startsPerSec(provider), ...idempotencyOf(ask),
      })],
    })
    return readOutcome(rows[0]!)
  }

  return {
    accept,
    /** Accepts outside any other transaction and wakes a worker (best effort: the row is the queue). */
    async acceptNow(db: Queryable, ask: Ask): Promise<Accepted> {
      const accepted = await accept(db, ask)
      deps.wakeDispatcher()
      return accepted
    },
  }
}

export type Accept = ReturnType<typeof createAccept>

function idempotencyOf({ idempotency }: Ask) {
  if (!idempotency) return { route: null, key: null, bodyHash: null, keySeconds: null, waitForTwin: false }
  const { route, key, body, keySeconds, waitForTwin } = idempotency
  return { route, key, bodyHash: sha256Hex(canonical(body)), keySeconds, waitForTwin }
}

/** Equal JSON is equal whatever the order of its keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}

/** Honest admission: how many starts per second the account allows, null when nothing limits it. */
function startsPerSec({ descriptor: { rate, concurrency, firstPollMs } }: Provider): number | null {
  const byRate = rate ? rate.count / (rate.windowMs / 1000) : Infinity
  const byConcurrency = concurrency === null ? Infinity : concurrency / (Math.max(firstPollMs, 1_000) / 1000)
  const least = Math.min(byRate, byConcurrency)
  // Above this no queue of a deadline's length can build up; counting it would cost more than it tells.
  return least < 100 ? least : null
}

function readOutcome(row: Record<string, any>): Accepted {
  switch (row.outcome) {
    case 'accepted':
    case 'replayed':
      return {
        id: row.generation_id, provider: row.provider, kind: row.kind, cost: row.cost, createdAt: row.created_at,
        deadlineAt: row.deadline_at, replayed: row.outcome === 'replayed',
      }
    case 'key_reused':
      throw new AppError('idempotency_key_reused')
    case 'in_progress':
      throw new AppError('request_in_progress', { retryAfterSec: 1 })
    case 'insufficient':
      throw new AppError('insufficient_tokens', { required: row.required, available: row.available })
    case 'queue_full':
      throw new AppError('queue_full', { retryAfterSec: row.retry_after_sec })
    default:
      throw new Error(`unknown outcome ${row.outcome}`)
  }
}
