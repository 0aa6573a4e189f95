import { sha256Hex } from '../../kernel/ids.ts'
import type { ProviderErrorCode } from '../../kernel/errors.ts'
import {
  callJson, lostSubmit, parseJson, providerError, refusalByStatus, withoutKey, withoutTokens, type CallResult,
} from '../http-call.ts'
import type { CallbackReading, CheckOutcome, Descriptor, Provider, RawCallback, SubmitOutcome } from '../provider.ts'
import type { ProviderFetch } from '../provider-fetch.ts'
import { DEFAULT_MODEL, modelTable } from './models.ts'
import { isPolicy, readPrediction, readSnapshot } from './prediction.ts'
import { inputOf, validateRequest } from './request.ts'
import { createWebhookSecret, isSecret, isSigned } from './signature.ts'

export interface ReplicateOptions {
  apiKey: string
  /** Without trailing slash. */
  baseUrl: string
  fetch: ProviderFetch
  /** `owner/name` or `owner/name:version`. */
  model?: string
  /** What callbacks are signed with; without it the provider is asked. */
  webhookSecret?: string
  /** Multiplies the polling times; a demo or a test runs faster. */
  timeScale?: number
  submitTimeoutMs?: number
  checkTimeoutMs?: number
  now?: () => number
}

export interface Replicate extends Provider {
  /** Gets the signing secret, so that the first callback can be judged; answers whether it is known. Never throws; later callbacks try again. */
  prepare(): Promise<boolean>
}

/** Replicate: many models behind one protocol, one file per request, signed callbacks, cancelling, files kept for an hour. */
export function createReplicate(options: ReplicateOptions): Replicate {
  const { apiKey, baseUrl, fetch } = options
  const { models, defaultModel } = modelTable(options.model || DEFAULT_MODEL)
  const scale = options.timeScale ?? 1
  const now = options.now ?? Date.now
  const plainHttp = isLoopback(baseUrl)

  const descriptor: Descriptor = {
    id: 'replicate',
    mode: 'async',
    kinds: ['song'],
    callbackTrust: 'signed',
    canCancel: true,
    canReportCredits: false,
    models: models.map(({ id, status, maxDurationSec }) => ({ id, status, maxDurationSec })),
    defaultModel,
    firstPollMs: Math.round(20_000 * scale),
    pollMs: Math.round(10_000 * scale),
    pollMaxMs: Math.round(45_000 * scale),
    retentionMs: 3_600_000,
    rate: { count: 600, windowMs: 60_000 },
    concurrency: null,
  }

  const ask = (method: 'GET' | 'POST', path: string, signal: AbortSignal, timeoutMs: number, body?: unknown): Promise<CallResult> =>
    callJson({ fetch, url: `${baseUrl}${path}`, method, body, key: apiKey, signal, timeoutMs, now: now() })
  const checkTimeoutMs = options.checkTimeoutMs ?? 15_000
  const predictionPath = (id: string) => `/v1/predictions/${encodeURIComponent(id)}`

  const secret = createWebhookSecret({
    configured: options.webhookSecret,
    now,
    async ask() {
      const answer = await ask('GET', '/v1/webhooks/default/secret', AbortSignal.timeout(checkTimeoutMs), checkTimeoutMs)
      const key = answer.kind === 'answer' && isOk(answer.status) ? (answer.json as { key?: unknown } | null)?.key : null
      return isSecret(key) ? key : null
    },
  })

  return {
    descriptor,
    account: `replicate/${sha256Hex(`replicate account ${apiKey}`).slice(0, 16)}`,
    resultCount: () => 1,
    validate: (request) => validateRequest(request, models, defaultModel),
    async prepare() {
      await secret.refresh()
      return secret.current() !== null
    },

    async submit(request, context) {
      const model = models.find((known) => known.id === (request.model ?? defaultModel))
      if (!model) return { kind: 'refused', sent: false, error: providerError('invalid_request', `no model ${request.model} is known any more`), raw: null }
      // `start` costs a callback and tells within seconds that a submit whose answer was lost is running after all.
      const webhook = context.callbackUrl === null ? {} : { webhook: context.callbackUrl, webhook_events_filter: ['start', 'completed'] }
      const body = { ...(model.version && { version: model.version }), input: inputOf(request, model), ...webhook }
      const path = model.version ? '/v1/predictions' : `/v1/models/${model.id}/predictions`
      return readSubmit(await ask('POST', path, context.signal, options.submitTimeoutMs ?? 30_000, body), plainHttp)
    },

    async check(taskId, signal) {
      return readCheck(await ask('GET', predictionPath(taskId), signal, checkTimeoutMs), plainHttp)
    },

    readCallback(callback) {
      const reading = readBody(callback, apiKey, plainHttp)
      if (!reading) return null
      const known = secret.current()
      if (known !== null && isSigned(callback, known)) return { ...reading, trust: 'signed' }
      // The secret may not be known yet, or may have been replaced: this callback is not believed, later ones may be.
      void secret.refresh()
      return known === null ? reading : { ...reading, trust: 'forged' }
    },

    async cancel(taskId, signal) {
      const answer = await ask('POST', `${predictionPath(taskId)}/cancel`, signal, checkTimeoutMs)
      if (answer.kind === 'lost') return 'unreachable'
      // It had ended, or is not known any more.
      if (answer.status === 404 || answer.status === 409 || answer.status === 422) return 'too_late'
      const status = isOk(answer.status) ? readPrediction(answer.json, plainHttp)?.status : null
      if (!status) return 'unreachable'
      return status === 'succeeded' || status === 'failed' ? 'too_late' : 'cancelled'
    },
  }
}

const isOk = (status: number): boolean => status >= 200 && status < 300
const isLoopback = (url: string): boolean => /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname)

type Answer = Extract<CallResult, { kind: 'answer' }>

function readSubmit(answer: CallResult, plainHttp: boolean): SubmitOutcome {
  if (answer.kind === 'lost') return lostSubmit(answer)
  const { status, raw } = answer
  if (isOk(status)) {
    const id = readPrediction(answer.json, plainHttp)?.id
    return id ? { kind: 'accepted', taskId: id, raw } : { kind: 'unknown', error: errorOf(answer, 'provider_malformed') }
  }
  const code = refusalByStatus(status)
  if (!code) return { kind: 'unknown', error: errorOf(answer, 'transient') }
  const policy = code === 'invalid_request' && isPolicy(said(answer))
  return { kind: 'refused', sent: true, error: errorOf(answer, policy ? 'content_policy' : code), raw }
}

function readCheck(answer: CallResult, plainHttp: boolean): CheckOutcome {
  if (answer.kind === 'lost') return { kind: 'unreachable', error: providerError('transient', answer.detail) }
  const unreachable = (code: ProviderErrorCode): CheckOutcome => ({ kind: 'unreachable', error: errorOf(answer, code) })
  if (answer.status === 404) return unreachable('provider_task_gone')
  if (!isOk(answer.status)) return unreachable(refusalByStatus(answer.status) ?? 'transient')
  const prediction = readPrediction(answer.json, plainHttp)
  if (!prediction?.status) return unreachable('provider_malformed')
  return { kind: 'snapshot', snapshot: readSnapshot(prediction, answer.raw) }
}

/** The body of a callback is the prediction. What it is worth, its signature decides. */
function readBody(callback: RawCallback, apiKey: string, plainHttp: boolean): CallbackReading | null {
  const json = parseJson(withoutKey(Buffer.from(callback.body).toString('utf8'), apiKey))
  const prediction = readPrediction(json, plainHttp)
  if (!prediction?.id) return null
  const snapshot = prediction.status ? readSnapshot(prediction, withoutTokens(json)) : null
  return { taskId: prediction.id, trust: 'none', snapshot }
}

/** `title` and `detail` of an error body. */
function said({ json }: Answer): string {
  const { title, detail } = (json ?? {}) as Record<string, unknown>
  return [title, detail].filter((part) => typeof part === 'string').join(': ')
}

function errorOf(answer: Answer, code: ProviderErrorCode) {
  const words = said(answer)
  return providerError(code, `HTTP ${answer.status}${words && `: ${words}`}`, answer.retryAfterMs ?? readReset(words))
}

/** "Your rate limit resets in ~30s." */
function readReset(words: string): number | undefined {
  const [, amount, unit] = /resets in ~?(\d{1,6}(?:\.\d+)?)\s*(ms|s|m)\b/i.exec(words) ?? []
  if (amount === undefined) return undefined
  const factor = { ms: 1, s: 1000, m: 60_000 }[unit!.toLowerCase()]!
  return Math.min(Math.ceil(Number(amount) * factor), 86_400_000)
}
