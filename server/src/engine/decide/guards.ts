import type { ErrorCode } from '../../kernel/errors.ts'
import type { GuardName } from '../moves.ts'
import { anyIn, askable, attemptEnded, finals, latestAttempt, unsettled } from '../record.ts'
import type { Result } from '../state.ts'
import { copyOf } from './copy.ts'
import { learn } from './learn.ts'
import type { Work } from './work.ts'

const RETRYABLE: ErrorCode[] = ['transient', 'rate_limited', 'unavailable', 'provider_malformed']
const OUT_OF_CREDITS: ErrorCode[] = ['no_credits', 'provider_auth']

/** How often a success without (all) files is asked again before it is believed. */
const EMPTY_CHECKS = 2
/** A callback is believed after this many checks in vain. */
const UNREACHABLE_BEFORE_CLAIM = 3

const ended = (result: Result): boolean => result.state === 'stored' || result.state === 'refused'

/** The conditions that rows of the table of moves name. */
export const GUARDS: Record<GuardName, (work: Work) => boolean> = {
  awaits_slot: ({ record }) => record.generation.dispatchAt !== null,
  attempt_current: ({ attempt, record }) => attempt !== null && attempt.id === latestAttempt(record)?.id && !attemptEnded(attempt),
  attempt_intended: ({ attempt }) => attempt?.state === 'intended',
  attempt_sent: ({ attempt }) => attempt?.state === 'sent',
  attempt_unsettled: ({ attempt }) => attempt !== null && !attemptEnded(attempt),
  attempt_untold: ({ attempt, evidence }) => attempt !== null && attempt.taskId === null && 'taskId' in evidence && evidence.taskId !== null,
  retryable: (work) =>
    GUARDS.attempt_current(work) && work.evidence.kind === 'refused' && !work.evidence.error.final && (!work.evidence.sent || RETRYABLE.includes(work.evidence.error.code)),
  out_of_credits_interactive: (work) => outOfCredits(work) && work.record.generation.urgency === 'interactive',
  out_of_credits_patient: (work) => outOfCredits(work) && work.record.generation.urgency !== 'interactive',
  // The outcome may have become clear while the end of the grace was on its way here.
  indeterminate: ({ record }) => record.generation.indeterminateUntil !== null,
  indeterminate_callbacks_work: (work) => GUARDS.indeterminate(work) && work.evidence.kind === 'grace_over' && (work.evidence.callbacksWork || work.evidence.repeatable === true),
  any_stored: (work) => anyIn(work.record, 'stored'),
  all_ended_any_stored: (work) => finals(work.record).every(ended) && GUARDS.any_stored(work),
  all_ended_none_stored: (work) => finals(work.record).every(ended) && !GUARDS.any_stored(work),
  bytes_given: (work) => GUARDS.attempt_unsettled(work) && work.evidence.kind === 'finished' && work.evidence.results.length > 0,
  succeeded_with_file: (work) => succeeded(work) && anyIn(work.record, 'known'),
  succeeded_all_stored: (work) => succeeded(work) && GUARDS.any_stored(work),
  succeeded_empty_for_good: succeeded,
  partial: (work) =>
    status(work) !== null && finals(work.record).some((result) => result.state !== 'expected' || result.previewUrl !== null),
  failed_with_file: (work) => failed(work) && anyIn(work.record, 'known'),
  failed_all_stored: (work) => failed(work) && GUARDS.any_stored(work),
  provider_failed: failed,
  claim_believed: (work) => work.record.generation.unreachableChecks + 1 >= UNREACHABLE_BEFORE_CLAIM && claimBringsFile(work),
  never_sent: ({ record }) => record.attempts.every((attempt) => ['intended', 'rejected', 'abandoned'].includes(attempt.state)),
  unsettled: ({ record }) => unsettled(record),
}

function outOfCredits(work: Work): boolean {
  return GUARDS.attempt_current(work) && work.evidence.kind === 'refused' && OUT_OF_CREDITS.includes(work.evidence.error.code)
}
function status({ evidence }: Work) {
  return evidence.kind === 'snapshot' ? evidence.snapshot.status : null
}
function failed(work: Work): boolean {
  // An earlier attempt's failure does not end a generation whose newer attempt still runs.
  const others = askable(work.record).filter((attempt) => attempt.id !== work.attempt?.id)
  return ['failed', 'cancelled'].includes(status(work) ?? '') && others.length === 0
}
/** It says that it is done, and has told all files or was asked often enough for the others. */
function succeeded(work: Work): boolean {
  return status(work) === 'succeeded' && (!anyIn(work.record, 'expected') || work.record.generation.emptyChecks >= EMPTY_CHECKS)
}
function claimBringsFile({ record, attempt, now }: Work): boolean {
  if (attempt?.claimed?.status !== 'succeeded') return false
  const tried = copyOf(record)
  learn(tried, attempt, attempt.claimed, now)
  return finals(tried).some((result) => result.state === 'known')
}
