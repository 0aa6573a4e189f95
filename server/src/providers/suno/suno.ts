import { sha256Hex } from '../../kernel/ids.ts'
import type { ProviderErrorCode } from '../../kernel/errors.ts'
import {
  callJson, lostSubmit, parseJson, providerError, refusalByStatus, withoutKey, withoutTokens, type CallResult,
} from '../http-call.ts'
import type { CallbackReading, CheckOutcome, Descriptor, Provider, RawCallback, SubmitOutcome } from '../provider.ts'
import type { ProviderFetch } from '../provider-fetch.ts'
import { SUNO_CODES, type SunoCodes } from './errors.ts'
import { DEFAULT_MODEL, modelTable, SONGS_PER_REQUEST } from './models.ts'
import { submitBody, validateRequest } from './request.ts'
import { readBody, readRecord, type Body } from './shape.ts'
import { readSnapshot } from './snapshot.ts'

export interface SunoOptions {
  apiKey: string
  /** Without trailing slash. */
  baseUrl: string
  fetch: ProviderFetch
  model?: string
  rate?: { count: number; windowMs: number }
  codes?: SunoCodes
  /** Sent when nobody can reach us: the endpoint insists on an address but does not check it. */
  noCallbackUrl?: string
  /** Multiplies the polling times; a demo or a test runs faster. */
  timeScale?: number
  submitTimeoutMs?: number
  checkTimeoutMs?: number
  now?: () => number
}

const DAY_MS = 86_400_000

/** Suno through sunoapi.org: two songs per request, unsigned callbacks, no cancelling, errors inside HTTP 200. */
export function createSuno(options: SunoOptions): Provider {
  const { apiKey, baseUrl, fetch } = options
  const codes = options.codes ?? SUNO_CODES
  const defaultModel = options.model || DEFAULT_MODEL
  const models = modelTable(defaultModel)
  const scale = options.timeScale ?? 1
  const now = options.now ?? Date.now

  const descriptor: Descriptor = {
    id: 'suno',
    mode: 'async',
    kinds: ['song'],
    callbackTrust: 'url-token',
    canCancel: false,
    canReportCredits: true,
    models: models.map(({ id, status, maxDurationSec }) => ({ id, status, maxDurationSec })),
    defaultModel,
    firstPollMs: Math.round(30_000 * scale),
    pollMs: Math.round(15_000 * scale),
    pollMaxMs: Math.round(45_000 * scale),
    retentionMs: 14 * DAY_MS,
    rate: options.rate ?? { count: 20, windowMs: 10_000 },
    concurrency: null,
  }

  const ask = (method: 'GET' | 'POST', path: string, signal: AbortSignal, body?: unknown): Promise<CallResult> => {
    const timeoutMs = method === 'POST' ? (options.submitTimeoutMs ?? 30_000) : (options.checkTimeoutMs ?? 15_000)
    const url = `${baseUrl}/api/v1${path}`
    return callJson({ fetch, url, method, body, key: apiKey, signal, timeoutMs, now: now() })
  }

  return {
    descriptor,
    account: `suno/${sha256Hex(`suno account ${apiKey}`).slice(0, 16)}`,
    resultCount: () => SONGS_PER_REQUEST,
    validate: (request) => validateRequest(request, models, defaultModel),

    async submit(request, context) {
      const callBackUrl = context.callbackUrl ?? options.noCallbackUrl ?? 'https://reprise.invalid/no-callback'
      const answer = await ask('POST', '/generate', context.signal, submitBody(request, defaultModel, callBackUrl))
      return readSubmit(answer, codes)
    },

    async check(taskId, signal) {
      return readCheck(await ask('GET', `/generate/record-info?taskId=${encodeURIComponent(taskId)}`, signal), codes)
    },

    readCallback: (callback) => readCallback(callback, apiKey, codes),

    async credits(signal) {
      const answer = await ask('GET', '/generate/credit', signal)
      if (answer.kind !== 'answer' || !isOk(answer.status)) return null
      const body = readBody(answer.json)
      const amount = body?.code === 200 ? body.data : null
      return typeof amount === 'number' && Number.isInteger(amount) && amount >= 0 ? { amount, unit: 'credits' } : null
    },
  }
}

const isOk = (status: number): boolean => status >= 200 && status < 300

function readSubmit(answer: CallResult, codes: SunoCodes): SubmitOutcome {
  if (answer.kind === 'lost') return lostSubmit(answer)
  const { status, raw, retryAfterMs } = answer
  const body = readBody(answer.json)
  const taskId = readRecord(body?.data)?.taskId ?? null
  const said = describe(status, body)
  const refused = (code: ProviderErrorCode): SubmitOutcome => {
    return { kind: 'refused', sent: true, error: providerError(code, said, retryAfterMs), raw }
  }
  const unknown = (code: ProviderErrorCode): SubmitOutcome => {
    return { kind: 'unknown', error: providerError(code, said, retryAfterMs) }
  }

  // 200 with a task, or "already exists" naming one: ours. A server error that names a task began it all the same.
  if (body && taskId && (body.code === null ? isOk(status) : [200, 500, codes.alreadyExists].includes(body.code))) {
    return { kind: 'accepted', taskId, raw }
  }
  if (!isOk(status)) {
    // The body's own code names the reason where HTTP refused too; a 5xx stays doubtful whatever stands in it.
    const refusal = refusalByStatus(status)
    if (!refusal) return unknown('transient')
    return refused((body && meaning(body, codes)) ?? refusal)
  }
  // No envelope at all: something between us and the endpoint spoke, and the endpoint may have heard us.
  if (!body || body.code === null) return unknown('provider_malformed')
  if (body.code === 200 || body.code === codes.alreadyExists) return unknown('provider_malformed')
  const reason = meaning(body, codes)
  if (reason) return refused(reason)
  return body.code >= 400 && body.code < 500 ? refused('invalid_request') : unknown('provider_malformed')
}

function readCheck(answer: CallResult, codes: SunoCodes): CheckOutcome {
  if (answer.kind === 'lost') return { kind: 'unreachable', error: providerError('transient', answer.detail) }
  const body = readBody(answer.json)
  const unreachable = (code: ProviderErrorCode): CheckOutcome => {
    return { kind: 'unreachable', error: providerError(code, describe(answer.status, body), answer.retryAfterMs) }
  }
  if (!isOk(answer.status)) return unreachable(refusalByStatus(answer.status) ?? 'transient')
  if (!body || body.code === null) return unreachable('provider_malformed')
  if (body.code !== 200) return unreachable(meaning(body, codes) ?? 'provider_malformed')
  if (body.data == null) return unreachable('provider_task_gone')
  const record = readRecord(body.data)
  if (!record || (record.status === null && record.songs.length === 0)) return unreachable('provider_malformed')
  return { kind: 'snapshot', snapshot: readSnapshot(record.status, record.songs, record.errorText, answer.raw) }
}

/** Which status a callback's type stands for. `text` and `first` may never come. */
const CALLBACK_STATUS: Readonly<Record<string, string>> = {
  text: 'TEXT_SUCCESS',
  first: 'FIRST_SUCCESS',
  complete: 'SUCCESS',
}

function readCallback(callback: RawCallback, apiKey: string, codes: SunoCodes): CallbackReading | null {
  const json = parseJson(withoutKey(Buffer.from(callback.body).toString('utf8'), apiKey))
  const body = readBody(json)
  if (!body) return null
  // Names wander between the levels: `data.task_id`, `data.taskId`, or both beside `data`.
  const inner = readRecord(body.data)
  const outer = readRecord(json)
  const taskId = inner?.taskId ?? outer?.taskId ?? null
  const type = inner?.callbackType ?? outer?.callbackType ?? null
  const songs = inner?.songs.length ? inner.songs : (outer?.songs ?? [])
  const raw = withoutTokens(json)
  const reading = (snapshot: CallbackReading['snapshot']): CallbackReading => ({ taskId, trust: 'none', snapshot })

  const failed = type === 'error' || (body.code !== null && body.code !== 200)
  if (failed && (taskId || type)) {
    const code = codes.callback[body.code ?? 0] ?? 'provider_failed'
    const error = providerError(code, `callback ${body.code ?? ''} ${body.message}`.trim())
    return reading({ status: 'failed', results: songs, error, raw })
  }
  if (type && Object.hasOwn(CALLBACK_STATUS, type)) return reading(readSnapshot(CALLBACK_STATUS[type]!, songs, '', raw))
  if (songs.length && taskId) return reading(readSnapshot(null, songs, '', raw))
  return taskId ? reading(null) : null
}

function meaning(body: Body, codes: SunoCodes): ProviderErrorCode | undefined {
  if (body.code === null || !Object.hasOwn(codes.answer, body.code)) return undefined
  const code = codes.answer[body.code]
  return code === 'invalid_request' && codes.policyWords.test(body.message) ? 'content_policy' : code
}

const describe = (status: number, body: Body | null): string =>
  `HTTP ${status}${body ? `, code ${body.code ?? 'none'}: ${body.message}` : ' without an envelope'}`
