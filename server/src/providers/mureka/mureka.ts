import { sha256Hex } from '../../kernel/ids.ts'
import type { ProviderErrorCode } from '../../kernel/errors.ts'
import { callJson, lostSubmit, providerError, refusalByStatus, type CallResult } from '../http-call.ts'
import type { CheckOutcome, Descriptor, Provider, ProviderError, SubmitOutcome } from '../provider.ts'
import type { ProviderFetch } from '../provider-fetch.ts'
import { fitLyrics, lyricsIdea, needsLyrics, songCount, submitBody, validateRequest } from './request.ts'
import { isPolicy, readBilling, readError, readLyricsAnswer, readSnapshot, readTask } from './shape.ts'

export interface MurekaOptions {
  apiKey: string
  /** Without trailing slash. */
  baseUrl: string
  fetch: ProviderFetch
  /** Used when a request names none. */
  model?: string
  /** All that may be named; the default is one of them whether listed or not. */
  models?: readonly string[]
  /** Multiplies the polling times; a demo or a test runs faster. */
  timeScale?: number
  submitTimeoutMs?: number
  checkTimeoutMs?: number
  now?: () => number
}

export const DEFAULT_MODEL = 'auto'
export const DEFAULT_MODELS = ['auto', 'mureka-9', 'mureka-8', 'mureka-7.6', 'mureka-7.5', 'mureka-6', 'mureka-o2', 'mureka-o1']

const DAY_MS = 86_400_000
/** Instrumentals are asked about at another address: their task ids say so. */
const INSTRUMENTAL = 'instrumental-'

type Answer = Extract<CallResult, { kind: 'answer' }>
type Refused = Extract<SubmitOutcome, { kind: 'refused' }>

/** Mureka: one to three songs per request, each billed; no callbacks, no cancelling, lyrics are always wanted. */
export function createMureka(options: MurekaOptions): Provider {
  const { apiKey, baseUrl, fetch } = options
  const defaultModel = options.model || DEFAULT_MODEL
  const models = [...new Set([defaultModel, ...(options.models ?? DEFAULT_MODELS)])]
  const scale = options.timeScale ?? 1
  const now = options.now ?? Date.now

  const descriptor: Descriptor = {
    id: 'mureka',
    mode: 'async',
    kinds: ['song'],
    callbackTrust: 'none',
    canCancel: false,
    canReportCredits: true,
    models: models.map((id) => ({ id, status: 'current' })),
    defaultModel,
    // A song takes about 45 s.
    firstPollMs: Math.round(30_000 * scale),
    pollMs: Math.round(10_000 * scale),
    pollMaxMs: Math.round(30_000 * scale),
    // Nobody says how long the files stay: they are copied at once, and late ones are looked for no longer than a day.
    retentionMs: DAY_MS,
    rate: null,
    // Until the account's billing has told its own.
    concurrency: 1,
  }

  const ask = (method: 'GET' | 'POST', path: string, signal: AbortSignal, body?: unknown): Promise<CallResult> => {
    const timeoutMs = method === 'POST' ? (options.submitTimeoutMs ?? 60_000) : (options.checkTimeoutMs ?? 15_000)
    return callJson({ fetch, url: `${baseUrl}/v1${path}`, method, body, key: apiKey, signal, timeoutMs, now: now() })
  }

  async function billing(signal: AbortSignal) {
    const answer = await ask('GET', '/account/billing', signal)
    return answer.kind === 'answer' && isOk(answer.status) ? readBilling(answer.json) : null
  }

  /** Why it was refused. A 429 means too fast or no money; when its words do not say which, the balance does. */
  async function reasonOf(answer: Answer, signal: AbortSignal): Promise<ProviderErrorCode | null> {
    const words = readError(answer.json)
    if (answer.status === 400 && isPolicy(words)) return 'content_policy'
    if (answer.status !== 429) return refusalByStatus(answer.status)
    if (/quota|billing|balance|credit/i.test(words)) return 'no_credits'
    if (/quickly|\brate\b|concurren|frequen/i.test(words)) return 'rate_limited'
    return (await billing(signal))?.amount === 0 ? 'no_credits' : 'rate_limited'
  }

  const errorOf = (code: ProviderErrorCode, { status, json, retryAfterMs }: Answer): ProviderError =>
    providerError(code, `HTTP ${status}: ${readError(json)}`, retryAfterMs)

  /** Words for a song that came without any. */
  async function writeLyrics(prompt: string, signal: AbortSignal): Promise<string | Refused> {
    const answer = await ask('POST', '/lyrics/generate', signal, { prompt })
    const notSent = (error: ProviderError): Refused => ({ kind: 'refused', sent: false, error, raw: null })
    if (answer.kind === 'lost') return notSent(providerError('transient', `lyrics: ${answer.detail}`))
    const lyrics = isOk(answer.status) ? readLyricsAnswer(answer.json) : null
    if (lyrics) return fitLyrics(lyrics)
    const reason = isOk(answer.status) ? 'provider_malformed' : await reasonOf(answer, signal)
    const error = errorOf(reason ?? 'transient', answer)
    // What would be refused again for the same reason is a refusal; the rest is tried again.
    const lasting = reason !== null && !['provider_malformed', 'rate_limited', 'unavailable'].includes(reason)
    return lasting ? { kind: 'refused', sent: true, error, raw: answer.raw } : notSent(error)
  }

  return {
    descriptor,
    account: `mureka/${sha256Hex(`mureka account ${apiKey}`).slice(0, 16)}`,
    resultCount: songCount,
    validate: (request) => validateRequest(request, models),

    async makeReady(request, signal) {
      if (!needsLyrics(request)) return { kind: 'ready', request }
      const lyrics = await writeLyrics(lyricsIdea(request), signal)
      return typeof lyrics === 'string' ? { kind: 'ready', request: { ...request, lyrics } } : lyrics
    },

    async submit(request, { signal }) {
      const room = request.instrumental ? 'instrumental' : 'song'
      const answer = await ask('POST', `/${room}/generate`, signal, submitBody(request, defaultModel))
      if (answer.kind === 'lost') return lostSubmit(answer)
      const task = isOk(answer.status) ? readTask(answer.json) : null
      if (task?.id) return { kind: 'accepted', taskId: request.instrumental ? INSTRUMENTAL + task.id : task.id, raw: answer.raw }
      const reason = isOk(answer.status) ? null : await reasonOf(answer, signal)
      if (reason) return { kind: 'refused', sent: true, error: errorOf(reason, answer), raw: answer.raw }
      return { kind: 'unknown', error: errorOf(isOk(answer.status) ? 'provider_malformed' : 'transient', answer) }
    },

    async check(taskId, signal): Promise<CheckOutcome> {
      const room = taskId.startsWith(INSTRUMENTAL) ? 'instrumental' : 'song'
      const id = room === 'song' ? taskId : taskId.slice(INSTRUMENTAL.length)
      const answer = await ask('GET', `/${room}/query/${encodeURIComponent(id)}`, signal)
      if (answer.kind === 'lost') return { kind: 'unreachable', error: providerError('transient', answer.detail) }
      if (!isOk(answer.status)) {
        const code = answer.status === 404 ? 'provider_task_gone' : (refusalByStatus(answer.status) ?? 'transient')
        return { kind: 'unreachable', error: errorOf(code, answer) }
      }
      const task = readTask(answer.json)
      if (!task || (task.status === null && task.songs.length === 0)) {
        return { kind: 'unreachable', error: errorOf('provider_malformed', answer) }
      }
      return { kind: 'snapshot', snapshot: readSnapshot(task, answer.raw) }
    },

    readCallback: () => null,

    async credits(signal) {
      const told = await billing(signal)
      return told && { ...told, unit: 'cents' }
    },
  }
}

const isOk = (status: number): boolean => status >= 200 && status < 300
