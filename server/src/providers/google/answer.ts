import type { ProviderErrorCode } from '../../kernel/errors.ts'
import type { CallResult } from '../http-call.ts'

/**
 * What one answer of `generateContent` means.
 * `final`: asking again with the same request would be answered the same. `retired`: Google has no such model (any
 * more). `trouble`: another key, or a later time, may do; `lasting`: with this key no later time will.
 */
export type Reading =
  | { kind: 'picture'; bytes: Buffer; mime: string }
  | { kind: 'final'; code: ProviderErrorCode; detail: string }
  | { kind: 'no_image'; detail: string }
  | { kind: 'retired'; detail: string }
  | { kind: 'trouble'; code: ProviderErrorCode; detail: string; retryAfterMs?: number; lasting?: true }

type Answer = Extract<CallResult, { kind: 'answer' }>
type Json = Record<string, any>

/** Ends of a candidate that are a judgement on what was asked; all others without a picture are passing. */
const POLICY_ENDS = ['SAFETY', 'RECITATION', 'LANGUAGE', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'IMAGE_SAFETY', 'IMAGE_PROHIBITED_CONTENT', 'IMAGE_RECITATION']

export function readAnswer(answer: Answer): Reading {
  return answer.status >= 200 && answer.status < 300 ? readContent(answer.json) : readError(answer)
}

/** All of these come with HTTP 200: the picture, a refusal in three places, and an answer without a picture. */
function readContent(json: unknown): Reading {
  const { candidates, promptFeedback } = object(json)
  const blocked = word(object(promptFeedback).blockReason)
  if (blocked) return { kind: 'final', code: 'content_policy', detail: `blockReason ${blocked}` }
  if (!Array.isArray(candidates)) return { kind: 'trouble', code: 'provider_malformed', detail: 'HTTP 200 without candidates' }
  const pictures = candidates.flatMap(picturesOf)
  // Models that think first may show sketches before; the last picture is the answer.
  const picture = pictures.at(-1)
  if (picture) return picture
  const { finishReason } = object(candidates[0])
  const end = word(finishReason) ?? 'no finishReason'
  const detail = `finishReason ${end}, no picture`
  return POLICY_ENDS.includes(end) ? { kind: 'final', code: 'content_policy', detail } : { kind: 'no_image', detail }
}

function picturesOf(candidate: unknown): Extract<Reading, { kind: 'picture' }>[] {
  const { parts } = object(object(candidate).content)
  if (!Array.isArray(parts)) return []
  return parts.flatMap((part) => {
    const { inlineData, inline_data: snake, thought } = object(part)
    const inline = object(inlineData ?? snake)
    const mime = inline.mimeType ?? inline.mime_type
    if (thought === true || typeof inline.data !== 'string' || typeof mime !== 'string' || !mime.startsWith('image/')) return []
    const bytes = Buffer.from(inline.data, 'base64')
    return bytes.length ? [{ kind: 'picture' as const, bytes, mime }] : []
  })
}

function readError(answer: Answer): Reading {
  const { status: http } = answer
  const error = object(object(answer.json).error)
  const status = word(error.status)
  const message = typeof error.message === 'string' ? error.message : ''
  const detail = `HTTP ${http}${status ? ` ${status}` : ''}${message && `: ${message}`}`
  const details = Array.isArray(error.details) ? error.details.map(object) : []
  const trouble = (code: ProviderErrorCode): Reading => {
    const retryAfterMs = answer.retryAfterMs ?? retryDelay(details)
    return { kind: 'trouble', code, detail, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  }
  const final = (code: ProviderErrorCode): Reading => ({ kind: 'final', code, detail })
  // A wrong key is told as an invalid argument too: that is our matter, not the user's.
  if (details.some(({ reason }) => reason === 'API_KEY_INVALID')) return trouble('provider_auth')
  if (http === 401 || http === 403) return trouble('provider_auth')
  if (http === 404) return { kind: 'retired', detail }
  if (http === 408) return trouble('transient')
  if (http === 429) return trouble(usedUp(message, details) ? 'no_credits' : 'rate_limited')
  if (http === 503) return trouble('unavailable')
  if (http >= 500) return trouble('transient')
  // Billing is off, or the account's country is not served: so it is with this key, not with every one.
  if (status === 'FAILED_PRECONDITION') return { kind: 'trouble', code: 'no_credits', detail, lasting: true }
  return final(/\b(prohibited|safety|content polic\w+|usage polic\w+)\b/i.test(message) ? 'content_policy' : 'invalid_request')
}

/**
 * The quota or the money of a key is used up, by Google's words. It says so of a limit per minute too; only the details,
 * where they are there, tell that apart.
 */
function usedUp(message: string, details: Json[]): boolean {
  const quotas = details.flatMap(({ violations }) => (Array.isArray(violations) ? violations : [])).map((violation) => String(object(violation).quotaId))
  if (quotas.length && quotas.every((quota) => /per_?minute/i.test(quota))) return false
  return /exceeded your (current )?quota|\bbilling\b|credits are depleted/i.test(message)
}

/** google.rpc.RetryInfo: `"retryDelay":"17s"`. At most a day. */
function retryDelay(details: Json[]): number | undefined {
  for (const { retryDelay: delay } of details) {
    const seconds = typeof delay === 'string' ? /^(\d{1,6}(?:\.\d+)?)s$/.exec(delay)?.[1] : undefined
    if (seconds) return Math.min(Math.ceil(Number(seconds) * 1000), 86_400_000)
  }
  return undefined
}

/** For the timeline: the answer with its bytes counted instead of repeated. */
export function withoutBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutBytes)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, (name === 'data' || name === 'thoughtSignature') && typeof item === 'string' && item.length > 200 ? `${item.length} characters` : withoutBytes(item)]))
}

const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {})
/** Names of reasons are Google's constants; anything else is not quoted. */
const word = (value: unknown): string | null => (typeof value === 'string' && /^[A-Z][A-Z_]{1,60}$/.test(value) ? value : null)
