import type { Database, Queryable } from '../../database/pool.ts'
import { isBroken } from '../../database/transient.ts'
import type { AccountStatus } from '../../engine/accounts.ts'
import type { Urgency } from '../../engine/state.ts'
import { createBatcher } from '../../kernel/batcher.ts'
import { AppError, type FieldError } from '../../kernel/errors.ts'
import { sha256Hex, type Ids } from '../../kernel/ids.ts'
import type { Descriptor, GenerationRequest } from '../../providers/provider.ts'
import type { Registry } from '../../providers/registry.ts'

export interface Ask {
  userId: string
  provider: string
  request: GenerationRequest
  /** The feature that asks; its listeners follow the moves. */
  origin: string
  urgency?: Urgency
  regeneratedFrom?: string
  /** Instead of the configured time from accepting to giving up; seconds. */
  deadlineSec?: number
  /** The line of the price table, when it is not the kind's own. */
  priceKind?: string
  /** Tokens for each result, whatever the price table says. */
  perItem?: number
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
  db: Database
  registry: Registry
  /** What is known of the provider account: whether it refuses all work (no credits, bad key), and its own limit. */
  accountStatus: (account: string) => Promise<Pick<AccountStatus, 'refusing' | 'concurrency'>>
  wakeDispatcher: () => void
  ids: Ids
  deadlineSec: number
}

/** Most requests accepted in one transaction, and transactions under way at once. */
const MOST_TOGETHER = 32
const LANES = 3

type Row = Record<string, any>

/**
 * Accepts a paid request: validated first, then idempotency, admission, price, hold, generation and first event in one
 * SQL call, durable before it answers. Whatever is refused has written and charged nothing. Pass a transaction to add
 * rows of your own to it; `wakeDispatcher` is then yours to call after the commit.
 */
export function createAccept(deps: Deps) {
  const { db, registry, ids, deadlineSec } = deps

  /** Checks what needs no database; answers the request as the SQL function takes it. */
  async function prepare(ask: Ask, admitted = false) {
    const provider = registry.get(ask.provider)
    const problems = [...provider.validate(ask.request), ...foreignPictures(ask)]
    if (problems.length) throw new AppError('validation_failed', {}, problems)
    const { refusing, concurrency } = await deps.accountStatus(provider.account)
    if (refusing && !admitted && !(await acceptedBefore(ask))) throw new AppError(refusing, { provider: ask.provider, retryAfterSec: 60 })
    return {
      id: ids.uuid(), userId: ask.userId, provider: ask.provider, account: provider.account, kind: ask.request.kind,
      model: ask.request.model ?? provider.descriptor.defaultModel, origin: ask.origin, urgency: ask.urgency ?? 'interactive',
      request: ask.request, resultCount: provider.resultCount(ask.request), deadlineSec: ask.deadlineSec ?? deadlineSec,
      watchSec: Math.ceil(provider.descriptor.retentionMs / 1000), regeneratedFrom: ask.regeneratedFrom ?? null,
      priceKind: ask.priceKind ?? null, perItem: ask.perItem ?? null,
      startsPerSec: startsPerSec({ ...provider.descriptor, concurrency: concurrency ?? provider.descriptor.concurrency }), ...idempotencyOf(ask),
    }
  }
  type Prepared = Awaited<ReturnType<typeof prepare>>

  /** What was accepted stays accepted: its answer is given again whatever the provider refuses by now. */
  async function acceptedBefore({ userId, idempotency }: Ask): Promise<boolean> {
    if (!idempotency) return false
    const { rowCount } = await db.query(
      `select 1 from reprise.idempotency where user_id = $1 and route = $2 and key = $3 and created_at > reprise.now() - $4 * interval '1 second'`,
      [userId, idempotency.route, idempotency.key, idempotency.keySeconds],
    )
    return rowCount > 0
  }

  async function alone(on: Queryable, prepared: Prepared): Promise<Row> {
    const { rows } = await on.query<Row>({ name: 'accept_generation', text: 'select * from reprise.accept_generation($1)', values: [JSON.stringify(prepared)] })
    return rows[0]!
  }

  /** Plain ones in one statement; each of the others by itself, without holding up the next batch. */
  async function together(batch: Prepared[]): Promise<(Row | Promise<Row>)[]> {
    const { rows } = await db.query<Row>({ name: 'accept_generations', text: 'select * from reprise.accept_generations($1)', values: [JSON.stringify(batch)] })
    const accepted = new Map(rows.map((row) => [row.generation_id, row]))
    return batch.map((prepared) => accepted.get(prepared.id) ?? alone(db, prepared))
  }

  const inBatches = createBatcher<Prepared, Row>({
    together, alone: (prepared) => alone(db, prepared), most: MOST_TOGETHER, lanes: LANES,
    // After a lost connection it may all be there: not repeated, the client's key says whether it was accepted.
    undone: (error) => !isBroken(error),
  })

  return {
    async accept(tx: Queryable, ask: Ask): Promise<Accepted> {
      return readOutcome(await alone(tx, await prepare(ask)))
    },
    /**
     * Accepts requests of one user that stand or fall together, in the given transaction; the first one's `idempotency`
     * is that of all. Answers each in its order, or of a request that was accepted before the first alone, `replayed`.
     */
    async acceptTogether(tx: Queryable, [first, ...others]: [Ask, ...Ask[]]): Promise<Accepted[]> {
      const prepared = [await prepare(first)]
      for (const other of others) prepared.push(await prepare({ ...other, idempotency: null }, true))
      const { rows } = await tx.query<Row>('select * from reprise.accept_together($1)', [JSON.stringify(prepared)])
      return rows.map(readOutcome)
    },
    /** Accepts outside any other transaction and wakes a worker (best effort: the row is the queue). */
    async acceptNow(ask: Ask): Promise<Accepted> {
      const accepted = readOutcome(await inBatches(await prepare(ask)))
      deps.wakeDispatcher()
      return accepted
    },
  }
}

export type Accept = ReturnType<typeof createAccept>

/** Pictures of ours that go along with a request must be its user's: each lies below a folder of its owner. */
function foreignPictures({ userId, request }: Ask): FieldError[] {
  const { images } = request.options ?? {}
  if (!Array.isArray(images)) return []
  const ownerOf = (ref: { bucket?: unknown; path?: unknown; key?: unknown } | null): string | undefined =>
    typeof ref?.key === 'string' ? ref.key.split('/')[1] : typeof ref?.path === 'string' ? ref.path.split('/')[0] : undefined
  return images.flatMap((ref, index) => {
    const owner = ownerOf(ref)
    return owner === undefined || owner === userId ? [] : [{ path: `options.images.${index}`, rule: 'invalid', message: 'There is no such picture.' }]
  })
}

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
function startsPerSec({ rate, concurrency, firstPollMs }: Pick<Descriptor, 'rate' | 'concurrency' | 'firstPollMs'>): number | null {
  const byRate = rate ? rate.count / (rate.windowMs / 1000) : Infinity
  const byConcurrency = concurrency === null ? Infinity : concurrency / (Math.max(firstPollMs, 1_000) / 1000)
  const least = Math.min(byRate, byConcurrency)
  // Above this no queue of a deadline's length can build up; counting it would cost more than it tells.
  return least < 100 ? least : null
}

function readOutcome(row: Row): Accepted {
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
    case 'no_price':
      throw new AppError('validation_failed', {}, [{ path: 'kind', rule: 'choice', message: `no price is set for ${row.kind}` }])
    case 'queue_full':
      throw new AppError('queue_full', { retryAfterSec: row.retry_after_sec })
    default:
      throw new Error(`unknown outcome ${row.outcome}`)
  }
}
