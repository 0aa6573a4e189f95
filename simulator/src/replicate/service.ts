import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Addresses } from '../addresses.ts'
import type { Agenda } from '../agenda.ts'
import { breakPoll, breakSubmit, makesTask } from '../broken.ts'
import type { SimulatorClock } from '../clock.ts'
import { readTags, stripTags, type Fault, type FaultBook } from '../faults.ts'
import type { KnownSong } from '../files.ts'
import { parseJson, readText, sendJson } from '../http.ts'
import { fileSeconds } from '../music/length.ts'
import type { Poster } from '../post.ts'
import { createRateLimit, type Rate } from '../rate.ts'
import { songLength, titleFrom, type SongOptions } from '../songs.ts'
import { fileTimes, has, momentsOf, predictionBody, statusAt, type Prediction } from './prediction.ts'
import { createWebhooks, type HandWebhook, type WebhookDelivery } from './webhooks.ts'

/** What survives a restart; exactly one of these. */
export type ReplicateEvent = { made: Prediction } | { canceled: { id: string; at: number } } | { webhook: WebhookDelivery }

interface Parts {
  options: SongOptions & { key: string; replicateRate: Rate; replicateRetentionMs: number; callbackTimeoutMs: number }
  clock: SimulatorClock
  agenda: Agenda
  poster: Poster
  speed: () => number
  faults: FaultBook
  /** Addresses as this asker reaches us. */
  addresses: (request: IncomingMessage) => Addresses
  /** The same for the last asker, for what nobody asked for. */
  lastAddresses: () => Addresses
  retryMs: (task: { speed: number }) => number[]
  /** Called before the answer, so that an accepted prediction is never forgotten. */
  record: (event: ReplicateEvent) => void
  later: (ms: number, action: () => void) => void
}

interface Wanted {
  model: string
  version: string
  input: Record<string, unknown>
  webhook: string | null
  events: string[]
}

const OFFICIAL = /^\/v1\/models\/([\w.-]+\/[\w.-]+)\/predictions$/
const ONE = /^\/v1\/predictions\/([a-z0-9]+)(\/cancel)?$/

/** The fault codes mean the same for every provider; this one says them by HTTP status. */
const REFUSALS: Record<number, [status: number, title: string, detail: string]> = {
  400: [422, 'Input validation failed', '- input: prompt is required\n'],
  401: [401, 'Unauthenticated', 'You did not pass a valid authentication token'],
  403: [403, 'Forbidden', 'You do not have permission to perform this action.'],
  404: [404, '', 'The requested resource could not be found.'],
  405: [429, '', 'Request was throttled. Your rate limit resets in ~30s.'],
  413: [422, 'Input validation failed', '- input.prompt: String length must be less than or equal to 2000\n'],
  429: [402, 'Insufficient credit', 'You have insufficient credit to run this model. Go to https://replicate.com/account/billing to purchase credit.'],
  430: [429, '', 'Request was throttled. Your rate limit resets in ~1s.'],
  455: [503, '', 'Service temporarily unavailable'],
  500: [500, '', 'Internal server error'],
}

/** Replicate's protocol: predictions of any model, signed webhooks, cancelling, files that are removed after an hour. */
export function createReplicateService(parts: Parts) {
  const { options, clock, faults } = parts
  const retentionMs = options.replicateRetentionMs
  const secret = `whsec_${createHash('sha256').update(`webhook secret|${options.seed}`).digest('base64')}`
  const rate = createRateLimit(options.replicateRate)
  const tasks = new Map<string, Prediction>()
  const songs = new Map<string, Prediction>()

  const webhooks = createWebhooks({
    ...parts, secret, timeoutMs: options.callbackTimeoutMs,
    body: (task) => predictionBody(task, clock.now(), retentionMs, parts.lastAddresses()),
    decoyUrl: () => `${parts.lastAddresses().base}/files/decoy.mp3`,
    record: (webhook) => parts.record({ webhook }),
  })

  const refuse = (response: ServerResponse, code: number, detail?: string) => {
    const [status, title, usual] = REFUSALS[code] ?? REFUSALS[400]!
    sendJson(response, status, { ...(title && { title }), detail: detail ?? usual, status })
  }
  const voice = () => ({ cut: '{"id":"gm3qorzdhgb', now: clock.now() })
  const tell = (request: IncomingMessage, task: Prediction, now = clock.now()) => predictionBody(task, now, retentionMs, parts.addresses(request))

  async function create(request: IncomingMessage, response: ServerResponse, official: string | null, note: { taskId?: string }) {
    const body = parseJson(await readText(request))
    if (!rate.allow(request.headers.authorization ?? '', clock.now())) return refuse(response, 405)
    const wanted = readCreate(body, official)
    if (typeof wanted === 'string') return refuse(response, 400, wanted)
    const text = [wanted.input.prompt, wanted.input.lyrics].filter((part) => typeof part === 'string').join('\n')
    try {
      readTags(text)
    } catch (error) {
      return refuse(response, 400, (error as Error).message)
    }
    const fault = faults.collect(text, ['submit'])[0]
    const task = fault && !makesTask(fault) ? null : createTask(wanted, text)
    if (task) {
      note.taskId = task.id
      keep(task)
      parts.record({ made: task })
      const told = tell(request, task, task.createdAt)
      if (has(task, 'callback-early')) await webhooks.sendEarly(task)
      webhooks.resume(task)
      const accept = () => sendJson(response, 201, { ...told, status: 'starting', output: null })
      if (!fault) return accept()
      if (breakSubmit(response, fault, { ...voice(), accept, later: parts.later })) return
      if (fault.name === 'code-200-no-taskid') return sendJson(response, 201, { ...told, id: undefined })
    }
    if (breakSubmit(response, fault!, { ...voice(), accept: () => {}, later: parts.later })) return
    const code = Number(fault!.name.replace('code-', ''))
    const wait = fault!.value && REFUSALS[code]?.[0] === 429
    refuse(response, code, wait ? `Request was throttled. Your rate limit resets in ~${fault!.value}s.` : undefined)
  }

  function createTask(wanted: Wanted, text: string): Prediction {
    const idea = stripTags(String(wanted.input.prompt).split('\n')[0]!)
    const taskFaults = faults.collect(text, ['generation', 'callback', 'poll', 'file'])
    const wav = [wanted.input.audio_format, wanted.input.output_format].includes('wav') || taskFaults.some(({ name }) => name === 'output-wav')
    const { duration } = wanted.input
    const durationSec = typeof duration === 'number' ? fileSeconds(duration) : songLength(options, text, 0)
    return {
      id: predictionId(), createdAt: clock.now(), speed: parts.speed(), faults: taskFaults, text, title: titleFrom(idea), style: idea || 'pop',
      songs: [{ id: randomUUID(), durationSec }], ...(wav && { format: 'wav' as const }), ...wanted,
    }
  }

  function keep(task: Prediction) {
    tasks.set(task.id, task)
    songs.set(task.songs[0]!.id, task)
  }

  function one(request: IncomingMessage, response: ServerResponse, id: string, cancel: boolean, note: { taskId?: string }) {
    const task = tasks.get(id)
    if (!task) return refuse(response, 404)
    note.taskId = task.id
    if (cancel) {
      if (clock.now() < momentsOf(task).ended) {
        task.canceledAt = clock.now()
        parts.record({ canceled: { id, at: task.canceledAt } })
        webhooks.resume(task)
      }
      return sendJson(response, 200, tell(request, task))
    }
    const fault: Fault | null = faults.bite('poll', task)
    if (fault) return breakPoll(response, fault, voice()) || refuse(response, Number(fault.value ?? 500))
    sendJson(response, 200, tell(request, task))
  }

  const known = (request: IncomingMessage) => {
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    return bearer !== undefined && (options.key === '*' || bearer === options.key)
  }

  return {
    /** False when the path is none of Replicate's. */
    async handle(request: IncomingMessage, response: ServerResponse, { pathname }: URL, note: { taskId?: string }): Promise<boolean> {
      if (!/^\/v1\/(predictions|models|webhooks)(\/|$)/.test(pathname)) return false
      const official = OFFICIAL.exec(pathname)
      const [, id, cancel] = ONE.exec(pathname) ?? []
      if (!known(request)) refuse(response, 401)
      else if (request.method === 'POST' && (official || pathname === '/v1/predictions')) await create(request, response, official?.[1] ?? null, note)
      else if (id && request.method === (cancel ? 'POST' : 'GET')) one(request, response, id, cancel !== undefined, note)
      else if (pathname === '/v1/webhooks/default/secret' && request.method === 'GET') sendJson(response, 200, { key: secret })
      else refuse(response, 404)
      return true
    },
    song(id: string): KnownSong | null {
      const task = songs.get(id)
      if (!task) return null
      const { from, until } = fileTimes(task, retentionMs)
      return { task, index: 0, streamAt: Infinity, audioAt: from, goneAt: until }
    },
    task: (id: string) => tasks.get(id),
    tasks: () => [...tasks.values()].map((task) => ({ task, status: statusAt(task, clock.now()), sent: webhooks.deliveries(task.id) })),
    async sendWebhook(hand: HandWebhook): Promise<WebhookDelivery[] | null> {
      const task = tasks.get(hand.taskId)
      return task?.webhook ? webhooks.byHand(task, hand) : null
    },
    /** What was kept, of before a restart. */
    restore(event: ReplicateEvent) {
      if ('made' in event) keep(event.made)
      else if ('canceled' in event) Object.assign(tasks.get(event.canceled.id) ?? {}, { canceledAt: event.canceled.at })
      else webhooks.restore(event.webhook)
    },
    /** Goes on with what a restart interrupted. */
    resume() {
      for (const task of tasks.values()) webhooks.resume(task)
    },
    clear() {
      tasks.clear()
      songs.clear()
      webhooks.clear()
      rate.set(options.replicateRate)
    },
    close: () => webhooks.close(),
  }
}

/** Reads the body of a create as strictly as the service does; a text says what is wrong. */
function readCreate(body: unknown, official: string | null): Wanted | string {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return '- body: Invalid JSON\n'
  const { version, input, webhook = null, webhook_events_filter: events = ['start', 'output', 'logs', 'completed'] } = body as Record<string, unknown>
  if (!official && (typeof version !== 'string' || !/^([\w.-]+\/[\w.-]+:)?[0-9a-f]{64}$/.test(version))) return '- version: Invalid version\n'
  if (official && version !== undefined) return '- version: not allowed for an official model\n'
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return '- input is required\n'
  const { prompt } = input as Record<string, unknown>
  if (typeof prompt !== 'string' || prompt.trim() === '') return '- input: prompt is required\n'
  if (webhook !== null && !(typeof webhook === 'string' && URL.canParse(webhook) && /^https?:$/.test(new URL(webhook).protocol))) return '- webhook: Does not match format "uri"\n'
  if (!Array.isArray(events) || events.some((event) => !['start', 'output', 'logs', 'completed'].includes(event))) return '- webhook_events_filter: must be start, output, logs or completed\n'
  return {
    model: official ?? (version as string).split(':').slice(0, -1)[0] ?? 'community/model', version: official ? 'hidden' : (version as string).slice(-64),
    input: input as Record<string, unknown>, webhook, events: events as string[],
  }
}

const LETTERS = 'abcdefghjkmnpqrstvwxyz0123456789'
const predictionId = () => [...randomBytes(26)].map((byte) => LETTERS[byte % 32]).join('')
