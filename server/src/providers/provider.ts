import type { FieldError, ProviderErrorCode } from '../kernel/errors.ts'

/**
 * What every provider adapter is to the engine. Three shapes must fit: providers that call back, providers that
 * only answer polls, and providers whose answer to the submit already is the result (`mode: 'sync'`).
 * An adapter is strict about what it accepts from us and tolerant about what the provider answers: unknown fields
 * are kept in `raw`, an unknown status means "still running".
 */
export type Kind = 'song' | 'image' | 'video'

/** What the user asked for, already validated by the adapter's `validate`. Stored with the generation. */
export interface GenerationRequest {
  kind: Kind
  prompt: string
  title?: string
  style?: string
  lyrics?: string
  instrumental?: boolean
  model?: string
  /** Options that only one provider knows; checked by that adapter. */
  options?: Record<string, unknown>
}

export interface ModelInfo {
  id: string
  status: 'current' | 'deprecated' | 'retired'
  maxDurationSec?: number
}

export interface Descriptor {
  id: string
  mode: 'async' | 'sync'
  kinds: Kind[]
  /** How far a callback of this provider may be believed. */
  callbackTrust: 'none' | 'url-token' | 'signed'
  canCancel: boolean
  canReportCredits: boolean
  models: ModelInfo[]
  defaultModel: string
  /** First look after the provider's usual time, then every `pollMs`, growing to `pollMaxMs`. */
  firstPollMs: number
  pollMs: number
  pollMaxMs: number
  /** How long the provider keeps its files, conservatively. Late results are looked for until then. */
  retentionMs: number
  /** At most `count` submits in any window of `windowMs`; null when the provider states none. */
  rate: { count: number; windowMs: number } | null
  /** At most this many tasks at once, until `credits` tells the account's own limit; null when the provider states none. */
  concurrency: number | null
  /**
   * The answer is the file, and a lost one leaves nothing there that could be collected: a submit whose outcome nobody
   * knows may be made again. Only for `mode: 'sync'`.
   */
  repeatable?: boolean
}

export type Source = { url: string } | { bytes: Uint8Array; mime: string }

/** One expected file as the provider describes it so far. `null` means "not told yet". */
export interface ProviderResult {
  /** The provider's own id of this result (Suno audio id). Results are matched by it, then by order. */
  providerId: string | null
  /** The finished file; never a stream or preview address. */
  final: Source | null
  previewUrl: string | null
  coverUrl: string | null
  title: string | null
  tags: string | null
  lyrics: string | null
  durationMs: number | null
}

export interface ProviderError {
  code: ProviderErrorCode
  /** The provider's own words, for the operator only; secrets removed. */
  detail: string
  retryAfterMs?: number
  /** Of a refused submit: not to be sent again, whatever its code would allow. */
  final?: boolean
}

export interface Snapshot {
  status: 'queued' | 'running' | 'partial' | 'succeeded' | 'failed' | 'cancelled'
  results: ProviderResult[]
  error: ProviderError | null
  /** The payload as received, kept for the timeline. */
  raw: unknown
}

export type SubmitOutcome =
  | { kind: 'accepted'; taskId: string; raw: unknown }
  | { kind: 'finished'; results: ProviderResult[]; raw: unknown }
  /**
   * Surely not running there: either it never left us, or the provider said no. A `repeatable` provider may call a
   * lost answer so too.
   */
  | { kind: 'refused'; sent: boolean; error: ProviderError; raw: unknown }
  /** It may be running and may cost money. Never repeated blindly. */
  | { kind: 'unknown'; error: ProviderError }

export type Prepared = { kind: 'ready'; request: GenerationRequest } | Extract<SubmitOutcome, { kind: 'refused' }>

export type CheckOutcome =
  | { kind: 'snapshot'; snapshot: Snapshot }
  /** The provider could not be asked or did not make sense just now; says nothing about the task. */
  | { kind: 'unreachable'; error: ProviderError }

export interface SubmitContext {
  attemptId: string
  /** One more than the attempts of its generation that were refused. */
  attempt?: number
  /** Full address with this attempt's token; null when nobody outside can reach us (polling only). */
  callbackUrl: string | null
  signal: AbortSignal
}

export interface RawCallback {
  /** Raw bytes: signatures are over bytes, before any parsing. */
  body: Uint8Array
  headers: Record<string, string | undefined>
  /** Epoch milliseconds, for signature age. */
  now: number
}

export interface CallbackReading {
  taskId: string | null
  /**
   * `signed` only when a signature over the body was verified; `forged` when one was due and does not fit (or is too
   * old): then the body is a stranger's, whatever the address says. The URL token is the engine's matter.
   */
  trust: 'none' | 'signed' | 'forged'
  /** What the body claims; a hint unless trusted. */
  snapshot: Snapshot | null
}

export interface Provider {
  readonly descriptor: Descriptor
  /** Which account at the provider this is, e.g. `suno/1f3a…`; never contains the key. */
  readonly account: string
  /** How many files this request will give. Each is one hold item. */
  resultCount(request: GenerationRequest): number
  /** Pure; runs before anything is written or charged. Field errors, empty when good. */
  validate(request: GenerationRequest): FieldError[]
  /**
   * What has to be found out before the submit and may be asked again and again (a song's words). Answers the request
   * as `submit` shall get it, or why there is nothing to submit. A crash in here costs nothing: it is done anew.
   */
  makeReady?(request: GenerationRequest, signal: AbortSignal): Promise<Prepared>
  /** Never throws: every end, also an aborted or broken connection, is an outcome. */
  submit(request: GenerationRequest, context: SubmitContext): Promise<SubmitOutcome>
  /** Safe at any time; never throws. */
  check(taskId: string, signal: AbortSignal): Promise<CheckOutcome>
  /** Null when the body is not understood at all (answered 200, kept in the log). */
  readCallback(callback: RawCallback): CallbackReading | null
  cancel?(taskId: string, signal: AbortSignal): Promise<'cancelled' | 'too_late' | 'unreachable'>
  /**
   * Remaining credits in the provider's own unit; null when it could not be told (never read as 0). `concurrency` where
   * the account also tells how many tasks it runs at once.
   */
  credits?(signal: AbortSignal): Promise<{ amount: number; unit: string; concurrency?: number | null } | null>
}
