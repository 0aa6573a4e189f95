import { askable, attemptEnded } from '../record.ts'
import { isFinal } from '../state.ts'
import { endAttempt } from './ending.ts'
import type { Work } from './work.ts'

/** A callback that only says "still running" needs no question to the provider. */
export function worthAsking({ evidence, attempt }: Work): boolean {
  if (evidence.kind !== 'hint' || !attempt?.taskId || attemptEnded(attempt)) return false
  const claim = evidence.claimed
  if (claim?.status === 'queued' || claim?.status === 'running') return claim.results.some((result) => result.final !== null || result.previewUrl !== null)
  return true
}

/** Callbacks with our token do arrive for this attempt: asking is only the safety net, as late as a lost one may be found. */
const patience = ({ policy }: Work): number => policy.firstPollMs + policy.pollMaxMs

/** "Still running" is an answer too: what is not due yet, and nothing is wrong with, need not be asked soon. */
export function leaveToCallbacks(work: Work): void {
  const { record: { generation }, attempt, now } = work
  if (attempt?.state !== 'accepted' || attempt.claimed === null || generation.checkAt === null || generation.checkAt <= now) return
  if (generation.emptyChecks > 0 || generation.unreachableChecks > 0) return
  if (generation.state === 'generating' || generation.state === 'previewing') generation.checkAt = Math.max(generation.checkAt, now + patience(work))
}

export function wakeUp({ record, now }: Work): void {
  const { generation } = record
  if (!record.attempts.some((attempt) => attempt.taskId !== null)) return
  generation.wokenAt = now
  generation.checkAt = now
}

export function askAgain(work: Work): void {
  const { generation } = work.record
  if (work.evidence.kind !== 'snapshot') return
  const said = work.evidence.snapshot.status
  generation.unreachableChecks = 0
  generation.checks += 1
  const over = isFinal(generation.state) || generation.state === 'saving'
  if (said === 'failed' || said === 'cancelled') endAttempt(work, 'failed')
  else if (said === 'succeeded' && over) endAttempt(work, 'succeeded')
  if (askable(work.record).length === 0) {
    generation.checkAt = null
    return
  }
  if (said === 'succeeded') generation.emptyChecks += 1
  const { pollMs, pollMaxMs } = work.policy
  const wait = isFinal(generation.state)
    ? lateWait(work)
    : said === 'succeeded'
      ? Math.min(5_000, pollMs) * generation.emptyChecks
      : work.attempt?.claimed
        ? patience(work)
        : generation.wokenAt !== null // callbacks do arrive, though not with our token
          ? pollMaxMs
          : Math.min(pollMaxMs, Math.round(pollMs * 1.3 ** Math.min(generation.checks - 1, 30)))
  nextCheck(work, wait)
}

/** After the end the provider is asked ever more rarely: the wait grows with the time since the deadline. */
export function lateWait({ record, now }: Work): number {
  return Math.min(6 * 3_600_000, 60_000 + Math.max(0, now - record.generation.deadlineAt) / 4)
}

export function nextCheck({ record, evidence, now }: Work, waitMs: number): void {
  const { generation } = record
  const askedAt = 'askedAt' in evidence ? evidence.askedAt : null
  // A wake that came while the provider was being asked is not forgotten.
  const woken = askedAt !== null && generation.wokenAt !== null && generation.wokenAt > askedAt
  // Several attempts are asked in turn, each at its own pace.
  generation.checkAt = woken ? now : now + Math.round(waitMs / Math.max(1, askable(record).length))
}
