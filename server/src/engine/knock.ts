import { sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Knock, Outcome, Store } from './store.ts'

/**
 * Evidence that cost money or time to get (a task id, a saved file) is not thrown away because the database is
 * away for a while: it is offered again until it is taken. Every kind of evidence may be offered twice.
 */
export function createPatientKnock(deps: { store: Store; isTransient: (error: unknown) => boolean; logger: Logger; patienceMs?: number }) {
  const { store, isTransient, logger, patienceMs = 10 * 60_000 } = deps
  return async function knock(one: Knock): Promise<Outcome> {
    const until = performance.now() + patienceMs
    for (let wait = 100; ; wait = Math.min(wait * 2, 5_000)) {
      try {
        return await store.apply(one)
      } catch (error) {
        if (!isTransient(error) || performance.now() + wait > until) throw error
        logger.warn({ generationId: one.generationId, evidence: one.evidence.kind }, 'the database is away; what was found out is kept and offered again')
        await sleep(wait)
      }
    }
  }
}

export type PatientKnock = ReturnType<typeof createPatientKnock>
