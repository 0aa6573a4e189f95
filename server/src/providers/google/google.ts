import { setTimeout as wait } from 'node:timers/promises'
import type { ProviderErrorCode } from '../../kernel/errors.ts'
import { sha256Hex } from '../../kernel/ids.ts'
import { callJson, providerError } from '../http-call.ts'
import type { Descriptor, GenerationRequest, Provider, ProviderError, SubmitOutcome } from '../provider.ts'
import type { ProviderFetch } from '../provider-fetch.ts'
import { readAnswer, withoutBytes, type Reading } from './answer.ts'
import { DEFAULT_MODELS, modelTable } from './models.ts'
import { bodyOf, MOST_PICTURE_BYTES, optionsOf, validateRequest, type ImageRef, type Picture } from './request.ts'

export interface GoogleOptions {
  /** At least one; they stand in for each other, the first one is asked first. */
  apiKeys: readonly string[]
  /** Without trailing slash. */
  baseUrl: string
  fetch: ProviderFetch
  /** Asked in this order when a request names none. */
  models?: readonly string[]
  /** Reads a picture of ours; null when there is none (any more). */
  readImage: (ref: ImageRef) => Promise<Picture | null>
  /** How long one question may take. */
  timeoutMs?: number
  /** Most questions at once, over all processes. */
  parallel?: number
  /** Multiplies the waits below; a demo or a test runs faster. */
  timeScale?: number
  waits?: Partial<Waits>
  now?: () => number
}

/** Milliseconds before the next question, after trouble. */
interface Waits {
  /** Before each other key. */
  otherKey: number
  /** Before the first key once more; null: it is not asked again. */
  firstKey: number | null
  /** Before the next attempts of the engine; after the last of them it is given up. */
  attempts: readonly number[]
}

const WAITS: Waits = { otherKey: 2_000, firstKey: 10_000, attempts: [10_000, 20_000, 25_000] }
/** Questions in other words, after an answer without a picture. */
const INSIST = 2
/** The largest picture that is stored, as base64, and the words around it. */
const MOST_ANSWER_BYTES = 30 * 1024 * 1024

type Trouble = Extract<Reading, { kind: 'trouble' }> & { sent: boolean; raw: unknown }
type Refused = Extract<SubmitOutcome, { kind: 'refused' }>

/**
 * Google's picture models (`generateContent`): the answer is the picture. A question without an answer is asked again,
 * since nothing is left there that could be collected (docs/decisions/0010).
 */
export function createGoogle(options: GoogleOptions): Provider {
  const { apiKeys, baseUrl, fetch, readImage } = options
  const models = modelTable(options.models ?? DEFAULT_MODELS.split(','))
  const scale = options.timeScale ?? 1
  const waits: Waits = { ...WAITS, ...options.waits }
  const now = options.now ?? Date.now

  const descriptor: Descriptor = {
    id: 'google',
    mode: 'sync',
    repeatable: true,
    kinds: ['image'],
    callbackTrust: 'none',
    canCancel: false,
    canReportCredits: false,
    models: models.map(({ id }) => ({ id, status: 'current' })),
    defaultModel: models[0]!.id,
    // Never polled: there is no task. The first tells how long a picture usually takes: what can start before its deadline goes by it.
    firstPollMs: Math.round(12_000 * scale),
    pollMs: 15_000,
    pollMaxMs: 45_000,
    retentionMs: 0,
    rate: null,
    concurrency: options.parallel ?? 32,
  }

  /** Every key once, then the first one again, each after its wait. */
  const turns = apiKeys.map((key, index) => ({ key, waitMs: index === 0 ? 0 : waits.otherKey * scale }))
  if (waits.firstKey !== null) turns.push({ key: apiKeys[0]!, waitMs: waits.firstKey * scale })

  async function ask(key: string, request: GenerationRequest, pictures: readonly Picture[], signal: AbortSignal): Promise<SubmitOutcome | Trouble> {
    const candidates = request.model ? [request.model] : models.map(({ id }) => id)
    let retired: { detail: string; raw: unknown } | null = null
    for (const model of candidates) {
      for (let insisted = 0; ; insisted++) {
        const answer = await callJson({
          fetch, url: `${baseUrl}/v1beta/models/${model}:generateContent`, method: 'POST', body: bodyOf(request, pictures, insisted > 0),
          key, keyHeader: 'x-goog-api-key', maxBytes: MOST_ANSWER_BYTES, signal, timeoutMs: options.timeoutMs ?? 60_000, now: now(),
        })
        if (answer.kind === 'lost') return { kind: 'trouble', code: 'transient', detail: answer.detail, sent: answer.sent, raw: null }
        const reading = readAnswer(answer)
        const raw = withoutBytes(answer.raw)
        if (reading.kind === 'picture') return finished(reading, raw)
        if (reading.kind === 'final') return refused(true, providerError(reading.code, reading.detail), raw)
        if (reading.kind === 'trouble') return { ...reading, sent: true, raw }
        if (reading.kind === 'no_image') {
          if (insisted < INSIST && (await pause(waits.otherKey * scale, signal))) continue
          return refused(true, providerError('no_image', reading.detail), raw)
        }
        retired = { detail: reading.detail, raw }
        break
      }
    }
    return refused(true, providerError('provider_failed', `no model is served any more: ${retired?.detail}`), retired?.raw ?? null)
  }

  /** The end of an attempt that met trouble with every key: again later, or given up after the last of them. */
  function surface({ code, detail, retryAfterMs = 0, sent, raw }: Trouble, attempt: number, aborted: boolean): Refused {
    const waitMs = waits.attempts[attempt - 1]
    if (waitMs === undefined && !aborted) return refused(sent, { ...providerError(code, detail), final: true }, raw)
    // A key that is refused now and then is trouble like any other; it is the operator's matter once it stays so.
    const passing: ProviderErrorCode = code === 'provider_auth' ? 'unavailable' : code
    return refused(sent, providerError(passing, detail, Math.max((waitMs ?? 0) * scale, retryAfterMs)), raw)
  }

  async function readPictures(request: GenerationRequest): Promise<Picture[] | Refused> {
    const pictures: Picture[] = []
    let size = 0
    for (const ref of optionsOf(request).images) {
      const picture = await readImage(ref)
      if (!picture) return refused(false, { ...providerError('invalid_request', 'a picture of the request is not there any more'), final: true })
      size += picture.bytes.length
      if (size > MOST_PICTURE_BYTES) return refused(false, { ...providerError('invalid_request', `the pictures of the request are larger than ${MOST_PICTURE_BYTES} bytes`), final: true })
      pictures.push(picture)
    }
    return pictures
  }

  return {
    descriptor,
    account: `google/${sha256Hex(`google account ${apiKeys.join(',')}`).slice(0, 16)}`,
    resultCount: () => 1,
    validate: (request) => validateRequest(request, models),

    async submit(request, { signal, attempt = 1 }) {
      let pictures: Picture[] | Refused
      try {
        pictures = await readPictures(request)
      } catch {
        return refused(false, providerError('transient', 'a picture of the request could not be read from our store'))
      }
      if ('kind' in pictures) return pictures
      let trouble = null as Trouble | null
      for (const { key, waitMs } of turns) {
        if (!(await pause(waitMs, signal))) break
        const outcome = await ask(key, request, pictures, signal)
        if (outcome.kind !== 'trouble') return outcome
        // What was sent with one key has been sent.
        trouble = { ...outcome, sent: outcome.sent || (trouble?.sent ?? false) }
      }
      const stopped: Trouble = { kind: 'trouble', code: 'transient', detail: 'stopped by us before it was sent', sent: false, raw: null }
      return surface(trouble ?? stopped, attempt, signal.aborted)
    },

    async check() {
      return { kind: 'unreachable', error: providerError('provider_task_gone', 'Google answers at once; there is no task') }
    },
    readCallback: () => null,
  }
}

function finished({ bytes, mime }: Extract<Reading, { kind: 'picture' }>, raw: unknown): SubmitOutcome {
  const nothing = { providerId: null, previewUrl: null, coverUrl: null, title: null, tags: null, lyrics: null, durationMs: null }
  return { kind: 'finished', results: [{ ...nothing, final: { bytes, mime } }], raw }
}

const refused = (sent: boolean, error: ProviderError, raw: unknown = null): Refused => ({ kind: 'refused', sent, error, raw })

/** False when it was cut short. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (ms > 0) await wait(ms, undefined, { signal }).catch(() => undefined)
  return !signal.aborted
}
