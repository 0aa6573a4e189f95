import { askable, latestAttempt, unsettled } from './record.ts'
import { isFinal, type Attempt, type GenerationRecord } from './state.ts'

/** When somebody must look at it again. Open generations always have a time (the database checks it too). */
export function armedAt({ generation, attempts, results }: GenerationRecord): number | null {
  const record = { generation, attempts, results }
  const times: number[] = []
  const final = isFinal(generation.state)
  if (!final || (generation.state === 'cancelled' && unsettled(record))) times.push(generation.deadlineAt)
  if (!final && generation.indeterminateUntil !== null) times.push(generation.indeterminateUntil)
  // Due as soon as the lease of the worker that holds the attempt lapses.
  if (generation.state === 'submitting' && generation.indeterminateUntil === null && inFlight(record)) times.push(inFlight(record)!.createdAt)
  if (generation.checkAt !== null) times.push(final ? Math.min(generation.checkAt, generation.watchUntil) : generation.checkAt)
  return times.length ? Math.min(...times) : null
}

function inFlight(record: GenerationRecord): Attempt | null {
  const attempt = latestAttempt(record)
  return attempt && (attempt.state === 'intended' || attempt.state === 'sent') ? attempt : null
}

/** What a worker that has claimed this record must find out or decide now. */
export type Due = { step: 'deadline' | 'lease_lost' | 'grace_over' | 'watch_over' | 'idle' } | { step: 'ask'; attempt: Attempt }

export function dueStep(record: GenerationRecord, now: number): Due {
  const { generation } = record
  const final = isFinal(generation.state)
  if ((!final || (generation.state === 'cancelled' && unsettled(record))) && generation.deadlineAt <= now) return { step: 'deadline' }
  if (!final && generation.indeterminateUntil !== null) {
    if (generation.indeterminateUntil <= now) return { step: 'grace_over' }
  } else if (generation.state === 'submitting' && inFlight(record)) return { step: 'lease_lost' }
  if (final && generation.checkAt !== null && generation.watchUntil <= now) return { step: 'watch_over' }
  if (generation.checkAt !== null && generation.checkAt <= now) {
    const running = askable(record)
    const inTurn = running[(generation.checks + generation.unreachableChecks) % running.length]
    const attempt = inTurn ?? record.attempts.findLast((candidate) => candidate.taskId !== null)
    if (attempt) return { step: 'ask', attempt }
  }
  return { step: 'idle' }
}
