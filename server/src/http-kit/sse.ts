import type { ServerResponse } from 'node:http'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { AppError } from '../kernel/errors.ts'
import type { AppContext } from './app-env.ts'

/** One event. `data` is the finished text (usually JSON); `id` comes back as `Last-Event-ID`. */
export interface StreamEvent {
  id?: string
  event?: string
  data: string
}

/** An event as bytes: encode it once when it goes to many streams. */
export type EncodedEvent = Buffer

export function encodeEvent({ id, event, data }: StreamEvent): EncodedEvent {
  const clean = (line: string) => line.replace(/[\r\n\0]/g, ' ')
  let text = ''
  if (id !== undefined) text += `id: ${clean(id)}\n`
  if (event !== undefined) text += `event: ${clean(event)}\n`
  for (const line of data.split(/\r\n|\r|\n/)) text += `data: ${line}\n`
  return Buffer.from(`${text}\n`)
}

/** One client's open stream. */
export interface EventSink {
  /** False when the client is gone or too slow (it is then disconnected and will resume by `Last-Event-ID`). */
  send(event: StreamEvent | EncodedEvent): boolean
  close(): void
  readonly closed: boolean
}

/**
 * Begins to feed the sink, from after `lastEventId` when there is one; gives back what ends it. An error thrown before
 * the first event is answered as a problem, a later one ends the stream.
 */
export type Subscribe = (
  sink: EventSink,
  lastEventId: string | undefined,
) => (() => void) | Promise<() => void>

export interface EventStreams {
  /** Answers this request with an event stream. Without `lastEventId` the header `Last-Event-ID` counts. */
  stream(c: AppContext, options: { subscribe: Subscribe; lastEventId?: string }): Promise<Response>
  /** How many streams are open. */
  readonly size: number
  /** Ends every stream with a hint when to come back (spread over seconds), and refuses new ones. */
  drain(): void
}

export interface EventStreamsOptions {
  /** A comment goes to each stream this often, so that proxies keep it and clients notice a dead one. */
  heartbeatMs?: number
  /** A client that leaves more than this unread is disconnected; bytes. */
  maxBufferedBytes?: number
}

/** One ticker beats for all: each of its ticks serves one of these groups, so that no tick is long. */
const GROUPS = 16
const HEARTBEAT = Buffer.from(': still here\n\n')

/**
 * Server-sent events for very many clients: each stream is one small object on the bare Node response; no timers, no
 * web streams, no copies per client.
 */
export function createEventStreams(options: EventStreamsOptions = {}): EventStreams {
  const { heartbeatMs = 20_000, maxBufferedBytes = 256 * 1024 } = options
  const groups = Array.from({ length: GROUPS }, () => new Set<Stream>())
  let size = 0
  let opened = 0
  let beat = 0
  let ticker: NodeJS.Timeout | undefined
  let draining = false

  const enter = (stream: Stream): (() => void) => {
    const group = groups[opened++ % GROUPS]!
    group.add(stream)
    size++
    ticker ??= setInterval(() => {
      for (const one of groups[beat++ % GROUPS]!) one.send(HEARTBEAT)
    }, heartbeatMs / GROUPS).unref()
    return () => {
      if (!group.delete(stream)) return
      size--
      if (size > 0) return
      clearInterval(ticker)
      ticker = undefined
    }
  }

  return {
    get size() {
      return size
    },
    async stream(c, { subscribe, lastEventId = c.req.header('last-event-id') }) {
      if (draining) throw new AppError('service_unavailable', { retryAfterSec: 2 })
      const head = c.body(null, 200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        // nginx would otherwise hold events back
        'x-accel-buffering': 'no',
      })
      if (c.req.method === 'HEAD') return head
      const { outgoing } = c.env
      if (!outgoing) throw new Error('event streams need the Node server')
      const stream = new Stream(outgoing, head.headers, maxBufferedBytes)
      stream.onClose(enter(stream))
      outgoing.once('close', () => stream.close())
      try {
        const end = await subscribe(stream, lastEventId)
        stream.onClose(end)
      } catch (error) {
        const begun = outgoing.headersSent
        stream.close({ silently: !begun })
        if (!begun && !outgoing.destroyed) throw error
        c.get('logger').warn({ err: error }, 'event stream ended')
      }
      stream.begin()
      return RESPONSE_ALREADY_SENT
    },
    drain() {
      draining = true
      groups.forEach((group, index) => {
        // Not all at the same moment: the next node must bear it.
        const hint = Buffer.from(`retry: ${500 + index * 200}\n\n`)
        for (const stream of group) {
          stream.send(hint)
          stream.close()
        }
      })
    },
  }
}

class Stream implements EventSink {
  readonly #outgoing: ServerResponse
  readonly #maxBufferedBytes: number
  #headers: Headers | null
  #closed = false
  #endings: (() => void)[] = []

  constructor(outgoing: ServerResponse, headers: Headers, maxBufferedBytes: number) {
    this.#outgoing = outgoing
    this.#headers = headers
    this.#maxBufferedBytes = maxBufferedBytes
  }

  get closed(): boolean {
    return this.#closed
  }

  send(event: StreamEvent | EncodedEvent): boolean {
    if (this.#closed) return false
    this.begin()
    this.#outgoing.write(event instanceof Uint8Array ? event : encodeEvent(event))
    if (this.#outgoing.writableLength <= this.#maxBufferedBytes) return true
    // It does not read: memory for it would grow without end. It resumes where it was when it comes back.
    this.#outgoing.destroy()
    this.close()
    return false
  }

  /** Sends the headers, once; late, so that a failing subscription can still be answered as a problem. */
  begin(): void {
    if (!this.#headers || this.#closed) return
    this.#outgoing.writeHead(200, Object.fromEntries(this.#headers))
    this.#headers = null
    this.#outgoing.write(HELLO)
  }

  close({ silently = false } = {}): void {
    if (this.#closed) return
    if (!silently) this.begin()
    this.#closed = true
    if (!silently) this.#outgoing.end()
    for (const ending of this.#endings) ending()
    this.#endings = []
  }

  /** Runs when the stream ends, at once when it has ended already. */
  onClose(ending: () => void): void {
    if (this.#closed) ending()
    else this.#endings.push(ending)
  }
}

const HELLO = Buffer.from('retry: 2000\n\n')
