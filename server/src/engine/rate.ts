import type { Tx } from '../database/pool.ts'
import type { Descriptor } from '../providers/provider.ts'

/** Never more than asked for at once, so that one grant stays a short transaction. */
const MOST_PER_ROUND = 64
/** The provider's clock and the way to it are not ours: its window is taken a little longer than it says. */
const WINDOW_MARGIN = 1.05

/**
 * How many submits this account may start now. Locks the account's row: dispatchers of several nodes follow one
 * another, so rate, concurrency and breaker hold across nodes. Call `book` in the same transaction for those used.
 */
export async function freeSlots(tx: Tx, account: string, { rate, concurrency }: Pick<Descriptor, 'rate' | 'concurrency'>): Promise<number> {
  const windowMs = rate ? Math.ceil(rate.windowMs * WINDOW_MARGIN) : 0
  // A statement of its own: the count below must see the attempts of whoever held the lock until now.
  if (concurrency !== null) await tx.query({ name: 'lock_account', text: 'select from reprise.provider_accounts where account = $1 for update', values: [account] })
  const { rows } = await tx.query<{ recent: number; closed: boolean; running: number }>({
    name: 'free_slots',
    text: `select (select count(*) from unnest(a.grants) g where g > reprise.clock() - $2 * interval '1 millisecond') as recent,
        coalesce(a.breaker_until > reprise.now(), false) as closed,
        -- an attempt whose generation has ended is watched at most: should it never be heard of again, it must not keep its place
        case when $3 then (select count(*) from reprise.attempts t join reprise.generations g on g.id = t.generation_id and g.finished_at is null
          where t.account = a.account and t.state in ('intended', 'sent', 'accepted', 'unknown')) else 0 end as running
      from reprise.provider_accounts a where a.account = $1 for update`,
    values: [account, windowMs, concurrency !== null],
  })
  const row = rows[0]
  if (!row || row.closed) return 0
  const byRate = rate ? rate.count - row.recent : MOST_PER_ROUND
  const byConcurrency = concurrency === null ? MOST_PER_ROUND : concurrency - row.running
  return Math.max(0, Math.min(byRate, byConcurrency, MOST_PER_ROUND))
}

export async function book(tx: Tx, account: string, count: number, { rate }: Pick<Descriptor, 'rate'>): Promise<void> {
  if (!rate || count === 0) return
  await tx.query({
    name: 'book_slots',
    text: `update reprise.provider_accounts set grants = array(
        select g from unnest(grants) g where g > reprise.clock() - $3 * interval '1 millisecond' order by g
      ) || array_fill(reprise.clock(), array[$2::int]) where account = $1`,
    values: [account, count, Math.ceil(rate.windowMs * WINDOW_MARGIN)],
  })
}
