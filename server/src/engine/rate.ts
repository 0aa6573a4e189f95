import type { Tx } from '../database/pool.ts'
import type { Descriptor } from '../providers/provider.ts'

/** Never more than asked for at once, so that one grant stays a short transaction. */
const MOST_PER_ROUND = 64
/** The provider's clock and the way to it are not ours: its window is taken a little longer than it says. */
const WINDOW_MARGIN = 1.05

/**
 * The requests of this account that may start now, locked, their slots booked: at most `most`, users in turn. `more`
 * when every free slot found a request, so that there may be others. Slots are given back by a rollback only.
 */
export async function takeSlots(tx: Tx, account: string, most: number, { rate, concurrency }: Pick<Descriptor, 'rate' | 'concurrency'>): Promise<{ ids: string[]; more: boolean }> {
  const { rows } = await tx.query<{ ids: string[]; wanted: number }>({
    name: 'take_slots',
    text: 'select ids, wanted from reprise.take_slots($1, $2, $3, $4, $5)',
    values: [account, Math.min(most, MOST_PER_ROUND), rate?.count ?? null, rate ? Math.ceil(rate.windowMs * WINDOW_MARGIN) : null, concurrency],
  })
  const { ids, wanted } = rows[0]!
  return { ids, more: ids.length > 0 && ids.length === wanted }
}
