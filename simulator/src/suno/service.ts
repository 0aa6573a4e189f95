import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Addresses } from '../addresses.ts'
import { breakPoll, breakSubmit, makesTask } from '../broken.ts'
import type { SimulatorClock } from '../clock.ts'
import { readTags, stripTags, type Fault, type FaultBook } from '../faults.ts'
import type { KnownSong } from '../files.ts'
import { parseJson, readText, sendJson } from '../http.ts'
import { writeLyrics } from '../lyrics.ts'
import type { RateLimit } from '../rate.ts'
import { songLength, titleFrom, type SongOptions } from '../songs.ts'
import type { Callbacks } from './callbacks.ts'
import { recordInfo } from './payload.ts'
import { isRefusal, readGenerate, type GenerateRequest } from './request.ts'
import type { SunoTask } from './task.ts'
import { CREDITS_PER_TASK, type Tasks } from './tasks.ts'
import { fileReadyAt, has, timelineOf, viewOf } from './timeline.ts'

export interface SunoOptions extends SongOptions {
  /** The accepted bearer; `*` accepts any. */
  key: string
}

export interface SunoParts {
  options: SunoOptions
  clock: SimulatorClock
  speed: () => number
  faults: FaultBook
  rate: RateLimit
  tasks: Tasks
  callbacks: Callbacks
  /** Addresses as this asker reaches us. */
  addresses: (request: IncomingMessage) => Addresses
  /** Called before the answer, so that an accepted task is never forgotten. */
  record: (task: SunoTask) => void
  later: (ms: number, action: () => void) => void
}

/** What the log is told about a request besides its path. */
export interface Note {
  taskId?: string
  /** `code` of the body. */
  code?: number
}

const messages: Record<number, string> = {
  200: 'success',
  400: 'Invalid parameters',
  401: 'You do not have access permissions',
  404: 'Invalid request method or path',
  405: 'Rate limit exceeded',
  409: 'Record already exists',
  413: 'The theme or prompt is too long',
  429: 'The current credits are insufficient. Please top up.',
  430: 'Your call frequency is too high. Please try again later.',
  455: 'The system is under maintenance. Please try again later.',
  500: 'Server exception, please try again later.',
}

/** The sunoapi.org protocol: business refusals are HTTP 200 with another `code` in the body. */
export function createSunoService(parts: SunoParts) {
  const { options, clock, faults, rate, tasks, callbacks, addresses } = parts

  const answer = (
    response: ServerResponse,
    note: Note,
    code: number,
    data: unknown = null,
    msg = messages[code] ?? '',
  ) => {
    note.code = code
    sendJson(response, 200, { code, msg, data })
  }

  async function generate(request: IncomingMessage, response: ServerResponse, note: Note) {
    const body = parseJson(await readText(request))
    if (!rate.allow(fingerprint(request), clock.now())) return answer(response, note, 405)
    const wanted = readGenerate(body)
    if (isRefusal(wanted)) return answer(response, note, wanted.code, null, wanted.msg)
    if (tasks.credits(clock.now()) < CREDITS_PER_TASK) return answer(response, note, 429)
    const text = [wanted.prompt, wanted.style, wanted.title].join('\n')
    try {
      readTags(text)
    } catch (error) {
      return answer(response, note, 400, null, (error as Error).message)
    }
    const fault = faults.collect(text, ['submit'])[0]
    const makesNone = fault && !makesTask(fault)
    if (makesNone) return refuse(response, note, fault)

    const task = createTask(wanted, text, JSON.stringify(body))
    note.taskId = task.id
    tasks.add(task)
    parts.record(task)
    if (has(task, 'callback-early')) await callbacks.sendEarly(task)
    else callbacks.resume(task)
    if (fault) return refuse(response, note, fault, task)
    answer(response, note, 200, { taskId: task.id })
  }

  const voice = () => ({ cut: '{"code":200,"msg":"success","data":{"taskId":"5c7', now: clock.now() })

  /** Answers a submit the way the fault says. */
  function refuse(response: ServerResponse, note: Note, fault: Fault, task?: SunoTask) {
    const accept = () => answer(response, note, 200, { taskId: task?.id })
    if (breakSubmit(response, fault, { ...voice(), accept, later: parts.later })) return
    if (fault.name === 'code-200-no-taskid') return answer(response, note, 200, {})
    answer(response, note, Number(fault.name.replace('code-', '')))
  }

  function createTask(wanted: GenerateRequest, text: string, param: string): SunoTask {
    const idea = stripTags(wanted.prompt)
    const lyrics = wanted.instrumental ? '[Instrumental]' : wanted.customMode ? idea : writeLyrics(idea)
    return {
      id: randomUUID().replaceAll('-', ''),
      createdAt: clock.now(),
      speed: parts.speed(),
      faults: faults.collect(text, ['generation', 'callback', 'poll', 'file', 'cover']),
      text,
      param,
      callBackUrl: wanted.callBackUrl,
      model: wanted.model,
      title: stripTags(wanted.title) || titleFrom(idea),
      style: stripTags(wanted.style) || 'pop',
      lyrics,
      instrumental: wanted.instrumental,
      songs: [0, 1].map((index) => ({ id: randomUUID(), durationSec: songLength(options, text, index) })),
    }
  }

  function info(request: IncomingMessage, response: ServerResponse, note: Note, taskId: string) {
    if (taskId === '') return answer(response, note, 400, null, 'taskId cannot be null')
    const task = tasks.get(taskId)
    if (!task) return answer(response, note, 200, null)
    note.taskId = task.id
    const fault = faults.bite('poll', task)
    if (fault) return breakPoll(response, fault, voice()) || answer(response, note, Number(fault.value ?? 500))
    const view = viewOf(task, clock.now(), callbacks.gaveUp(task))
    answer(response, note, 200, recordInfo(task, view, addresses(request)))
  }

  const fingerprint = (request: IncomingMessage) =>
    createHash('sha256')
      .update(request.headers.authorization ?? '')
      .digest('base64')
  const known = (request: IncomingMessage) => {
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    return bearer !== undefined && (options.key === '*' || bearer === options.key)
  }

  return {
    /** False when the path is none of Suno's. */
    async handle(request: IncomingMessage, response: ServerResponse, url: URL, note: Note): Promise<boolean> {
      const path = url.pathname
      if (!path.startsWith('/api/v1/')) return false
      const route = `${request.method} ${path.slice('/api/v1'.length)}`
      if (!known(request)) answer(response, note, 401)
      else if (route === 'POST /generate') await generate(request, response, note)
      else if (route === 'GET /generate/record-info')
        info(request, response, note, url.searchParams.get('taskId') ?? '')
      else if (route === 'GET /generate/credit') answer(response, note, 200, tasks.credits(clock.now()))
      else answer(response, note, 404)
      return true
    },
    song(id: string): KnownSong | null {
      const found = tasks.song(id)
      return found ? { ...found, streamAt: timelineOf(found.task).stream, audioAt: fileReadyAt(found.task, found.index) } : null
    },
  }
}
