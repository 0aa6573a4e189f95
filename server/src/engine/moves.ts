import type { EvidenceKind, GenerationState } from './state.ts'

/**
 * The table of moves: what each piece of evidence does to a generation, as data.
 * `decide` looks the row up here, the tests check that nothing else ever happens, and `docs/moves.md` is printed
 * from it. Rows are tried in order; the first whose `from`, `on` and `when` hold is the one.
 *
 * `settle` says what happens to the tokens in the same transaction:
 *   none: nothing · lose: everything unsettled is given back · split: stored results are paid, the rest given back ·
 *   keep_stored: results stored by now are paid, the rest stays held until the deadline
 */
export interface MoveRow {
  id: string
  from: readonly GenerationState[]
  on: EvidenceKind
  when?: GuardName
  to: GenerationState | 'same'
  settle: 'none' | 'lose' | 'split' | 'keep_stored'
  why: string
}

export type GuardName =
  | 'awaits_slot'
  | 'attempt_current'
  | 'attempt_intended'
  | 'attempt_sent'
  | 'attempt_unsettled'
  | 'attempt_untold'
  | 'retryable'
  | 'out_of_credits_interactive'
  | 'out_of_credits_patient'
  | 'indeterminate'
  | 'indeterminate_callbacks_work'
  | 'any_stored'
  | 'all_ended_any_stored'
  | 'all_ended_none_stored'
  | 'bytes_given'
  | 'succeeded_with_file'
  | 'succeeded_all_stored'
  | 'succeeded_empty_for_good'
  | 'partial'
  | 'failed_with_file'
  | 'failed_all_stored'
  | 'provider_failed'
  | 'claim_believed'
  | 'never_sent'
  | 'unsettled'

const OPEN = ['queued', 'submitting', 'generating', 'previewing', 'saving'] as const
const FINAL = ['complete', 'failed', 'timed_out', 'cancelled'] as const
const ANY = [...OPEN, ...FINAL] as const
const AT_PROVIDER = ['submitting', 'generating', 'previewing'] as const
const WAITING = ['generating', 'previewing'] as const

export const MOVES = [
  // Submitting
  { id: 'slot', from: ['queued', 'submitting'], on: 'slot', when: 'awaits_slot', to: 'submitting', settle: 'none', why: 'a slot at the provider is ours: attempt, token and lease are committed, then the POST goes out' },
  { id: 'sending', from: ['submitting'], on: 'sending', when: 'attempt_intended', to: 'submitting', settle: 'none', why: 'from here on the provider may have heard of it' },
  { id: 'retry', from: ['submitting'], on: 'refused', when: 'retryable', to: 'submitting', settle: 'none', why: 'surely not running there: the attempt is closed and the next slot awaited' },
  { id: 'no_credits', from: ['submitting'], on: 'refused', when: 'out_of_credits_interactive', to: 'failed', settle: 'lose', why: 'somebody is waiting: say so at once and give the tokens back' },
  { id: 'blocked', from: ['submitting'], on: 'refused', when: 'out_of_credits_patient', to: 'submitting', settle: 'none', why: 'nobody is waiting: keep it until the deadline in case the account is filled up' },
  { id: 'rejected', from: ['submitting'], on: 'refused', when: 'attempt_current', to: 'failed', settle: 'lose', why: 'the provider said no for good' },
  { id: 'accepted', from: ['submitting'], on: 'accepted', when: 'attempt_untold', to: 'generating', settle: 'none', why: 'the provider named its task' },
  { id: 'accepted_again', from: ANY, on: 'accepted', when: 'attempt_untold', to: 'same', settle: 'none', why: 'an answer that came late still names a task that we paid for: it is watched' },
  { id: 'finished', from: ['submitting'], on: 'finished', when: 'bytes_given', to: 'saving', settle: 'none', why: 'the answer was the file; its bytes are staged' },
  { id: 'finished_empty', from: ['submitting'], on: 'finished', when: 'attempt_current', to: 'failed', settle: 'lose', why: 'the answer was to be the file, and held none' },
  { id: 'finished_late', from: ANY, on: 'finished', when: 'attempt_unsettled', to: 'same', settle: 'none', why: 'the answer was the file, but too late for the state: kept all the same' },
  { id: 'unknown', from: ['submitting'], on: 'unknown', when: 'attempt_sent', to: 'submitting', settle: 'none', why: 'it may be running: never repeated blindly, wait for a sign' },
  { id: 'never_sent', from: ['submitting'], on: 'lease_lost', when: 'attempt_intended', to: 'submitting', settle: 'none', why: 'the worker died before the POST: surely not sent, next slot' },
  { id: 'owner_lost', from: ['submitting'], on: 'lease_lost', when: 'attempt_sent', to: 'submitting', settle: 'none', why: 'the worker died around the POST: it may be running' },
  { id: 'adopted', from: ['submitting'], on: 'hint', when: 'attempt_untold', to: 'generating', settle: 'none', why: "a callback with this attempt's token names the task" },
  { id: 'adopted_late', from: ANY, on: 'hint', when: 'attempt_untold', to: 'same', settle: 'none', why: 'an earlier attempt turns out to run: it is watched too' },
  { id: 'hint', from: ANY, on: 'hint', to: 'same', settle: 'none', why: 'a callback is a hint: ask the provider now' },
  { id: 'wake', from: ANY, on: 'wake', to: 'same', settle: 'none', why: 'a callback without a token names a known task: ask the provider, at most once in 5 seconds' },
  { id: 'resubmit', from: ['submitting'], on: 'grace_over', when: 'indeterminate_callbacks_work', to: 'submitting', settle: 'none', why: 'callbacks of this account do arrive and none came for this attempt, or nothing can be left running there: a new attempt' },
  { id: 'submit_unknown', from: ['submitting'], on: 'grace_over', when: 'indeterminate', to: 'failed', settle: 'lose', why: 'no sign within the grace: tokens back, the old attempt listens on' },

  // Waiting
  { id: 'succeeded', from: AT_PROVIDER, on: 'snapshot', when: 'succeeded_with_file', to: 'saving', settle: 'none', why: 'the provider is done: one result per item' },
  { id: 'succeeded_all_stored', from: AT_PROVIDER, on: 'snapshot', when: 'succeeded_all_stored', to: 'complete', settle: 'split', why: 'the provider is done, and whatever it made is ours already' },
  { id: 'empty', from: AT_PROVIDER, on: 'snapshot', when: 'succeeded_empty_for_good', to: 'failed', settle: 'lose', why: 'success without a single file, also when asked again' },
  { id: 'failed_with_file', from: AT_PROVIDER, on: 'snapshot', when: 'failed_with_file', to: 'saving', settle: 'none', why: 'it failed, but a finished file is known: that one is saved' },
  { id: 'failed_all_stored', from: AT_PROVIDER, on: 'snapshot', when: 'failed_all_stored', to: 'complete', settle: 'split', why: 'it failed, but what it had finished is ours already' },
  { id: 'provider_failed', from: AT_PROVIDER, on: 'snapshot', when: 'provider_failed', to: 'failed', settle: 'lose', why: 'the provider failed' },
  { id: 'partial', from: AT_PROVIDER, on: 'snapshot', when: 'partial', to: 'previewing', settle: 'none', why: 'something can be heard: known results start saving at once' },
  { id: 'running', from: ANY, on: 'snapshot', to: 'same', settle: 'none', why: 'nothing new for the state; results told late are still fetched' },
  { id: 'claimed', from: WAITING, on: 'unreachable', when: 'claim_believed', to: 'saving', settle: 'none', why: 'the provider cannot be asked three times over: the callback with the right token is believed' },
  { id: 'unreachable', from: ANY, on: 'unreachable', to: 'same', settle: 'none', why: 'the provider cannot be asked just now: says nothing about the task' },

  // Saving
  { id: 'complete', from: OPEN, on: 'stored', when: 'all_ended_any_stored', to: 'complete', settle: 'split', why: 'all results ended and at least one is ours' },
  { id: 'stored_after_cancel', from: ['cancelled'], on: 'stored', when: 'unsettled', to: 'same', settle: 'keep_stored', why: 'what still arrives after a cancellation is kept and paid' },
  { id: 'stored', from: ANY, on: 'stored', to: 'same', settle: 'none', why: 'one file is ours; a late one is added without touching state or settlement' },
  { id: 'complete_without', from: OPEN, on: 'unsaved', when: 'all_ended_any_stored', to: 'complete', settle: 'split', why: 'the last result was refused, another is stored' },
  { id: 'nothing_saved', from: OPEN, on: 'unsaved', when: 'all_ended_none_stored', to: 'failed', settle: 'lose', why: 'no result could be saved' },
  { id: 'unsaved', from: ANY, on: 'unsaved', to: 'same', settle: 'none', why: 'a download failed: fetched again later, or refused' },

  // Ends
  { id: 'deadline_with_file', from: OPEN, on: 'deadline', when: 'any_stored', to: 'complete', settle: 'split', why: 'time is up and something is stored' },
  { id: 'timed_out', from: OPEN, on: 'deadline', to: 'timed_out', settle: 'lose', why: 'time is up; the attempt is still asked, ever more rarely' },
  { id: 'cancel_settled', from: ['cancelled'], on: 'deadline', when: 'unsettled', to: 'same', settle: 'split', why: 'what has not arrived by the deadline is given back' },
  { id: 'watch_over', from: FINAL, on: 'watch_over', to: 'same', settle: 'none', why: 'the provider has deleted its files: nobody is asked any more' },
  { id: 'cancel_unsent', from: ['queued', 'submitting'], on: 'cancel', when: 'never_sent', to: 'cancelled', settle: 'lose', why: 'nothing was sent to the provider' },
  { id: 'cancel_sent', from: OPEN, on: 'cancel', to: 'cancelled', settle: 'keep_stored', why: 'the provider works on it: what arrives is kept and paid, the rest given back at the deadline' },

  // Asked for by the user
  { id: 'recheck', from: ANY, on: 'recheck', to: 'same', settle: 'none', why: 'ask the provider again, free' },
  { id: 'redownload', from: ANY, on: 'redownload', to: 'same', settle: 'none', why: 'fetch the files again, free' },
] as const satisfies readonly MoveRow[]

export type MoveId = (typeof MOVES)[number]['id']
