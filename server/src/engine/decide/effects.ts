import type { MoveId } from '../moves.ts'
import { askable, finals, latestAttempt, refusals } from '../record.ts'
import { isFinal } from '../state.ts'
import { askAgain, lateWait, leaveToCallbacks, nextCheck, wakeUp, worthAsking } from './asking.ts'
import { close, endAttempt, fail, refuse, refuseRest, snapshotError } from './ending.ts'
import { learn, wholeMs } from './learn.ts'
import type { Work } from './work.ts'

/** What a move changes besides the state and the tokens, which the table says. */
export const EFFECTS: Partial<Record<MoveId, (work: Work) => void>> = {
  slot({ record, evidence, now }) {
    if (evidence.kind !== 'slot') return
    const { generation, attempts } = record
    generation.dispatchAt = null
    generation.blockedReason = null
    attempts.push({
      id: evidence.attemptId, number: attempts.length + 1, state: 'intended', provider: generation.provider, account: evidence.account,
      adapter: evidence.adapter, tokenHash: evidence.tokenHash, taskId: null, errorCode: null, errorDetail: null, claimed: null,
      createdAt: now, sentAt: null, acceptedAt: null, endedAt: null,
    })
    generation.account = evidence.account
  },
  sending({ attempt, now }) {
    Object.assign(attempt!, { state: 'sent', sentAt: now })
  },
  retry(work) {
    close(work, 'rejected')
    work.record.generation.indeterminateUntil = null
    const tries = refusals(work.record)
    const wait = work.evidence.kind === 'refused' ? (work.evidence.error.retryAfterMs ?? 0) : 0
    work.record.generation.dispatchAt = work.now + Math.max(wait, Math.min(30_000, 1_000 * 2 ** Math.min(tries - 1, 5)))
  },
  no_credits: (work) => refuse(work),
  rejected: (work) => refuse(work),
  blocked(work) {
    close(work, 'rejected')
    work.record.generation.indeterminateUntil = null
    if (work.evidence.kind === 'refused') work.record.generation.blockedReason = work.evidence.error.code
    work.record.generation.dispatchAt = work.now + 60_000
  },
  accepted: adopt,
  accepted_again: adopt,
  adopted: adopt,
  adopted_late: adopt,
  finished(work) {
    takeBytes(work)
    refuseRest(work.record, 'empty_result', 'the answer held no file for it')
  },
  finished_empty(work) {
    takeBytes(work)
    fail(work, 'empty_result', 'the answer held no file')
  },
  finished_late: takeBytes,
  unknown(work) {
    close(work, 'unknown')
    work.record.generation.indeterminateUntil = work.now + work.policy.graceMs
  },
  owner_lost(work) {
    Object.assign(work.attempt!, { state: 'unknown' })
    const noGrace = work.evidence.kind === 'lease_lost' && work.evidence.repeatable
    work.record.generation.indeterminateUntil = work.now + (noGrace ? 0 : work.policy.graceMs)
  },
  never_sent(work) {
    close(work, 'abandoned')
    work.record.generation.dispatchAt = work.now
  },
  resubmit({ record, now }) {
    record.generation.indeterminateUntil = null
    record.generation.dispatchAt = now
  },
  submit_unknown({ record }) {
    record.generation.indeterminateUntil = null
    record.generation.errorCode = 'submit_unknown'
    record.generation.errorDetail = latestAttempt(record)?.errorDetail ?? null
  },
  hint(work) {
    keepClaim(work)
    if (work.evidence.kind === 'hint' && worthAsking(work)) wakeUp(work)
    else leaveToCallbacks(work)
  },
  wake(work) {
    // Noted also when there is nothing to ask: a stranger who repeats a known task id is heard once in 5 seconds.
    work.record.generation.wokenAt = work.now
    if (askable(work.record).length) wakeUp(work)
  },
  succeeded: takeSuccess,
  succeeded_all_stored: takeSuccess,
  empty(work) {
    endAttempt(work, 'succeeded')
    fail(work, 'empty_result', 'success without a file')
  },
  failed_with_file: takeFailure,
  failed_all_stored: takeFailure,
  provider_failed(work) {
    endAttempt(work, 'failed')
    const error = snapshotError(work)
    fail(work, error.code, error.detail)
  },
  partial: askAgain,
  running: askAgain,
  claimed(work) {
    const claimed = work.attempt!.claimed!
    work.events.push(...learn(work.record, work.attempt!, claimed, work.now))
    endAttempt(work, 'succeeded')
    refuseRest(work.record, 'empty_result', 'the callback named no file for it')
  },
  unreachable(work) {
    const { generation } = work.record
    if (!work.attempt?.taskId) return
    generation.unreachableChecks += 1
    const wait = isFinal(generation.state) ? lateWait(work) : Math.min(60_000, 5_000 * generation.unreachableChecks)
    nextCheck(work, wait)
  },
  nothing_saved(work) {
    const worst = finals(work.record).find((result) => result.refusedCode !== null)
    fail(work, worst?.refusedCode ?? 'download_failed', worst?.refusedDetail ?? null)
  },
  unsaved(work) {
    // An address that went bad may have a successor: the provider is asked for it, unless the file was refused for good.
    const { evidence, record } = work
    if (evidence.kind !== 'unsaved' || evidence.code !== 'download_failed') return
    if (record.results.find((result) => result.id === evidence.resultId)?.state === 'known') wakeUp(work)
  },
  timed_out({ record }) {
    record.generation.errorCode = 'deadline_exceeded'
  },
  cancel_unsent(work) {
    fail(work, 'cancelled', null)
    for (const attempt of work.record.attempts) if (attempt.state === 'intended') Object.assign(attempt, { state: 'abandoned', endedAt: work.now })
  },
  cancel_sent(work) {
    work.record.generation.errorCode = 'cancelled'
    for (const attempt of askable(work.record)) {
      work.outgoing.push({ topic: 'provider.cancel', payload: { provider: attempt.provider, account: attempt.account, taskId: attempt.taskId! } })
    }
  },
  watch_over({ record, now }) {
    record.generation.checkAt = null
    for (const attempt of record.attempts) if (!attempt.endedAt) Object.assign(attempt, { state: 'abandoned', endedAt: now })
  },
  recheck: wakeUp,
  redownload({ record, now }) {
    for (const result of record.results) {
      const source = result.sourceUrl !== null || result.stagedKey !== null
      if (source && (result.state === 'refused' || result.state === 'known')) {
        Object.assign(result, { state: 'known', tries: 0, nextAt: now, refusedCode: null, refusedDetail: null })
      }
    }
  },
}

function adopt(work: Work): void {
  const { attempt, evidence, record, now, policy } = work
  if (!attempt || !('taskId' in evidence) || evidence.taskId === null) return
  Object.assign(attempt, { state: 'accepted', taskId: evidence.taskId, acceptedAt: now, endedAt: null })
  record.generation.providerTaskId = evidence.taskId
  record.generation.indeterminateUntil = null
  record.generation.dispatchAt = null
  record.generation.blockedReason = null
  record.generation.checks = 0
  keepClaim(work)
  nextCheck(work, evidence.kind === 'hint' && worthAsking(work) ? 0 : policy.firstPollMs)
}

function keepClaim({ evidence, attempt, record, now }: Work): void {
  if (evidence.kind !== 'hint' || !attempt) return
  record.generation.heardAt = now
  // A later, poorer callback (`first` after `complete`) does not replace a richer one.
  if (evidence.claimed && attempt.claimed?.status !== 'succeeded') attempt.claimed = { ...evidence.claimed, raw: null } // the event has it
}

function takeBytes(work: Work): void {
  const { evidence, record, attempt, now } = work
  if (evidence.kind !== 'finished') return
  Object.assign(attempt!, { state: 'finished', endedAt: now })
  record.generation.indeterminateUntil = null
  record.generation.dispatchAt = null
  const late = isFinal(record.generation.state)
  const waiting = finals(record).filter((result) => result.state === 'expected' || (late && result.state === 'refused'))
  for (const [place, staged] of evidence.results.entries()) {
    const result = waiting[place]
    if (!result) continue
    Object.assign(result, {
      state: 'known', attemptId: attempt!.id, stagedKey: staged.stagedKey, title: staged.title, providerDurationMs: wholeMs(staged.durationMs),
      tries: 0, nextAt: now, refusedCode: null, refusedDetail: null,
    })
  }
}

function takeSuccess(work: Work): void {
  endAttempt(work, 'succeeded')
  refuseRest(work.record, 'empty_result', 'the provider named no file for it')
}

function takeFailure(work: Work): void {
  endAttempt(work, 'failed')
  const error = snapshotError(work)
  refuseRest(work.record, error.code, error.detail)
}
