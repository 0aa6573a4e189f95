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
  itemIndex: number | null
  reason: string
}

export interface Price {
  kind: string
  provider: string
  model: string
  tokensPerResult: number
}

/** What became of one generation's tokens. `held + captured + released = cost`. */
export interface Receipt {
  cost: number
  held: number
  captured: number
  released: number
}

/** Tokens: wallets, grants, prices and receipts. Holds and settlements are made by accept and by the moves. */
export function createLedger({ db }: { db: Database }) {
  return {
    async balance(userId: string): Promise<Balance> {
      const { rows } = await db.query<Balance>({ name: 'balance', text: 'select available, held from reprise.wallets where user_id = $1', values: [userId] })
      return rows[0] ?? { available: 0, held: 0 }
    },

    async transfers(userId: string, limit: number, before: number | null): Promise<Transfer[]> {
      const { rows } = await db.query<Transfer>(
        `select id, at, kind, amount, generation_id as "generationId", item_index as "itemIndex", reason
         from reprise.ledger_transfers where user_id = $1 and ($2::bigint is null or id < $2) order by id desc limit $3`,
        [userId, before, limit],
      )
      return rows
    },

    async prices(): Promise<Price[]> {
      const { rows } = await db.query<Price>('select kind, provider, model, tokens as "tokensPerResult" from reprise.prices order by kind, provider, model')
      return rows
    },

    /**
     * Gives tokens; with the same `requestKey` of the same actor, once. Answers the balance afterwards. AppError
     * `idempotency_key_reused` when the key was used for another grant: it would otherwise be lost in silence.
     */
    async grant(grant: { userId: string; amount: number; reason: string; actor: string; requestKey: string | null }): Promise<Balance & { replayed: boolean }> {
      return db.transaction(async (tx) => {
        await tx.query('select reprise.open_wallet($1)', [grant.userId])
        const { rowCount } = await tx.query(
          `insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, reason, actor, request_key)
           values ($1, 'grant', 'grants', 'available', $2, $3, $4, $5) on conflict do nothing`,
          [grant.userId, grant.amount, grant.reason, grant.actor, grant.requestKey],
        )
        if (rowCount === 0) {
          const { rows: [first] } = await tx.query<Record<string, unknown>>(
            'select user_id, amount, reason from reprise.ledger_transfers where actor = $1 and request_key = $2', [grant.actor, grant.requestKey])
          if (first?.user_id !== grant.userId || first.amount !== grant.amount || first.reason !== grant.reason) throw new AppError('idempotency_key_reused')
        }
        const { rows } = await tx.query<Balance>('select available, held from reprise.wallets where user_id = $1', [grant.userId])
        return { ...rows[0]!, replayed: rowCount === 0 }
      })
    },

    async receipt(generationId: string): Promise<Receipt> {
      const { rows } = await db.query<Receipt>(
        `select coalesce(sum(amount), 0) as cost, coalesce(sum(amount) filter (where state = 'open'), 0) as held,
           coalesce(sum(amount) filter (where state = 'captured'), 0) as captured, coalesce(sum(amount) filter (where state = 'released'), 0) as released
         from reprise.hold_items where generation_id = $1`,
        [generationId],
      )
      return rows[0]!
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
