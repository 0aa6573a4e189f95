import type { ErrorCode } from '../kernel/errors.ts'
import { stableUuid } from '../kernel/ids.ts'
import { keptPayload } from '../kernel/json.ts'
import { learn, wholeMs } from './learn.ts'
import { MOVES, type GuardName, type MoveId, type MoveRow } from './moves.ts'
import {
  isFinal,
  type Attempt,
  type Evidence,
  type Generation,
  type GenerationRecord,
  type Policy,
  type Result,
} from './state.ts'

/** One line of the timeline, without the things that the store fills in. */
export interface NewEvent {
  type: string
  attempt: number | null
  data: Record<string, unknown>
}

export interface Outgoing {
  topic: 'provider.cancel'
  payload: { provider: string; account: string; taskId: string }
}

/** What one piece of evidence does. `after` is the whole new record; parts that did not change keep their identity. */
export interface Decision {
  move: MoveId | 'ignored'
  before: GenerationRecord
  after: GenerationRecord
  /** Indices of results whose tokens are settled by this move. */
  settle: { kept: number[]; lost: number[] }
  events: NewEvent[]
  outgoing: Outgoing[]
}

/** Everything a move may look at and change. `record` is a working copy. */
interface Work {
  record: GenerationRecord
  evidence: Evidence
  attempt: Attempt | null
  now: number
  policy: Policy
  events: NewEvent[]
  outgoing: Outgoing[]
}

const ATTEMPT_ENDED = ['rejected', 'succeeded', 'failed', 'abandoned', 'finished']
const RETRYABLE: ErrorCode[] = ['transient', 'rate_limited', 'unavailable', 'provider_malformed']
const OUT_OF_CREDITS: ErrorCode[] = ['no_credits', 'provider_auth']

/** How often a success without (all) files is asked again before it is believed. */
const EMPTY_CHECKS = 2
/** How often a file is fetched before it is refused, while somebody waits and afterwards. */
const TRIES = 8
const LATE_TRIES = 24
/** A callback is believed after this many checks in vain. */
const UNREACHABLE_BEFORE_CLAIM = 3

export const finals = (record: GenerationRecord): Result[] => record.results.filter((result) => result.role === 'final')
export const latestAttempt = (record: GenerationRecord): Attempt | null => record.attempts.at(-1) ?? null
const ended = (result: Result): boolean => result.state === 'stored' || result.state === 'refused'
const unsettled = (record: GenerationRecord): boolean => finals(record).some((result) => result.settled === null)
/** Attempts that may still bring something and can be asked. */
const askable = (record: GenerationRecord): Attempt[] =>
  record.attempts.filter((attempt) => attempt.taskId !== null && !ATTEMPT_ENDED.includes(attempt.state))

const GUARDS: Record<GuardName, (work: Work) => boolean> = {
  awaits_slot: ({ record }) => record.generation.dispatchAt !== null,
  attempt_current: ({ attempt, record }) => attempt !== null && attempt.id === latestAttempt(record)?.id && !ATTEMPT_ENDED.includes(attempt.state),
  attempt_intended: ({ attempt }) => attempt?.state === 'intended',
  attempt_sent: ({ attempt }) => attempt?.state === 'sent',
  attempt_unsettled: ({ attempt }) => attempt !== null && !ATTEMPT_ENDED.includes(attempt.state),
  attempt_untold: ({ attempt, evidence }) => attempt !== null && attempt.taskId === null && 'taskId' in evidence && evidence.taskId !== null,
  retryable: (work) =>
    GUARDS.attempt_current(work) && work.evidence.kind === 'refused' && !work.evidence.error.final && (!work.evidence.sent || RETRYABLE.includes(work.evidence.error.code)),
  out_of_credits_interactive: (work) => outOfCredits(work) && work.record.generation.urgency === 'interactive',
  out_of_credits_patient: (work) => outOfCredits(work) && work.record.generation.urgency !== 'interactive',
  // The outcome may have become clear while the end of the grace was on its way here.
  indeterminate: ({ record }) => record.generation.indeterminateUntil !== null,
  indeterminate_callbacks_work: (work) => GUARDS.indeterminate(work) && work.evidence.kind === 'grace_over' && (work.evidence.callbacksWork || work.evidence.repeatable === true),
  any_stored: (work) => anyIn(work, 'stored'),
  all_ended_any_stored: (work) => finals(work.record).every(ended) && GUARDS.any_stored(work),
  all_ended_none_stored: (work) => finals(work.record).every(ended) && !GUARDS.any_stored(work),
  bytes_given: (work) => GUARDS.attempt_unsettled(work) && work.evidence.kind === 'finished' && work.evidence.results.length > 0,
  succeeded_with_file: (work) => succeeded(work) && anyIn(work, 'known'),
  succeeded_all_stored: (work) => succeeded(work) && GUARDS.any_stored(work),
  succeeded_empty_for_good: succeeded,
  partial: (work) =>
    status(work) !== null && finals(work.record).some((result) => result.state !== 'expected' || result.previewUrl !== null),
  failed_with_file: (work) => failed(work) && anyIn(work, 'known'),
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
  return status(work) === 'succeeded' && (!anyIn(work, 'expected') || work.record.generation.emptyChecks >= EMPTY_CHECKS)
}
function anyIn({ record }: Work, state: Result['state']): boolean {
  return finals(record).some((result) => result.state === state)
}
function claimBringsFile({ record, attempt, now }: Work): boolean {
  if (attempt?.claimed?.status !== 'succeeded') return false
  const tried = copy(record)
  learn(tried, attempt, attempt.claimed, now, coverId)
  return finals(tried).some((result) => result.state === 'known')
}

/**
 * Pure and total: what `evidence` does to `before` at the time `now` (epoch ms). Evidence that no row of the table
 * of moves takes is kept as an event only.
 */
export function decide(before: GenerationRecord, evidence: Evidence, now: number, policy: Policy): Decision {
  const record = copy(before)
  const work: Work = { record, evidence, attempt: attemptOf(record, evidence), now, policy, events: [], outgoing: [] }
  // Of an attempt or a result that is not this generation's nothing is believed.
  if (isForeign(work)) return ignored(before, evidence)
  takeIn(work)
  const row = MOVES.find((candidate: MoveRow) => candidate.from.includes(before.generation.state) && candidate.on === evidence.kind && (!candidate.when || GUARDS[candidate.when](work)))
  if (!row) return ignored(before, evidence)

  EFFECTS[row.id]?.(work)
  const { generation } = record
  if (row.to !== 'same') generation.state = row.to
  const settle = settleResults(record, row.settle)
  if (isFinal(generation.state)) finish(before, work)
  describe(before, row, work)
  return { move: row.id, before, after: keepIdentity(before, record), settle, events: work.events, outgoing: work.outgoing }
}

/** What a snapshot or a saved file tells is taken in before the table is asked, so that guards see the new record. */
function takeIn(work: Work): void {
  const { record, evidence, attempt, now } = work
  const { generation } = record
  switch (evidence.kind) {
    case 'snapshot':
      consumeWake(generation, evidence.askedAt)
      if (!attempt) return
      if (!evidence.trusted) generation.heardAt = now
      work.events.push(...learn(record, attempt, evidence.snapshot, now, coverId))
      return
    case 'unreachable':
      consumeWake(generation, evidence.askedAt)
      return
    case 'stored': {
      const result = record.results.find((item) => item.id === evidence.resultId)
      if (!result || result.state === 'stored') return
      const late = isFinal(generation.state) && result.role === 'final' && !(generation.state === 'cancelled' && result.settled === null)
      Object.assign(result, { state: 'stored', file: evidence.file, nextAt: null, refusedCode: null, refusedDetail: null })
      if (late) generation.arrivedLateAt ??= now
      if (isFinal(generation.state)) generation.missing = countMissing(record)
      return
    }
    case 'unsaved': {
      const result = record.results.find((item) => item.id === evidence.resultId)
      if (!result || result.state !== 'known') return
      const late = isFinal(generation.state)
      const ours = evidence.code === 'storage_failed'
      // Our own trouble refuses no file that somebody waits for: its tries only make the pauses longer and are counted
      // apart from those of fetching (never by the same number as before: a new number gives the lease back).
      const anew = !late && ours !== (result.refusedCode === 'storage_failed')
      const tries = anew && result.tries !== 1 ? 1 : result.tries + 1
      if (evidence.final || (late ? tries >= LATE_TRIES : !ours && tries >= TRIES)) Object.assign(result, { state: 'refused', refusedCode: evidence.code, refusedDetail: evidence.detail, nextAt: null, tries })
      else Object.assign(result, { tries, nextAt: now + saveBackoff(tries - 1, late), refusedCode: ours ? evidence.code : null, refusedDetail: evidence.detail })
      return
    }
  }
}

/** The question that a wake asked for has been asked; a wake that came meanwhile stays. */
function consumeWake(generation: Generation, askedAt: number): void {
  if (generation.wokenAt === null || generation.wokenAt <= askedAt) generation.checkAt = null
}

const EFFECTS: Partial<Record<MoveId, (work: Work) => void>> = {
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
    const tries = work.record.attempts.length
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
    work.events.push(...learn(work.record, work.attempt!, claimed, work.now, coverId))
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

/** A callback that only says "still running" needs no question to the provider. */
function worthAsking({ evidence, attempt }: Work): boolean {
  if (evidence.kind !== 'hint' || !attempt?.taskId || ATTEMPT_ENDED.includes(attempt.state)) return false
  const claim = evidence.claimed
  if (claim?.status === 'queued' || claim?.status === 'running') return claim.results.some((result) => result.final !== null || result.previewUrl !== null)
  return true
}

/** Callbacks with our token do arrive for this attempt: asking is only the safety net, as late as a lost one may be found. */
const patience = ({ policy }: Work): number => policy.firstPollMs + policy.pollMaxMs

/** "Still running" is an answer too: what is not due yet, and nothing is wrong with, need not be asked soon. */
function leaveToCallbacks(work: Work): void {
  const { record: { generation }, attempt, now } = work
  if (attempt?.state !== 'accepted' || attempt.claimed === null || generation.checkAt === null || generation.checkAt <= now) return
  if (generation.emptyChecks > 0 || generation.unreachableChecks > 0) return
  if (generation.state === 'generating' || generation.state === 'previewing') generation.checkAt = Math.max(generation.checkAt, now + patience(work))
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

function wakeUp({ record, now }: Work): void {
  const { generation } = record
  if (!record.attempts.some((attempt) => attempt.taskId !== null)) return
  generation.wokenAt = now
  generation.checkAt = now
}

function askAgain(work: Work): void {
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
function lateWait({ record, now }: Work): number {
  return Math.min(6 * 3_600_000, 60_000 + Math.max(0, now - record.generation.deadlineAt) / 4)
}

function nextCheck({ record, evidence, now }: Work, waitMs: number): void {
  const { generation } = record
  const askedAt = 'askedAt' in evidence ? evidence.askedAt : null
  // A wake that came while the provider was being asked is not forgotten.
  const woken = askedAt !== null && generation.wokenAt !== null && generation.wokenAt > askedAt
  // Several attempts are asked in turn, each at its own pace.
  generation.checkAt = woken ? now : now + Math.round(waitMs / Math.max(1, askable(record).length))
}

function close({ attempt, evidence, now }: Work, state: Attempt['state']): void {
  if (!attempt) return
  const error = 'error' in evidence ? evidence.error : null
  Object.assign(attempt, { state, errorCode: error?.code ?? null, errorDetail: error?.detail ?? null, endedAt: state === 'unknown' ? null : now })
}

function endAttempt({ record, attempt, now, evidence }: Work, state: 'succeeded' | 'failed'): void {
  record.generation.checkAt = null
  if (!attempt || ATTEMPT_ENDED.includes(attempt.state)) return
  const error = evidence.kind === 'snapshot' ? evidence.snapshot.error : null
  Object.assign(attempt, { state, endedAt: now, errorCode: error?.code ?? null, errorDetail: error?.detail ?? null })
}

function refuse(work: Work): void {
  close(work, 'rejected')
  if (work.evidence.kind === 'refused') fail(work, work.evidence.error.code, work.evidence.error.detail)
}

function fail({ record }: Work, code: ErrorCode, detail: string | null): void {
  record.generation.errorCode = code
  record.generation.errorDetail = detail
  refuseRest(record, code, detail ?? code)
}

function refuseRest(record: GenerationRecord, code: ErrorCode, detail: string): void {
  for (const result of finals(record)) {
    if (result.state === 'expected') Object.assign(result, { state: 'refused', refusedCode: code, refusedDetail: detail })
  }
}

function snapshotError({ evidence }: Work): { code: ErrorCode; detail: string } {
  const error = evidence.kind === 'snapshot' ? evidence.snapshot.error : null
  return error ?? { code: 'provider_failed', detail: 'no reason given' }
}

function settleResults(record: GenerationRecord, rule: MoveRow['settle']): Decision['settle'] {
  const settle: Decision['settle'] = { kept: [], lost: [] }
  if (rule === 'none') return settle
  for (const result of finals(record)) {
    if (result.settled !== null) continue
    const kept = rule !== 'lose' && result.state === 'stored'
    if (!kept && rule === 'keep_stored') continue
    result.settled = kept ? 'kept' : 'lost'
    settle[kept ? 'kept' : 'lost'].push(result.index)
  }
  return settle
}

function countMissing(record: GenerationRecord): number {
  return finals(record).filter((result) => result.state !== 'stored').length
}

function finish(before: GenerationRecord, { record, now }: Work): void {
  const { generation } = record
  if (isFinal(before.generation.state)) return
  Object.assign(generation, { finishedAt: now, dispatchAt: null, indeterminateUntil: null, blockedReason: null, missing: countMissing(record) })
  // Everything is here: an attempt that may still run somewhere has nothing left to bring.
  if (generation.missing === 0) for (const attempt of askable(record)) Object.assign(attempt, { state: 'abandoned', endedAt: now })
  // What is still running at the provider is watched; if nothing can be asked, nobody is.
  generation.checkAt = askable(record).length ? Math.max(now, Math.min(generation.checkAt ?? Infinity, now + 30_000)) : null
}

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

function describe(before: GenerationRecord, row: MoveRow, work: Work): void {
  const { record, evidence, attempt } = work
  const from = before.generation.state
  const data: Record<string, unknown> = {}
  if (from !== record.generation.state) Object.assign(data, { from, to: record.generation.state })
  if ('raw' in evidence && evidence.raw !== undefined) data.raw = keptPayload(evidence.raw)
  if (evidence.kind === 'snapshot') Object.assign(data, { status: evidence.snapshot.status, raw: keptPayload(evidence.snapshot.raw) })
  if ('error' in evidence) Object.assign(data, { code: evidence.error.code, detail: evidence.error.detail })
  if ('taskId' in evidence && evidence.taskId) data.taskId = evidence.taskId
  if ('by' in evidence) data.by = evidence.by
  if (evidence.kind === 'stored') Object.assign(data, { resultId: evidence.resultId, sha256: evidence.file.sha256, bytes: evidence.file.bytes, ms: evidence.ms })
  if (evidence.kind === 'unsaved') Object.assign(data, { resultId: evidence.resultId, code: evidence.code, detail: evidence.detail, final: evidence.final })
  if (isFinal(record.generation.state) && from !== record.generation.state && record.generation.errorCode) data.error = record.generation.errorCode
  if (record.generation.arrivedLateAt !== before.generation.arrivedLateAt) data.arrivedLate = true
  work.events.unshift({ type: row.id, attempt: attempt?.number ?? null, data })
}

function ignored(before: GenerationRecord, evidence: Evidence): Decision {
  if (evidence.kind === 'looked') return { move: 'ignored', before, after: before, settle: { kept: [], lost: [] }, outgoing: [], events: [] }
  const attempt = attemptOf(before, evidence)
  const data: Record<string, unknown> = { evidence: evidence.kind }
  if ('taskId' in evidence) data.taskId = evidence.taskId
  if ('raw' in evidence) data.raw = keptPayload(evidence.raw)
  return {
    move: 'ignored', before, after: before, settle: { kept: [], lost: [] }, outgoing: [],
    events: [{ type: 'ignored', attempt: attempt?.number ?? null, data }],
  }
}

function attemptOf(record: GenerationRecord, evidence: Evidence): Attempt | null {
  if (evidence.kind === 'slot') return null
  if ('attemptId' in evidence) return record.attempts.find((attempt) => attempt.id === evidence.attemptId) ?? null
  if ('resultId' in evidence) {
    const result = record.results.find((item) => item.id === evidence.resultId)
    return record.attempts.find((attempt) => attempt.id === result?.attemptId) ?? null
  }
  return latestAttempt(record)
}

function isForeign({ record, evidence, attempt }: Work): boolean {
  if (evidence.kind === 'slot') return false
  if ('attemptId' in evidence) return attempt === null
  return 'resultId' in evidence && !record.results.some((result) => result.id === evidence.resultId)
}

/** 1, 2, 4, 8, 15, 30, 60 seconds while somebody waits; ever more rarely afterwards. */
function saveBackoff(tries: number, late: boolean): number {
  const wait = [1, 2, 4, 8, 15, 30, 60][Math.min(tries, 6)]! * 1000
  return late ? wait * 10 : wait
}

const coverId = (resultId: string): string => stableUuid(`cover:${resultId}`)

function copy(record: GenerationRecord): GenerationRecord {
  return {
    generation: { ...record.generation } as Generation,
    attempts: record.attempts.map((attempt) => ({ ...attempt })),
    results: record.results.map((result) => ({ ...result })),
  }
}

/** Unchanged parts keep their identity, so that the store writes only what changed. */
function keepIdentity(before: GenerationRecord, after: GenerationRecord): GenerationRecord {
  const same = <T extends { id: string }>(list: T[], item: T): T => {
    const old = list.find((candidate) => candidate.id === item.id)
    return old && shallowEqual(old, item) ? old : item
  }
  return {
    generation: after.generation,
    attempts: after.attempts.map((attempt) => same(before.attempts, attempt)),
    results: after.results.map((result) => same(before.results, result)),
  }
}

function shallowEqual<T extends object>(a: T, b: T): boolean {
  return (Object.keys(b) as (keyof T)[]).every((key) => a[key] === b[key])
}
