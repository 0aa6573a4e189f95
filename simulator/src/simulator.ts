import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createAgenda } from './agenda.ts'
import { createClock } from './clock.ts'
import { handleControl, readRule, type LogEntry, type SimulatorControl, type TaskReport } from './control.ts'
import { createFaultBook, stripTags, type FaultState } from './faults.ts'
import { createFileService } from './files.ts'
import { createGoogleService } from './google/service.ts'
import { sendJson } from './http.ts'
import { openJournal } from './journal.ts'
import { createFileMemory } from './memory.ts'
import { createMurekaService, type MurekaAccount } from './mureka/service.ts'
import type { MurekaTask } from './mureka/task.ts'
import { createStudio } from './music/studio.ts'
import { createPoster } from './post.ts'
import { createRateLimit, type Rate } from './rate.ts'
import { createReplicateService, type ReplicateEvent } from './replicate/service.ts'
import type { WebhookDelivery } from './replicate/webhooks.ts'
import { createSongFiles, type SongTask } from './songs.ts'
import { createCallbacks, type Delivery } from './suno/callbacks.ts'
import { createSunoService, type Note } from './suno/service.ts'
import type { SunoTask } from './suno/task.ts'
import { createTasks } from './suno/tasks.ts'
import { viewOf } from './suno/timeline.ts'

export interface SimulatorOptions {
  host: string
  /** 0 = the port of the last start if it is free, else any. */
  port: number
  /** Folder for what must survive a restart; null = nothing is kept. */
  data: string | null
  /** Times faster than the real service; 0 = no delays. */
  speed: number
  seed: string
  /** The accepted bearer; `*` accepts any. */
  key: string
  songSeconds: readonly [number, number]
  /** How many different songs exist; 0 = one for each prompt and variant. */
  songPool: number
  rate: Rate
  credits: number
  /** Cents on Mureka's account at the start, and how many tasks it runs at once. */
  murekaBalance: number
  murekaConcurrent: number
  /** Predictions that Replicate takes, and how long after their end it keeps them. */
  replicateRate: Rate
  replicateRetentionMs: number
  /** Side of a square 1K picture in pixels; Google's have 1024. */
  pictureSide: number
  /** Models that Google serves. */
  googleModels: string[]
  /** Waits between the three tries of a callback, ms; null = 10 s and 30 s, divided by the speed. */
  callbackRetryMs: number[] | null
  callbackTimeoutMs: number
  retentionMs: number
  /** Whether files may be read by scripts of other origins. */
  cors: boolean
  dnsHost: string
  memoryBytes: number
}

export const defaults: SimulatorOptions = {
  host: '127.0.0.1',
  port: 0,
  data: null,
  speed: 1,
  seed: 'reprise',
  key: 'demo',
  songSeconds: [30, 60],
  songPool: 0,
  rate: { count: 20, windowMs: 10_000 },
  credits: 10_000_000,
  murekaBalance: 10_000_000,
  murekaConcurrent: 10,
  replicateRate: { count: 600, windowMs: 60_000 },
  replicateRetentionMs: 3_600_000,
  pictureSide: 1024,
  googleModels: ['gemini-3.1-flash-image', 'gemini-3-pro-image'],
  callbackRetryMs: null,
  callbackTimeoutMs: 15_000,
  retentionMs: 15 * 86_400_000,
  cors: false,
  dnsHost: 'localhost',
  memoryBytes: 192 * 1024 * 1024,
}

export interface Simulator {
  /** `http://host:port`, to be used as the provider's base address. */
  url: string
  control: SimulatorControl
  /** Stops at once; open requests are cut. What was accepted is kept when there is a data folder. */
  close(): Promise<void>
}

/** One line of the journal: exactly one of these. */
type Event =
  | { task: SunoTask }
  | { sent: Delivery }
  | { mureka: MurekaTask }
  | { murekaAccount: MurekaAccount }
  | { replicate: ReplicateEvent }
  | { faults: FaultState }
  | { clockShift: number }
  | { speed: number }
  | { granted: number }
  | { rate: Rate }

const LOG_LENGTH = 20_000

/** Starts a provider in this process. Each option has a default (`defaults`). */
export async function createSimulator(given: Partial<SimulatorOptions> = {}): Promise<Simulator> {
  const options = { ...defaults, ...given }
  const clock = createClock()
  const agenda = createAgenda(clock)
  const rate = createRateLimit(options.rate)
  const tasks = createTasks(options.credits)
  const studio = createStudio()
  const files = createSongFiles(options, createFileMemory(options.memoryBytes), studio)
  const faults = createFaultBook((state) => journal.append({ faults: state }))
  let speed = options.speed
  let log: LogEntry[] = []
  let ownUrl = ''
  /** How the last asker reached us: behind a container's port our own address would mean nothing outside. */
  let base = ''

  const addressesFor = (origin: string) => ({ base: origin, dnsHost: options.dnsHost })
  const addressesOf = (request: IncomingMessage) => {
    base = originOf(request, ownUrl)
    return addressesFor(base)
  }
  const later = (ms: number, action: () => void) => agenda.at(clock.now() + ms, action)

  const retryMs = (task: { speed: number }) =>
    options.callbackRetryMs ?? [10_000, 30_000].map((ms) => Math.max(100, task.speed === 0 ? 0 : ms / task.speed))

  const callbacks = createCallbacks({
    agenda,
    clock,
    poster: createPoster(),
    addresses: () => addressesFor(base),
    timeoutMs: options.callbackTimeoutMs,
    retryMs,
    record: (delivery) => journal.append({ sent: delivery }),
  })

  const mureka = createMurekaService({
    options,
    account: { granted: options.murekaBalance, concurrent: options.murekaConcurrent },
    clock,
    speed: () => speed,
    faults,
    addresses: addressesOf,
    record: (task) => journal.append({ mureka: task }),
    later,
  })

  const replicate = createReplicateService({
    options,
    clock,
    agenda,
    poster: createPoster(),
    speed: () => speed,
    faults,
    addresses: addressesOf,
    lastAddresses: () => addressesFor(base),
    retryMs,
    record: (event) => journal.append({ replicate: event }),
    later,
  })

  const google = createGoogleService({ options, clock, speed: () => speed, faults, later })

  const journal = openJournal<Event>(options.data && join(options.data, 'journal.jsonl'), (event) => {
    if ('task' in event) tasks.add(event.task)
    else if ('sent' in event) callbacks.restore(event.sent)
    else if ('mureka' in event) mureka.restore(event.mureka)
    else if ('murekaAccount' in event) mureka.restoreAccount(event.murekaAccount)
    else if ('replicate' in event) replicate.restore(event.replicate)
    else if ('faults' in event) faults.restore(event.faults)
    else if ('clockShift' in event) clock.restore(event.clockShift)
    else if ('speed' in event) speed = event.speed
    else if ('granted' in event) tasks.restoreGrant(event.granted)
    else if ('rate' in event) rate.set(event.rate)
  })

  const service = createSunoService({
    options,
    clock,
    speed: () => speed,
    faults,
    rate,
    tasks,
    callbacks,
    addresses: addressesOf,
    record: (task) => journal.append({ task }),
    later,
  })

  const served = createFileService({ clock, faults, files, retentionMs: options.retentionMs, find: (id) => service.song(id) ?? mureka.song(id) ?? replicate.song(id) })

  const control: SimulatorControl = {
    addFault: (rule) => faults.add(readRule(rule)),
    clearFaults: () => faults.clear(),
    faults: () => faults.rules(),
    setSpeed(value) {
      speed = value
      journal.append({ speed })
    },
    setCredits: (balance) => journal.append({ granted: tasks.setCredits(balance, clock.now()) }),
    credits: () => tasks.credits(clock.now()),
    setMureka: (account) => journal.append({ murekaAccount: mureka.setAccount(account) }),
    advance(ms) {
      clock.advance(ms)
      journal.append({ clockShift: clock.shift() })
    },
    now: () => clock.now(),
    setRate(value) {
      rate.set(value)
      journal.append({ rate: value })
    },
    reset() {
      agenda.clear()
      tasks.clear(options.credits)
      callbacks.clear()
      mureka.clear()
      replicate.clear()
      google.clear()
      faults.restore({ rules: [], used: {} })
      rate.set(options.rate)
      clock.restore(0)
      speed = options.speed
      log = []
      journal.clear()
    },
    log: () => [...log],
    tasks: () => [
      ...tasks.all().map((task) =>
        report('suno', task, viewOf(task, clock.now(), callbacks.gaveUp(task)).status, callbacks.deliveries(task.id)),
      ),
      ...mureka.tasks().map(({ task, status }) => report('mureka', task, status)),
      ...replicate.tasks().map(({ task, status, sent }) => report('replicate', task, status, sent)),
      ...google.pictures().map(({ id, createdAt, prompt }) => ({ provider: 'google', taskId: id, createdAt, prompt, status: 'made', songs: [], callbacks: [] })),
    ],
    async file(taskId, index) {
      const picture = google.picture(taskId)
      if (picture) return { sha256: picture.sha256, bytes: picture.bytes, url: '' }
      const task = tasks.get(taskId) ?? mureka.task(taskId) ?? replicate.task(taskId)
      const song = task?.songs[index]
      if (!task || !song) return null
      const bytes = await files.audio(task, index)
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      return { sha256, bytes: bytes.length, url: ownUrl + audioPath(task, song.id) }
    },
    async sendCallback({ taskId, type, token, body, times = 1 }) {
      const task = tasks.get(taskId)
      if (!task) return null
      if (!['text', 'first', 'complete', 'error'].includes(type)) throw new RangeError(`unknown callback type: ${type}`)
      const sent: Delivery[] = []
      for (let i = 0; i < times; i++) sent.push(await callbacks.byHand(task, { type, token, body }))
      return sent
    },
    sendWebhook: (webhook) => replicate.sendWebhook(webhook),
  }

  async function handleFirst(request: IncomingMessage, response: ServerResponse, url: URL, note: Note) {
    for (const one of [served, service, mureka, replicate, google]) if (await one.handle(request, response, url, note)) return
    sendJson(response, 404, { error: 'this is a simulator of media providers; see its README' })
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://simulator')
    const note: Note = {}
    // Clients that hang up, and faults that write to them, are everyday here.
    response.on('error', () => {})
    const isControl = url.pathname.startsWith('/control/')
    if (!isControl) {
      const entry: LogEntry = {
        at: clock.now(),
        method: request.method ?? '',
        path: url.pathname,
        taskId: null,
        status: null,
        code: null,
      }
      log.push(entry)
      if (log.length > 2 * LOG_LENGTH) log = log.slice(-LOG_LENGTH)
      response.on('close', () => {
        entry.taskId = note.taskId ?? null
        entry.code = note.code ?? null
        if (response.headersSent) entry.status = response.statusCode
      })
    }
    if (options.cors) {
      response.setHeader('access-control-allow-origin', '*')
      response.setHeader('access-control-expose-headers', 'content-length, content-range, accept-ranges')
    }
    const answering = isControl
      ? handleControl(control, request, response, url.pathname)
      : handleFirst(request, response, url, note)
    answering.catch((error: unknown) => {
      // A client that went away in mid-request is no failure of ours.
      if (request.destroyed && !request.complete) return
      if (!response.headersSent) sendJson(response, 500, { error: error instanceof Error ? error.message : 'failed' })
      else response.destroy()
    })
  })
  server.keepAliveTimeout = 65_000

  const port = await listen(server, options)
  ownUrl = base = `http://${hostPart(options.host)}:${port}`
  if (options.data) writeFileSync(join(options.data, 'url'), ownUrl)
  for (const task of tasks.all()) callbacks.resume(task)
  replicate.resume()

  return {
    url: ownUrl,
    control,
    async close() {
      agenda.clear()
      callbacks.close()
      replicate.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await studio.close()
      journal.close()
    },
  }
}

function report(provider: string, task: SongTask, status: string, sent: readonly (Delivery | WebhookDelivery)[] = []): TaskReport {
  return {
    provider,
    taskId: task.id,
    createdAt: task.createdAt,
    prompt: stripTags(task.text.split('\n')[0] ?? ''),
    status,
    songs: task.songs.map((song) => ({ ...song, audioPath: audioPath(task, song.id) })),
    callbacks: [...sent],
  }
}

const audioPath = (task: SongTask, songId: string) => `/files/audio/${songId}.${task.format ?? 'mp3'}`

function originOf(request: IncomingMessage, ownUrl: string): string {
  const host = request.headers.host
  return host && URL.canParse(`http://${host}`) ? `http://${host}` : ownUrl
}

/** 0.0.0.0 can be listened on, not called. */
const hostPart = (host: string) =>
  host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host

async function listen(server: Server, { host, port, data }: SimulatorOptions): Promise<number> {
  if (data) mkdirSync(data, { recursive: true })
  const wanted = port || (data ? lastPort(data) : 0)
  try {
    return await listenOn(server, host, wanted)
  } catch (error) {
    // A port that was asked for is not silently another one; a remembered one may be.
    if (port !== 0 || wanted === 0) throw error
    return listenOn(server, host, 0)
  }
}

function listenOn(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function lastPort(data: string): number {
  try {
    return Number(new URL(readFileSync(join(data, 'url'), 'utf8')).port)
  } catch {
    return 0
  }
}
