import { sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Knock, Outcome, Store } from './store.ts'

/**
 * Evidence that cost money or time to get (a task id, a saved file) is not thrown away because the database is
 * away, full, read-only or slow for a while: it is offered again until it is taken. Every kind of evidence may be offered twice.
 */
export function createPatientKnock(deps: { store: Pick<Store, 'apply'>; isLasting: (error: unknown) => boolean; logger: Logger; patienceMs?: number }) {
  const { store, isLasting, logger, patienceMs = 10 * 60_000 } = deps
  let hurryUntil = Infinity

  async function knock(one: Knock): Promise<Outcome> {
    const until = performance.now() + patienceMs
    for (let wait = 100; ; wait = Math.min(wait * 2, 5_000)) {
      try {
        return await store.apply(one)
      } catch (error) {
        if (isLasting(error) || performance.now() + wait > Math.min(until, hurryUntil)) throw error
        logger.warn({ err: error, generationId: one.generationId, evidence: one.evidence.kind }, 'the database does not take it just now; what was found out is kept and offered again')
        await sleep(wait)
      }
    }
  }

  return {
    knock,
    /** The process is stopping: what cannot be told within this time is left to the next owner of the lease. */
    hurry(ms: number): void {
      hurryUntil = performance.now() + ms
    },
  }
}

export type PatientKnock = ReturnType<typeof createPatientKnock>['knock']
