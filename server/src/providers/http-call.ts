import type { ProviderErrorCode } from '../kernel/errors.ts'
import type { ProviderError, SubmitOutcome } from './provider.ts'
import { ProviderFetchError, type ProviderAnswer, type ProviderFetch, type SizedBody } from './provider-fetch.ts'

/**
 * One JSON question to a provider whose answer is always a value, never an exception. Everything that comes back
 * has the key removed already, so no later hand can leak it.
 */
export interface Call {
  fetch: ProviderFetch
  url: string
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  body?: unknown
  /** Instead of `body`: JSON that is written while it is sent. */
  sized?: SizedBody
  /** Removed from whatever the answer echoes. */
  key: string
  /** The header that the key is sent in; none: as bearer. */
  keyHeader?: string
  /** What of an answer goes to the timeline, where it is not all of it. */
  toKeep?: (json: unknown) => unknown
  /** Largest answer read, where it is not the usual. */
  maxBytes?: number
  signal: AbortSignal
  timeoutMs: number
  /** Epoch milliseconds, for a Retry-After that names a date. */
  now: number
}

export type CallResult =
  | {
      kind: 'answer'
      status: number
      /** The parsed body; undefined when it was not JSON or did not arrive whole. */
      json: unknown
      /** For the timeline: the body without secrets, or the beginning of what was not JSON. */
      raw: unknown
      retryAfterMs?: number
    }
  | { kind: 'lost'; sent: boolean; detail: string }

const READABLE_TEXT = 2_000

export async function callJson(call: Call): Promise<CallResult> {
  const headers: Record<string, string> = { accept: 'application/json', ...(call.keyHeader ? { [call.keyHeader]: call.key } : { authorization: `Bearer ${call.key}` }) }
  const body = call.sized ?? (call.body === undefined ? undefined : JSON.stringify(call.body))
  if (body !== undefined) headers['content-type'] = 'application/json'
  let answer: ProviderAnswer
  try {
    answer = await call.fetch(call.url, {
      method: call.method,
      headers,
      body,
      signal: call.signal,
      timeoutMs: call.timeoutMs,
      maxBytes: call.maxBytes,
    })
  } catch (error) {
    // A failure that does not say its phase is taken for the dear one.
    const known = error instanceof ProviderFetchError ? error : null
    const detail = withoutSecrets(known?.detail ?? 'failed without saying when', call.key)
    return { kind: 'lost', sent: known?.phase !== 'before_send', detail }
  }
  const retryAfterMs = readRetryAfter(answer.headers['retry-after'], call.now)
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs }
  const head = { kind: 'answer' as const, status: answer.status, ...wait }
  try {
    const text = withoutKey(await answer.text(), call.key)
    const json = parseJson(text)
    if (json !== undefined) return { ...head, json, raw: withoutTokens(call.toKeep ? call.toKeep(json) : json) }
    return { ...head, json, raw: { notJson: withoutSecrets(text.slice(0, READABLE_TEXT), call.key) } }
  } catch (error) {
    const detail = error instanceof ProviderFetchError ? error.detail : 'body could not be read'
    return { ...head, json: undefined, raw: { broken: withoutSecrets(detail, call.key) } }
  }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Shorter ones are placeholders (`demo`): cutting them out of an answer would garble its addresses. */
const SHORTEST_SECRET = 12

/** The key in its plain and its JSON-escaped spelling. Done on the text, so that nested JSON strings are caught too. */
export function withoutKey(text: string, key: string): string {
  if (key.length < SHORTEST_SECRET) return text
  const escaped = JSON.stringify(key).slice(1, -1)
  return text.replaceAll(key, '[redacted]').replaceAll(escaped, '[redacted]')
}

const TOKEN = /([?&](?:token|access_token|api_?key)=)[^&#"'\\\s]+/gi
/** Our own callback address, also inside JSON that was packed into a string. */
const CALLBACK_FIELD = /(call_?back_?url\\*["']\s*:\s*\\*["'])[^"'\\]*/gi

export function withoutSecrets(text: string, key: string): string {
  return withoutKey(text, key).replace(TOKEN, '$1[redacted]').replace(CALLBACK_FIELD, '$1[redacted]')
}

/** A copy fit for the timeline: our callback token comes back in what providers echo. */
export function withoutTokens(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return withoutSecrets(value, '')
  if (typeof value !== 'object' || value === null) return value
  if (depth > 40) return '[too deep]'
  if (Array.isArray(value)) return value.map((item) => withoutTokens(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) =>
      /^call_?back_?url$/i.test(name) ? [name, '[redacted]'] : [name, withoutTokens(item, depth + 1)],
    ),
  )
}

/** Seconds or an HTTP date, as milliseconds from now; at most a day. */
export function readRetryAfter(header: string | undefined, now: number): number | undefined {
  if (!header) return undefined
  const ms = /^\s*\d+(\.\d+)?\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isFinite(ms) ? Math.min(Math.max(0, Math.round(ms)), 86_400_000) : undefined
}

/**
 * What a bare HTTP status says about a submit: the class of a sure refusal, or null when the work may have begun
 * all the same (5xx other than 503, 408, 409, anything odd).
 */
export function refusalByStatus(status: number): ProviderErrorCode | null {
  if (status === 429) return 'rate_limited'
  if (status === 503) return 'unavailable'
  if (status === 401 || status === 403) return 'provider_auth'
  if (status === 402) return 'no_credits'
  if (status === 408 || status === 409) return null
  return status >= 400 && status < 500 ? 'invalid_request' : null
}

/** What a question that got no answer means for a submit. */
export function lostSubmit(result: { sent: boolean; detail: string }): SubmitOutcome {
  const error: ProviderError = { code: 'transient', detail: result.detail }
  return result.sent ? { kind: 'unknown', error } : { kind: 'refused', sent: false, error, raw: null }
}

/** An error with the provider's Retry-After, when it sent one. */
export function providerError(code: ProviderErrorCode, detail: string, retryAfterMs?: number): ProviderError {
  const error: ProviderError = { code, detail: withoutSecrets(detail, '').slice(0, 500) }
  return retryAfterMs === undefined ? error : { ...error, retryAfterMs }
}
