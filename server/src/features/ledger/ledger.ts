import type { Database, Queryable } from '../../database/pool.ts'
import { AppError } from '../../kernel/errors.ts'

export interface Balance {
  /** Tokens that can be spent. */
  available: number
  /** Tokens set aside for generations under way. */
  held: number
}

export interface Transfer {
  id: number
  at: Date
  kind: 'signup' | 'grant' | 'hold' | 'capture' | 'release' | 'adjustment'
  amount: number
  generationId: string | null
  /** The image job whose card the generation makes. */
  imageJobId: string | null
  /** What was asked for, in its title or the beginning of its words. */
  title: string | null
  itemIndex: number | null
  reason: string
}

/** What became of one generation's tokens. `held + captured + released = cost`. */
export interface Receipt {
  generationId: string
  imageJobId: string | null
  provider: string
  kind: string
  model: string | null
  title: string | null
  state: string
  at: Date
  cost: number
  held: number
  captured: number
  released: number
  /** One per expected result. `reason`: why its tokens were taken or came back; null while they are set aside. */
  items: { index: number; amount: number; state: 'open' | 'captured' | 'released'; settledAt: string | null; reason: string | null }[]
}

/** Tokens that an operator gives (`grant`) or takes back (`adjustment`). */
export interface ByHand {
  kind: 'grant' | 'adjustment'
  userId: string
  /** More than 0. */
  amount: number
  reason: string
  actor: string
  requestKey: string | null
}

/** Tokens: wallets, grants and receipts. Holds and settlements are made by accept and by the moves. */
export function createLedger({ db }: { db: Database }) {
  return {
    async balance(userId: string): Promise<Balance> {
      const { rows } = await db.query<Balance>({ name: 'balance', text: 'select available, held from reprise.wallets where user_id = $1', values: [userId] })
      return rows[0] ?? { available: 0, held: 0 }
    },

    async transfers(userId: string, limit: number, before: number | null): Promise<Transfer[]> {
      const { rows } = await db.query<Transfer>(
        `select t.id, t.at, t.kind, t.amount, t.generation_id as "generationId", reprise.image_job_of(t.generation_id) as "imageJobId", t.item_index as "itemIndex", t.reason,
           -- The words of a card are ours, not the user's.
           coalesce(nullif(g.request ->> 'title', ''), case when g.origin <> 'image-jobs' then nullif(left(g.request ->> 'prompt', 80), '') end) as title
         from reprise.ledger_transfers t left join reprise.generations g on g.id = t.generation_id
         where t.user_id = $1 and ($2::bigint is null or t.id < $2) order by t.id desc limit $3`,
        [userId, before, limit],
      )
      return rows
    },

    /**
     * Gives tokens, or takes some away that were given by mistake; with the same `requestKey` of the same actor, once.
     * Answers the balance afterwards. AppError `idempotency_key_reused` when the key was used for something else: it
     * would otherwise be lost in silence; `insufficient_tokens` when there is less to take than is asked.
     */
    async byHand({ kind, userId, amount, reason, actor, requestKey }: ByHand): Promise<Balance & { replayed: boolean }> {
      return db.transaction(async (tx) => {
        await tx.query('select reprise.open_wallet($1)', [userId])
        // Locked first, so that what is there to take is still there; one key is asked about once at a time.
        const { rows: [before] } = await tx.query<Balance>('select available, held from reprise.wallets where user_id = $1 for update', [userId])
        const { rows: [first] } = await tx.query<Record<string, unknown>>(
          'select user_id, kind, amount, reason from reprise.ledger_transfers where actor = $1 and request_key = $2', [actor, requestKey])
        if (first) {
          if (first.user_id !== userId || first.kind !== kind || first.amount !== amount || first.reason !== reason) throw new AppError('idempotency_key_reused')
          return { ...before!, replayed: true }
        }
        if (kind === 'adjustment' && before!.available < amount) throw new AppError('insufficient_tokens', { required: amount, available: before!.available })
        const [from, to] = kind === 'grant' ? ['grants', 'available'] : ['available', 'grants']
        const { rowCount } = await tx.query(
          `insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, reason, actor, request_key)
           values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing`, [userId, kind, from, to, amount, reason, actor, requestKey])
        // The same key at the same moment, for another user's wallet.
        if (rowCount === 0) throw new AppError('idempotency_key_reused')
        const { rows } = await tx.query<Balance>('select available, held from reprise.wallets where user_id = $1', [userId])
        return { ...rows[0]!, replayed: false }
      })
    },

    /** Of the user's own generation, or with null of anybody's; null when there is none. */
    async receipt(generationId: string, userId: string | null): Promise<Receipt | null> {
      const { rows } = await db.query<Receipt>(
        `select g.id as "generationId", reprise.image_job_of(g.id) as "imageJobId", g.provider, g.kind, g.request ->> 'model' as model, g.request ->> 'title' as title, g.state, g.created_at as at, g.cost,
           i.held, i.captured, i.released, i.items
         from reprise.generations g cross join lateral (
           select coalesce(sum(h.amount) filter (where h.state = 'open'), 0) as held, coalesce(sum(h.amount) filter (where h.state = 'captured'), 0) as captured,
             coalesce(sum(h.amount) filter (where h.state = 'released'), 0) as released,
             coalesce(jsonb_agg(jsonb_build_object('index', h.index, 'amount', h.amount, 'state', h.state,
               'settledAt', to_char(h.settled_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'reason', t.reason) order by h.index), '[]') as items
           from reprise.hold_items h
           left join reprise.ledger_transfers t on t.generation_id = h.generation_id and t.item_index = h.index and t.kind in ('capture', 'release')
           where h.generation_id = g.id
         ) i where g.id = $1 and ($2::uuid is null or g.user_id = $2)`,
        [generationId, userId],
      )
      return rows[0] ?? null
    },
  }
}

export type Ledger = ReturnType<typeof createLedger>

/** A new user's wallet and, once, the tokens that every new user gets; in the transaction that makes the account. */
export const openWallet = (signupTokens: number) => async (tx: Pick<Queryable, 'query'>, userId: string): Promise<void> => {
  await tx.query('select reprise.open_wallet($1)', [userId])
  if (signupTokens === 0) return
  await tx.query(
    `insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, reason, actor)
     values ($1, 'signup', 'grants', 'available', $2, 'welcome', 'reprise') on conflict do nothing`,
    [userId, signupTokens],
  )
}
