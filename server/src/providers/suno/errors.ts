import type { ProviderErrorCode } from '../../kernel/errors.ts'

/**
 * What the endpoint's own codes mean. They come in the BODY of an HTTP 200 and belong to this reseller: its siblings
 * use the same shapes with other codes (429 there is a rate limit), so another endpoint brings another table.
 */
export interface SunoCodes {
  /** Answers to our own calls. All of them surely refused; only a code that is not listed leaves a doubt. */
  answer: Readonly<Record<number, ProviderErrorCode>>
  /** The code of an `error` callback: the task ran and ended so. */
  callback: Readonly<Record<number, ProviderErrorCode>>
  /** "Record already exists": its task id is ours to adopt. */
  alreadyExists: number
  /** Words by which a plain 400 shows that the text, not the form, was refused. */
  policyWords: RegExp
}

export const SUNO_CODES: SunoCodes = {
  answer: {
    400: 'invalid_request',
    401: 'provider_auth',
    404: 'invalid_request',
    405: 'rate_limited',
    413: 'invalid_request',
    429: 'no_credits',
    430: 'rate_limited',
    455: 'unavailable',
    500: 'transient',
  },
  callback: {
    400: 'content_policy',
    408: 'provider_failed',
    413: 'content_policy',
    451: 'provider_failed',
    500: 'provider_failed',
    501: 'provider_failed',
    531: 'provider_failed',
  },
  alreadyExists: 409,
  policyWords: /sensitive word|prohibited|moderation|content policy/i,
}

/** Failure statuses of a task. `CALLBACK_EXCEPTION` is none of them: it only says that their call to us failed. */
export const FAILED_STATUSES: Readonly<Record<string, ProviderErrorCode>> = {
  CREATE_TASK_FAILED: 'provider_failed',
  GENERATE_AUDIO_FAILED: 'provider_failed',
  FAILED: 'provider_failed',
  SENSITIVE_WORD_ERROR: 'content_policy',
}
