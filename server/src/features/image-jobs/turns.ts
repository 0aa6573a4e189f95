import { AppError } from '../../kernel/errors.ts'

/** Runs `work` when its turn comes. */
type InTurn = <T>(work: () => Promise<T>) => Promise<T>

/**
 * Lets `most` in at once, `mostOfOne` of anyone; 429 for whoever comes then. Of those inside `atOnce` work together, and
 * whoever brings many has them done in turn with everybody else.
 */
export function createTurns({ atOnce, most, mostOfOne }: { atOnce: number; most: number; mostOfOne: number }) {
  const inside = new Map<string, number>()
  const waiting = new Map<string, (() => void)[]>()
  let all = 0
  let working = 0

  function come(who: string, by: 1 | -1): void {
    const now = (inside.get(who) ?? 0) + by
    all += by
    if (now > 0) inside.set(who, now)
    else inside.delete(who)
  }

  function next(): void {
    const [first] = waiting
    if (!first || working >= atOnce) return
    const [who, [start, ...others]] = first
    // The rest of them behind everybody who waits now.
    waiting.delete(who)
    if (others.length) waiting.set(who, others)
    working++
    start!()
  }

  return async function enter<T>(who: string, visit: (inTurn: InTurn) => Promise<T>): Promise<T> {
    if (all >= most || (inside.get(who) ?? 0) >= mostOfOne) throw new AppError('too_many_requests', { retryAfterSec: 5 })
    come(who, 1)
    try {
      return await visit(async (work) => {
        await new Promise<void>((start) => {
          waiting.set(who, [...(waiting.get(who) ?? []), start])
          next()
        })
        try {
          return await work()
        } finally {
          working--
          next()
        }
      })
    } finally {
      come(who, -1)
    }
  }
}
