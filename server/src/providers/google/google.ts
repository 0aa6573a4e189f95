import { setTimeout as wait } from 'node:timers/promises'
import type { ProviderErrorCode } from '../../kernel/errors.ts'
import { sha256Hex } from '../../kernel/ids.ts'
import { callJson, providerError, type CallResult } from '../http-call.ts'
import type { Descriptor, GenerationRequest, Provider, ProviderError, SubmitOutcome } from '../provider.ts'
import type { ProviderFetch } from '../provider-fetch.ts'
import { readAnswer, withoutBytes, type Reading } from './answer.ts'
import { DEFAULT_MODELS, modelTable } from './models.ts'
import { bodyOf, MOST_PICTURE_BYTES, optionsOf, validateRequest, type ImageRef, type Picture } from './request.ts'
import { createRoom } from './room.ts'

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
  /** Most bytes of pictures on their way to Google at once, in this process. */
  sendingBytes?: number
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
/** Pictures are in memory only while they are sent; the next ones wait, and their time to answer has not begun. */
const SENDING_BYTES = 64 * 1024 * 1024
/** A key that Google refused is asked after the others for so long: not each picture is to pay for it with a wait. */
const REFUSED_KEY_MS = 60_000
/** Say something of the key, not of the moment. */
const OF_THE_KEY: readonly ProviderErrorCode[] = ['provider_auth', 'no_credits']
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
  const room = createRoom(options.sendingBytes ?? SENDING_BYTES)
  const refusedUntil = apiKeys.map(() => 0)

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

  /** Every key once, those that were refused just now last; then the first one again. Each after its wait. */
  function turns(): { index: number; waitMs: number }[] {
    const at = now()
    const refused = (index: number) => Number(refusedUntil[index]! > at)
    const order = [...apiKeys.keys()].sort((one, other) => refused(one) - refused(other))
    const each = order.map((index, place) => ({ index, waitMs: place === 0 ? 0 : waits.otherKey * scale }))
    return waits.firstKey === null ? each : [...each, { index: order[0]!, waitMs: waits.firstKey * scale }]
  }

  /** One question. Its pictures are read when there is room for them, and are gone again when they are sent. */
  async function question(key: string, model: string, request: GenerationRequest, insist: boolean, signal: AbortSignal): Promise<CallResult | Refused> {
    // How large they are is known when they are read.
    const keep = optionsOf(request).images.length === 0 ? () => undefined : await room.take(MOST_PICTURE_BYTES, signal)
    if (!keep) return { kind: 'lost', sent: false, detail: 'stopped by us before it was sent' }
    try {
      const pictures = await readPictures(request)
      if (!Array.isArray(pictures)) return pictures
      keep(sizeOf(pictures))
      return await callJson({
        fetch, url: `${baseUrl}/v1beta/models/${model}:generateContent`, method: 'POST', sized: bodyOf(request, pictures, insist, () => keep(0)),
        key, keyHeader: 'x-goog-api-key', toKeep: withoutBytes, maxBytes: MOST_ANSWER_BYTES, signal, timeoutMs: options.timeoutMs ?? 60_000, now: now(),
      })
    } finally {
      keep(0)
    }
  }

  async function ask(key: string, request: GenerationRequest, signal: AbortSignal): Promise<SubmitOutcome | Trouble> {
    const candidates = request.model ? [request.model] : models.map(({ id }) => id)
    let retired: { detail: string; raw: unknown } | null = null
    for (const model of candidates) {
      for (let insisted = 0; ; insisted++) {
        const answer = await question(key, model, request, insisted > 0, signal)
        if (answer.kind === 'refused') return answer
        if (answer.kind === 'lost') return { kind: 'trouble', code: 'transient', detail: answer.detail, sent: answer.sent, raw: null }
        const reading = readAnswer(answer)
        const { raw } = answer
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

  /** The end of an attempt that met trouble with every key: again later, or given up (docs/decisions/0013). */
  function surface(troubles: readonly Trouble[], attempt: number, aborted: boolean): Refused {
    const everyKey = troubles.length === apiKeys.length
    const sent = troubles.some((trouble) => trouble.sent)
    // As long as one key is only in trouble, there is hope, and the account is not to blame.
    const { code, detail, lasting, retryAfterMs = 0, raw } = troubles.findLast((trouble) => !OF_THE_KEY.includes(trouble.code)) ?? troubles.at(-1) ?? STOPPED
    const waitMs = everyKey && troubles.every((trouble) => trouble.lasting) ? undefined : waits.attempts[attempt - 1]
    if (waitMs === undefined && !aborted) return refused(sent, { ...providerError(code, detail), final: true }, raw)
    // What is said of a key now and then is trouble like any other; it is the operator's matter once it stays so.
    const passing = !OF_THE_KEY.includes(code) ? code : code === 'no_credits' && !lasting ? 'rate_limited' : 'unavailable'
    return refused(sent, providerError(passing, detail, Math.max((waitMs ?? 0) * scale, retryAfterMs)), raw)
  }

  async function readPictures(request: GenerationRequest): Promise<Picture[] | Refused> {
    const pictures: Picture[] = []
    try {
      for (const ref of optionsOf(request).images) {
        const picture = await readImage(ref)
        if (!picture) return refused(false, { ...providerError('invalid_request', 'a picture of the request is not there any more'), final: true })
        pictures.push(picture)
        if (sizeOf(pictures) > MOST_PICTURE_BYTES) return refused(false, { ...providerError('invalid_request', `the pictures of the request are larger than ${MOST_PICTURE_BYTES} bytes`), final: true })
      }
      return pictures
    } catch {
      return refused(false, providerError('transient', 'a picture of the request could not be read from our store'))
    }
  }

  return {
    descriptor,
    account: `google/${sha256Hex(`google account ${apiKeys.join(',')}`).slice(0, 16)}`,
    resultCount: () => 1,
    validate: (request) => validateRequest(request, models),

    async submit(request, { signal, attempt = 1 }) {
      /** What each key said last, the latest at the end. */
      const said = new Map<number, Trouble>()
      for (const { index, waitMs } of turns()) {
        if (said.get(index)?.lasting) continue
        if (!(await pause(waitMs, signal))) break
        const outcome = await ask(apiKeys[index]!, request, signal)
        if (outcome.kind === 'finished') refusedUntil[index] = 0
        if (outcome.kind !== 'trouble') return outcome
        if (OF_THE_KEY.includes(outcome.code)) refusedUntil[index] = now() + REFUSED_KEY_MS
        // What was sent with one key has been sent.
        const sent = outcome.sent || (said.get(index)?.sent ?? false)
        said.delete(index)
        said.set(index, { ...outcome, sent })
      }
      return surface([...said.values()], attempt, signal.aborted)
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

const STOPPED: Trouble = { kind: 'trouble', code: 'transient', detail: 'stopped by us before it was sent', sent: false, raw: null }

const sizeOf = (pictures: readonly Picture[]): number => pictures.reduce((sum, { bytes }) => sum + bytes.length, 0)

const refused = (sent: boolean, error: ProviderError, raw: unknown = null): Refused => ({ kind: 'refused', sent, error, raw })

/** False when it was cut short. */
async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  if (ms > 0) await wait(ms, undefined, { signal }).catch(() => undefined)
  return !signal.aborted
}
