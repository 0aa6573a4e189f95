import { randomInt } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Addresses } from '../addresses.ts'
import { breakPoll, breakSubmit, makesTask } from '../broken.ts'
import type { SimulatorClock } from '../clock.ts'
import { readTags, stripTags, type Fault, type FaultBook } from '../faults.ts'
import type { KnownSong } from '../files.ts'
import { parseJson, readText, sendJson } from '../http.ts'
import { writeLyrics } from '../lyrics.ts'
import { songLength, titleFrom, type SongOptions } from '../songs.ts'
import { taskBody } from './payload.ts'
import type { MurekaTask } from './task.ts'
import { failureOf, fileReadyAt, timelineOf, viewOf } from './timeline.ts'

/** What its billing tells. */
export interface MurekaAccount {
  /** Cents, as if nothing had ever been charged. */
  granted: number
  /** Tasks at once, from the submit to their end. */
  concurrent: number
}

interface Parts {
  options: SongOptions & { key: string }
  account: MurekaAccount
  clock: SimulatorClock
  speed: () => number
  faults: FaultBook
  /** Addresses as this asker reaches us. */
  addresses: (request: IncomingMessage) => Addresses
  /** Called before the answer, so that an accepted task is never forgotten. */
  record: (task: MurekaTask) => void
  later: (ms: number, action: () => void) => void
}

interface Wanted {
  kind: MurekaTask['kind']
  model: string
  prompt: string
  lyrics: string
  n: number
  stream: boolean
}

const CENTS_PER_SONG = 4
const LYRICS_LIMIT = 3000
const PROMPT_LIMIT = 1024

/** The fault codes mean the same for every provider; this one says them by HTTP status. 429 has two meanings. */
const REFUSALS: Record<number, [status: number, message: string]> = {
  400: [400, 'Invalid request'],
  401: [401, 'Invalid Authentication'],
  403: [403, 'Country, region, or territory not supported'],
  404: [404, 'Not found'],
  405: [429, 'Rate limit reached for requests: you are sending requests too quickly'],
  413: [400, 'lyrics is too long'],
  429: [429, 'You exceeded your current quota, please check your plan and billing details'],
  430: [429, 'Rate limit reached for requests: you are sending requests too quickly'],
  455: [503, 'The engine is currently overloaded, please try again later'],
  500: [500, 'The server had an error while processing your request'],
}

/** The official Mureka protocol: no callbacks, errors by HTTP status, at most so many tasks at once. */
export function createMurekaService(parts: Parts) {
  const { options, clock, faults, addresses } = parts
  const tasks = new Map<string, MurekaTask>()
  const songs = new Map<string, { task: MurekaTask; index: number }>()
  let account = parts.account

  const isOver = (task: MurekaTask) => clock.now() >= timelineOf(task).final
  const running = () => [...tasks.values()].filter((task) => !isOver(task)).length
  /** What failed is not charged. */
  const spent = () => {
    const charged = [...tasks.values()].filter((task) => !(failureOf(task) && isOver(task)))
    return CENTS_PER_SONG * charged.reduce((sum, task) => sum + task.songs.length, 0)
  }
  const balance = () => Math.max(0, account.granted - spent())

  const refuse = (response: ServerResponse, code: number, message?: string) => {
    const [status, usual] = REFUSALS[code] ?? REFUSALS[400]!
    sendJson(response, status, { error: { message: message ?? usual }, trace_id: String(randomInt(1e12)) })
  }
  const voice = () => ({ cut: '{"id":"14362', now: clock.now() })

  async function generate(request: IncomingMessage, response: ServerResponse, kind: MurekaTask['kind'], note: { taskId?: string }) {
    const wanted = readGenerate(parseJson(await readText(request)), kind)
    if (typeof wanted === 'string') return refuse(response, 400, wanted)
    if (balance() < CENTS_PER_SONG * wanted.n) return refuse(response, 429)
    if (running() >= account.concurrent) return refuse(response, 430)
    const text = [wanted.prompt, wanted.lyrics].join('\n')
    try {
      readTags(text)
    } catch (error) {
      return refuse(response, 400, (error as Error).message)
    }
    const fault = faults.collect(text, ['submit'])[0]
    const task = fault && !makesTask(fault) ? null : createTask(wanted, text)
    const told = task && taskBody(task, { status: 'preparing', reason: '', songs: [] }, task.createdAt, addresses(request))
    if (task) {
      note.taskId = task.id
      keep(task)
      parts.record(task)
    }
    const accept = () => sendJson(response, 200, { ...told, trace_id: String(randomInt(1e12)) })
    if (!fault) return accept()
    if (breakSubmit(response, fault, { ...voice(), accept, later: parts.later })) return
    if (fault.name === 'code-200-no-taskid') return sendJson(response, 200, { ...told, id: undefined })
    refuse(response, Number(fault.name.replace('code-', '')))
  }

  function createTask(wanted: Wanted, text: string): MurekaTask {
    const idea = stripTags(wanted.prompt.split('\n')[0]!)
    return {
      id: String(randomInt(1e12)),
      createdAt: clock.now(),
      speed: parts.speed(),
      faults: faults.collect(text, ['generation', 'poll', 'file']),
      text,
      kind: wanted.kind,
      model: wanted.model,
      title: titleFrom(idea),
      style: stripTags(wanted.prompt) || 'pop',
      lyrics: stripTags(wanted.lyrics),
      stream: wanted.stream,
      songs: Array.from({ length: wanted.n }, (_, index) => ({ id: String(randomInt(1e14)), durationSec: songLength(options, text, index) })),
    }
  }

  function keep(task: MurekaTask) {
    tasks.set(task.id, task)
    task.songs.forEach((song, index) => songs.set(song.id, { task, index }))
  }

  function query(request: IncomingMessage, response: ServerResponse, kind: string, id: string, note: { taskId?: string }) {
    const task = tasks.get(id)
    if (!task || task.kind !== kind) return refuse(response, 404, 'task not found')
    note.taskId = task.id
    const fault: Fault | null = faults.bite('poll', task)
    if (fault) return breakPoll(response, fault, voice()) || refuse(response, Number(fault.value ?? 500))
    sendJson(response, 200, taskBody(task, viewOf(task, clock.now()), clock.now(), addresses(request)))
  }

  async function lyrics(request: IncomingMessage, response: ServerResponse) {
    const body = parseJson(await readText(request)) as { prompt?: unknown } | null | undefined
    if (typeof body?.prompt !== 'string' || body.prompt.trim() === '') return refuse(response, 400, 'prompt is required')
    const idea = stripTags(body.prompt)
    sendJson(response, 200, { title: titleFrom(idea), lyrics: writeLyrics(idea) })
  }

  const known = (request: IncomingMessage) => {
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    return bearer !== undefined && (options.key === '*' || bearer === options.key)
  }

  return {
    /** False when the path is none of Mureka's. */
    async handle(request: IncomingMessage, response: ServerResponse, url: URL, note: { taskId?: string }): Promise<boolean> {
      const [, , room, action, id] = url.pathname.split('/')
      if (!url.pathname.startsWith('/v1/') || !['song', 'instrumental', 'lyrics', 'account'].includes(room ?? '')) return false
      const route = `${request.method} ${room}/${action}`
      if (!known(request)) refuse(response, 401)
      else if (route === 'POST song/generate') await generate(request, response, 'song', note)
      else if (route === 'POST instrumental/generate') await generate(request, response, 'instrumental', note)
      else if (route === 'POST lyrics/generate') await lyrics(request, response)
      else if ((route === 'GET song/query' || route === 'GET instrumental/query') && id) query(request, response, room!, id, note)
      else if (route === 'GET account/billing') {
        const totals = { total_recharge: account.granted, total_spending: spent() }
        sendJson(response, 200, { account_id: 4711, balance: balance(), ...totals, concurrent_request_limit: account.concurrent })
      } else refuse(response, 404)
      return true
    },
    song(id: string): KnownSong | null {
      const found = songs.get(id)
      return found ? { ...found, streamAt: timelineOf(found.task).stream, audioAt: fileReadyAt(found.task, found.index) } : null
    },
    task: (id: string) => tasks.get(id),
    tasks: () => [...tasks.values()].map((task) => ({ task, status: viewOf(task, clock.now()).status })),
    /** A task of before a restart. */
    restore: keep,
    /** Sets the balance or the limit; answers what is to be kept of it. */
    setAccount(given: { balance?: number; concurrent?: number }): MurekaAccount {
      account = { granted: given.balance === undefined ? account.granted : given.balance + spent(), concurrent: given.concurrent ?? account.concurrent }
      return account
    },
    restoreAccount(kept: MurekaAccount) {
      account = kept
    },
    clear() {
      tasks.clear()
      songs.clear()
      account = parts.account
    },
  }
}

/** Reads the body of a submit as strictly as the service does; a text says what is wrong. */
function readGenerate(body: unknown, kind: MurekaTask['kind']): Wanted | string {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return 'invalid JSON body'
  const { lyrics = '', model = 'auto', prompt = '', n = 2, stream = false } = body as Record<string, unknown>
  if (typeof lyrics !== 'string' || typeof model !== 'string' || typeof prompt !== 'string') return 'lyrics, model and prompt must be strings'
  if (kind === 'song' && lyrics.trim() === '') return 'lyrics is required'
  if (kind === 'instrumental' && prompt.trim() === '') return 'prompt or instrumental_id is required'
  if (lyrics.length > LYRICS_LIMIT) return `lyrics must not exceed ${LYRICS_LIMIT} characters`
  if (prompt.length > PROMPT_LIMIT) return `prompt must not exceed ${PROMPT_LIMIT} characters`
  if (model !== 'auto' && !model.startsWith('mureka-')) return 'model not found'
  if (typeof n !== 'number' || !Number.isInteger(n) || n < 1 || n > 3) return 'n must be between 1 and 3'
  return { kind, model, prompt, lyrics, n, stream: stream === true }
}
