import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { breakSubmit, makesTask } from '../broken.ts'
import type { SimulatorClock } from '../clock.ts'
import { findFault, readTags, stripTags, type Fault, type FaultBook } from '../faults.ts'
import { parseJson, readText, sendJson } from '../http.ts'
import { createDice } from '../random.ts'
import { drawPicture } from './picture.ts'
import { readRequest, type Asked } from './request.ts'

interface Parts {
  options: { key: string; seed: string; pictureSide: number; googleModels: string[] }
  clock: SimulatorClock
  speed: () => number
  faults: FaultBook
  later: (ms: number, action: () => void) => void
}

/** A picture that was made, whether or not anybody got it: what Google would charge for. */
export interface Made {
  id: string
  createdAt: number
  prompt: string
  sha256: string
  bytes: number
}

const ONE = /^\/v1beta\/models\/([\w.-]+?)(:generateContent)?$/
/** As much as Google takes with pictures inside. */
const MOST_BYTES = 20 * 1024 * 1024
const MOST_KEPT = 20_000

/** The fault codes mean the same for every provider; this one says them so. */
const REFUSALS: Record<number, [status: number, name: string, message: string]> = {
  400: [400, 'INVALID_ARGUMENT', 'Request contains an invalid argument.'],
  401: [401, 'UNAUTHENTICATED', 'Request had invalid authentication credentials.'],
  403: [403, 'PERMISSION_DENIED', 'The caller does not have permission'],
  404: [404, 'NOT_FOUND', 'models/x is not found for API version v1beta, or is not supported for generateContent.'],
  405: [429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted (e.g. check quota).'],
  413: [400, 'INVALID_ARGUMENT', 'Request payload size exceeds the limit: 20971520 bytes.'],
  429: [429, 'RESOURCE_EXHAUSTED', 'You exceeded your current quota, please check your plan and billing details.'],
  430: [429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted (e.g. check quota).'],
  455: [503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.'],
  500: [500, 'INTERNAL', 'An internal error has occurred. Please retry or report in https://developers.generativeai.google/guide/troubleshooting'],
  504: [504, 'DEADLINE_EXCEEDED', 'Deadline expired before operation could complete.'],
}

/** Google's picture models: `generateContent` answers with the picture itself. */
export function createGoogleService({ options, clock, speed, faults, later }: Parts) {
  let made = new Map<string, Made>()
  /** How often each prompt was drawn: the same words give another picture each time. */
  let drawn = new Map<string, number>()

  const say = (response: ServerResponse, status: number, name: string, message: string, details?: unknown[]) =>
    sendJson(response, status, { error: { code: status, message, status: name, ...(details && { details }) } })
  const refuse = (response: ServerResponse, code: number, wait?: string) => {
    const [status, name, message] = REFUSALS[code] ?? REFUSALS[400]!
    const retry = wait && status === 429 ? [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${wait}s` }] : undefined
    say(response, status, name, message, retry)
  }

  async function generate(request: IncomingMessage, response: ServerResponse, model: string, note: { taskId?: string }) {
    let text: string
    try {
      text = await readText(request, MOST_BYTES)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return refuse(response, 413)
    }
    const asked = readRequest(parseJson(text))
    if (typeof asked === 'string') return say(response, 400, 'INVALID_ARGUMENT', asked)
    let found: Fault[]
    try {
      readTags(asked.prompt)
      found = faults.collect(asked.prompt, ['submit', 'generation'])
    } catch (error) {
      return say(response, 400, 'INVALID_ARGUMENT', (error as Error).message)
    }
    if (findFault(found, 'model-gone') || !options.googleModels.includes(model)) return refuse(response, 404)
    const fault = found.find(({ name }) => /^(submit|code|http|html|malformed)-/.test(name) && name !== 'code-200-no-taskid')
    const id = randomBytes(12).toString('base64url')
    let answer: unknown
    if (!fault || makesTask(fault)) {
      try {
        answer = await compose(asked, model, found, id)
      } catch {
        return say(response, 400, 'INVALID_ARGUMENT', 'Unable to process input image. Please retry or report in https://developers.generativeai.google/guide/troubleshooting')
      }
      if (made.has(id)) note.taskId = id
    }
    const accept = () => later(waitMs(asked), () => sendJson(response, 200, answer))
    if (!fault) return accept()
    if (breakSubmit(response, fault, { cut: '{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"iVBORw0', now: clock.now(), accept, later })) return
    refuse(response, Number(fault.name.replace('code-', '')), fault.value)
  }

  /** The good answer, or one of those that come with HTTP 200 and hold no picture. */
  async function compose(asked: Asked, model: string, found: Fault[], id: string): Promise<unknown> {
    const tail = { usageMetadata: { promptTokenCount: 12, totalTokenCount: 1302 }, modelVersion: model, responseId: id }
    const blocked = findFault(found, 'blocked')
    if (blocked) return { promptFeedback: { blockReason: blocked.value ?? 'PROHIBITED_CONTENT' }, ...tail }
    const ended = (finishReason: string, parts: unknown[]) => ({ candidates: [{ content: { role: 'model', parts }, finishReason, index: 0, safetyRatings: [] }], promptFeedback: null, ...tail })
    const finish = findFault(found, 'finish-reason')
    if (finish) return ended(finish.value ?? 'IMAGE_SAFETY', [])
    if (findFault(found, 'sensitive')) return ended('SAFETY', [])
    if (findFault(found, 'no-image')) return ended('STOP', [{ text: 'I can describe such a picture for you instead.' }])
    if (findFault(found, 'bad-picture')) return ended('STOP', [{ inlineData: { mimeType: 'image/png', data: Buffer.from('<html>sorry</html>').toString('base64') } }])

    const prompt = stripTags(asked.prompt)
    const nth = drawn.get(prompt) ?? 0
    drawn.set(prompt, nth + 1)
    const format = model.includes('pro') ? ('jpeg' as const) : ('png' as const)
    const bytes = await drawPicture({ ...asked, seed: `${options.seed}|${prompt}|${nth}`, subject: prompt.split('\n')[0]!, format, side: options.pictureSide })
    made.set(id, { id, createdAt: clock.now(), prompt: prompt.split('\n')[0]!, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length })
    if (made.size > MOST_KEPT) made.delete(made.keys().next().value!)
    return ended('STOP', [{ text: 'Here is your picture.' }, { inlineData: { mimeType: `image/${format}`, data: bytes.toString('base64') } }])
  }

  /** 8 to 20 seconds, as the real ones take; the same for the same prompt. */
  const waitMs = ({ prompt }: Asked) => (speed() === 0 ? 0 : createDice(`wait|${options.seed}|${prompt}`).between(8_000, 20_000) / speed())

  /** In the header only: keys in addresses, which Google takes too, end in logs. */
  const known = (request: IncomingMessage) => {
    const key = request.headers['x-goog-api-key']
    // Several keys of one account are told apart by what follows: `demo`, `demo-2`.
    return typeof key === 'string' && (options.key === '*' || key === options.key || key.startsWith(`${options.key}-`))
  }

  return {
    /** False when the path is none of Google's. */
    async handle(request: IncomingMessage, response: ServerResponse, { pathname }: URL, note: { taskId?: string }): Promise<boolean> {
      const [, model, generating] = ONE.exec(pathname) ?? []
      if (!model) return false
      if (!known(request)) {
        say(response, 400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.', [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID', domain: 'googleapis.com' }])
      } else if (request.method === 'POST' && generating) await generate(request, response, model, note)
      else if (request.method === 'GET' && !generating && options.googleModels.includes(model)) {
        sendJson(response, 200, { name: `models/${model}`, version: '001', displayName: model, supportedGenerationMethods: ['generateContent'] })
      } else refuse(response, 404)
      return true
    },
    picture: (id: string) => made.get(id),
    pictures: () => [...made.values()],
    clear() {
      made = new Map()
      drawn = new Map()
    },
  }
}
