/**
 * Every error that Reprise may name to anyone, and what it means for the caller.
 * `status` is the HTTP status; `retryable` says that the same request may succeed later;
 * `charged` says whether tokens may have been taken. The texts live in `texts/`, one per code and language.
 */
export const ERRORS = {
  // at the door
  validation_failed: { status: 422, retryable: false, charged: false },
  malformed_body: { status: 400, retryable: false, charged: false },
  unauthorized: { status: 401, retryable: false, charged: false },
  forbidden: { status: 403, retryable: false, charged: false },
  user_mismatch: { status: 403, retryable: false, charged: false },
  not_found: { status: 404, retryable: false, charged: false },
  method_not_allowed: { status: 405, retryable: false, charged: false },
  conflict: { status: 409, retryable: false, charged: false },
  request_in_progress: { status: 409, retryable: true, charged: false },
  gone: { status: 410, retryable: false, charged: false },
  precondition_failed: { status: 412, retryable: false, charged: false },
  payload_too_large: { status: 413, retryable: false, charged: false },
  unsupported_media_type: { status: 415, retryable: false, charged: false },
  range_not_satisfiable: { status: 416, retryable: false, charged: false },
  idempotency_key_reused: { status: 422, retryable: false, charged: false },
  too_many_requests: { status: 429, retryable: true, charged: false },
  internal: { status: 500, retryable: true, charged: false },
  service_unavailable: { status: 503, retryable: true, charged: false },
  // at accepting
  insufficient_tokens: { status: 402, retryable: false, charged: false },
  queue_full: { status: 429, retryable: true, charged: false },
  provider_not_configured: { status: 503, retryable: false, charged: false },
  // how a generation, an attempt or a result can end
  transient: { status: 502, retryable: true, charged: false },
  rate_limited: { status: 429, retryable: true, charged: false },
  unavailable: { status: 503, retryable: true, charged: false },
  no_credits: { status: 503, retryable: true, charged: false },
  content_policy: { status: 422, retryable: false, charged: false },
  invalid_request: { status: 422, retryable: false, charged: false },
  provider_auth: { status: 503, retryable: true, charged: false },
  provider_task_gone: { status: 502, retryable: true, charged: false },
  provider_failed: { status: 502, retryable: true, charged: false },
  provider_malformed: { status: 502, retryable: true, charged: false },
  empty_result: { status: 502, retryable: true, charged: false },
  no_image: { status: 502, retryable: true, charged: false },
  submit_unknown: { status: 502, retryable: true, charged: false },
  download_failed: { status: 502, retryable: true, charged: false },
  bad_file: { status: 502, retryable: true, charged: false },
  unsafe_url: { status: 502, retryable: false, charged: false },
  file_too_large: { status: 502, retryable: false, charged: false },
  // our own disk, store or bookkeeping, not the provider's doing
  storage_failed: { status: 503, retryable: true, charged: false },
  deadline_exceeded: { status: 504, retryable: true, charged: false },
  cancelled: { status: 409, retryable: true, charged: false },
} as const satisfies Record<string, { status: number; retryable: boolean; charged: boolean }>

export type ErrorCode = keyof typeof ERRORS

/** The classes a provider adapter may report (`providers.md` §8); a subset of the codes above. */
export type ProviderErrorCode = Extract<
  ErrorCode,
  | 'transient'
  | 'rate_limited'
  | 'unavailable'
  | 'no_credits'
  | 'content_policy'
  | 'invalid_request'
  | 'provider_auth'
  | 'provider_task_gone'
  | 'provider_failed'
  | 'provider_malformed'
  | 'empty_result'
  | 'no_image'
>

/**
 * One wrong field of a request. `path` is dotted, as the client sent it; `rule` is stable, `message` is for people. An
 * empty message becomes the words of the rule, filled with `params`, in the language of the answer.
 */
export interface FieldError {
  path: string
  rule: string
  message: string
  params?: Record<string, unknown>
}

/**
 * An error that may be shown to the caller. `params` fill its text and are also sent as members
 * (`required`, `available`, `retryAfterSec`, …), so nothing secret may be in them.
 */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly params: Record<string, unknown>
  readonly fields: FieldError[]

  constructor(code: ErrorCode, params: Record<string, unknown> = {}, fields: FieldError[] = []) {
    super(code)
    this.name = 'AppError'
    this.code = code
    this.params = params
    this.fields = fields
  }

  get status(): number {
    return ERRORS[this.code].status
  }
}
