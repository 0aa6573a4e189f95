import type { Database, Tx } from '../../database/pool.ts'
import { isBroken } from '../../database/transient.ts'
import type { AccountStatus } from '../../engine/accounts.ts'
import type { Urgency } from '../../engine/state.ts'
import { canonical, type Idempotency } from '../../http-kit/idempotency.ts'
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
  idempotency: Idempotency | null
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

/**
 * Writes what was prepared, all of it or (AppError) nothing, through this transaction alone. After a rollback it may be
 * called again. `wakeDispatcher` is the caller's to call after the commit.
 */
export type Write = (tx: Tx) => Promise<Accepted[]>

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
 * SQL call, durable before it answers. Whatever is refused has written and charged nothing. To add rows of your own in
 * the same transaction, `prepare` before it begins: whoever holds a connection and waits for another one waits for
 * those who do the same.
 */
export function createAccept(deps: Deps) {
  const { db, registry, ids, deadlineSec } = deps

  /** Checks all that the SQL function does not; answers the request as that takes it. */
  async function check(ask: Ask, admitted = false) {
    const provider = registry.get(ask.provider)
    const problems = [...provider.validate(ask.request), ...foreignPictures(ask)]
    if (problems.length) throw new AppError('validation_failed', {}, problems)
    const { refusing, concurrency } = await deps.accountStatus(provider.account)
    // What was accepted stays accepted: its answer is given again whatever the provider refuses by now.
    if (refusing && !admitted && !(await earlier(ask.userId, ask.idempotency))) throw new AppError(refusing, { provider: ask.provider, retryAfterSec: 60 })
    return {
      id: ids.uuid(), userId: ask.userId, provider: ask.provider, account: provider.account, kind: ask.request.kind,
      model: ask.request.model ?? provider.descriptor.defaultModel, origin: ask.origin, urgency: ask.urgency ?? 'interactive',
      request: ask.request, resultCount: provider.resultCount(ask.request), deadlineSec: ask.deadlineSec ?? deadlineSec,
      watchSec: Math.ceil(provider.descriptor.retentionMs / 1000), regeneratedFrom: ask.regeneratedFrom ?? null,
      priceKind: ask.priceKind ?? null, perItem: ask.perItem ?? null,
      startsPerSec: startsPerSec({ ...provider.descriptor, concurrency: concurrency ?? provider.descriptor.concurrency }), ...idempotencyOf(ask),
    }
  }
  type Checked = Awaited<ReturnType<typeof check>>

  /** The generation that this very request was accepted as before; of several the first. AppError `idempotency_key_reused`. */
  async function earlier(userId: string, idempotency: Idempotency | null): Promise<string | null> {
    if (!idempotency) return null
    const { route, key, body, keySeconds } = idempotency
    const { rows: [before] } = await db.query<{ id: string; same: boolean }>(
      `select generation_id as id, body_hash = decode($5, 'hex') as same from reprise.idempotency
       where user_id = $1 and route = $2 and key = $3 and created_at > reprise.now() - $4 * interval '1 second'`,
      [userId, route, key, keySeconds, bodyHash(body)],
    )
    if (before && !before.same) throw new AppError('idempotency_key_reused')
    return before?.id ?? null
  }

  async function alone(checked: Checked): Promise<Row> {
    const { rows } = await db.query<Row>({ name: 'accept_generation', text: 'select * from reprise.accept_generation($1)', values: [JSON.stringify(checked)] })
    return rows[0]!
  }

  /** Plain ones in one statement; each of the others by itself, without holding up the next batch. */
  async function together(batch: Checked[]): Promise<(Row | Promise<Row>)[]> {
    const { rows } = await db.query<Row>({ name: 'accept_generations', text: 'select * from reprise.accept_generations($1)', values: [JSON.stringify(batch)] })
    const accepted = new Map(rows.map((row) => [row.generation_id, row]))
    return batch.map((checked) => accepted.get(checked.id) ?? alone(checked))
  }

  const inBatches = createBatcher<Checked, Row>({
    together, alone, most: MOST_TOGETHER, lanes: LANES,
    // After a lost connection it may all be there: not repeated, the client's key says whether it was accepted.
    undone: (error) => !isBroken(error),
  })

  return {
    earlier,
    /**
     * Requests of one user that stand or fall together; the first one's `idempotency` is that of all. They are answered
     * in their order, or, accepted before, the first alone, `replayed`.
     */
    async prepare([first, ...others]: readonly [Ask, ...Ask[]]): Promise<Write> {
      const checked = [await check(first)]
      for (const other of others) checked.push(await check({ ...other, idempotency: null }, true))
      const text = JSON.stringify(checked)
      return async (tx) => (await tx.query<Row>('select * from reprise.accept_together($1)', [text])).rows.map(readOutcome)
    },
    /** What one result costs now at this provider, by each of these lines of the price table; null where there is none. */
    async prices<Kind extends string>(provider: string, kinds: readonly Kind[]): Promise<Record<Kind, number | null>> {
      const { rows } = await db.query<{ kind: Kind; tokens: number | null }>(
        'select kind, reprise.price_of(kind, $2, $3) as tokens from unnest($1::text[]) kind', [kinds, provider, registry.find(provider)?.descriptor.defaultModel ?? ''])
      return Object.fromEntries(rows.map(({ kind, tokens }) => [kind, tokens])) as Record<Kind, number | null>
    },
    /** Accepts outside any other transaction and wakes a worker (best effort: the row is the queue). */
    async acceptNow(ask: Ask): Promise<Accepted> {
      const accepted = readOutcome(await inBatches(await check(ask)))
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
    return owner === undefined || owner === userId ? [] : [{ path: `options.images.${index}`, rule: 'no_such_picture', message: '' }]
  })
}

function idempotencyOf({ idempotency }: Ask) {
  if (!idempotency) return { route: null, key: null, bodyHash: null, keySeconds: null, waitForTwin: false }
  const { route, key, body, keySeconds, waitForTwin } = idempotency
  return { route, key, bodyHash: bodyHash(body), keySeconds, waitForTwin }
}

const bodyHash = (body: unknown): string => sha256Hex(canonical(body))

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
