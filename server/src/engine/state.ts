import type { ErrorCode } from '../kernel/errors.ts'
import type { GenerationRequest, Kind, ProviderError, Snapshot } from '../providers/provider.ts'

/** The records of one generation as the engine sees them. All times are epoch milliseconds. */

export const OPEN_STATES = ['queued', 'submitting', 'generating', 'previewing', 'saving'] as const
export const FINAL_STATES = ['complete', 'failed', 'timed_out', 'cancelled'] as const
export type OpenState = (typeof OPEN_STATES)[number]
export type FinalState = (typeof FINAL_STATES)[number]
export type GenerationState = OpenState | FinalState

export const isFinal = (state: GenerationState): state is FinalState =>
  (FINAL_STATES as readonly string[]).includes(state)

export type Urgency = 'interactive' | 'scheduled' | 'batch'

export interface Generation {
  id: string
  userId: string
  provider: string
  account: string
  kind: Kind
  origin: string
  urgency: Urgency
  request: GenerationRequest
  cost: number
  resultCount: number
  state: GenerationState
  indeterminateUntil: number | null
  blockedReason: ErrorCode | null
  missing: number
  arrivedLateAt: number | null
  errorCode: ErrorCode | null
  errorDetail: string | null
  providerTaskId: string | null
  createdAt: number
  deadlineAt: number
  watchUntil: number
  finishedAt: number | null
  heardAt: number | null
  dispatchAt: number | null
  checkAt: number | null
  checks: number
  emptyChecks: number
  unreachableChecks: number
  wokenAt: number | null
}

export type AttemptState =
  'intended' | 'sent' | 'accepted' | 'finished' | 'rejected' | 'unknown' | 'succeeded' | 'failed' | 'abandoned'

export interface Attempt {
  id: string
  number: number
  state: AttemptState
  provider: string
  account: string
  adapter: string
  /** sha256 of the callback token, hex. */
  tokenHash: string
  taskId: string | null
  errorCode: ErrorCode | null
  errorDetail: string | null
  claimed: Snapshot | null
  createdAt: number
  sentAt: number | null
  acceptedAt: number | null
  endedAt: number | null
}

export type ResultState = 'expected' | 'known' | 'stored' | 'refused'

export interface StoredFile {
  blobKey: string
  sha256: string
  bytes: number
  mime: string
  durationMs: number | null
  bitrate: number | null
}

export interface Result {
  id: string
  role: 'final' | 'cover'
  index: number
  state: ResultState
  settled: 'kept' | 'lost' | null
  attemptId: string | null
  providerResultId: string | null
  sourceUrl: string | null
  stagedKey: string | null
  previewUrl: string | null
  title: string | null
  tags: string | null
  lyrics: string | null
  providerDurationMs: number | null
  file: StoredFile | null
  refusedCode: ErrorCode | null
  refusedDetail: string | null
  tries: number
  nextAt: number | null
}

export interface GenerationRecord {
  generation: Generation
  attempts: Attempt[]
  results: Result[]
}

/** How patient the engine is with one provider; taken from its descriptor and the configuration. Milliseconds. */
export interface Policy {
  firstPollMs: number
  pollMs: number
  pollMaxMs: number
  graceMs: number
}

/** What the provider said inside its answer to the submit: bytes already staged in our store. */
export interface StagedResult {
  stagedKey: string
  mime: string
  title: string | null
  durationMs: number | null
}

/** Everything that can reach a generation. One door: callback, poll, sweep and user all knock with one of these. */
export type Evidence =
  | { kind: 'slot'; attemptId: string; tokenHash: string; adapter: string; account: string }
  | { kind: 'sending'; attemptId: string }
  | { kind: 'refused'; attemptId: string; error: ProviderError; sent: boolean; raw?: unknown }
  | { kind: 'accepted'; attemptId: string; taskId: string; raw?: unknown }
  | { kind: 'finished'; attemptId: string; results: StagedResult[]; raw?: unknown }
  | { kind: 'unknown'; attemptId: string; error: ProviderError }
  /** `repeatable`: as the provider's descriptor says. */
  | { kind: 'lease_lost'; repeatable?: boolean }
  /** A worker looked and found nothing to do: only its lease is given back. */
  | { kind: 'looked' }
  | { kind: 'hint'; attemptId: string; taskId: string | null; claimed: Snapshot | null; raw?: unknown }
  | { kind: 'wake' }
  | { kind: 'grace_over'; callbacksWork: boolean; repeatable?: boolean }
  | { kind: 'snapshot'; attemptId: string; snapshot: Snapshot; askedAt: number; trusted?: boolean }
  | { kind: 'unreachable'; attemptId: string; error: ProviderError; askedAt: number }
  | { kind: 'stored'; resultId: string; file: StoredFile; ms?: number }
  | { kind: 'unsaved'; resultId: string; code: ErrorCode; detail: string; final: boolean }
  | { kind: 'deadline' }
  | { kind: 'watch_over' }
  | { kind: 'cancel'; by: string }
  | { kind: 'recheck'; by: string }
  | { kind: 'redownload'; by: string }

export type EvidenceKind = Evidence['kind']
