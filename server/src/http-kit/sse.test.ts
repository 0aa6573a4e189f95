import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { AppError } from '../kernel/errors.ts'
import { createEventStreams, encodeEvent, type EventSink, type EventStreams, type Subscribe } from './sse.ts'
import { serveTestApp } from './testing.ts'

const start = (streams: EventStreams, subscribe: Subscribe, onDrain?: () => void) =>
  serveTestApp((app) => app.get('/events', (c) => streams.stream(c, { subscribe })), { onDrain })

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('did not happen')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Reads a stream until its text contains `needle` or it ends. */
async function readUntil(response: Response, needle: string): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  const reader = response.body!.getReader()
  while (!text.includes(needle)) {
    const { done, value } = await reader.read()
    if (done) break
    text += decoder.decode(value, { stream: true })
  }
  void reader.cancel()
  return text
}

describe('event streams', () => {
  it('events keep their ids and lines, and nothing in them can forge another', () => {
    expect(encodeEvent({ id: '7', event: 'move', data: '{"a":1}' }).toString()).toBe(
      'id: 7\nevent: move\ndata: {"a":1}\n\n',
    )
    expect(encodeEvent({ id: '7\ndata: x', data: 'one\r\ntwo\rthree' }).toString()).toBe(
      'id: 7 data: x\ndata: one\ndata: two\ndata: three\n\n',
    )
  })

  it('a client resumes from its Last-Event-ID, with CORS and request id on the stream', async () => {
    const streams = createEventStreams()
    await using server = await start(streams, (sink, lastEventId) => {
      sink.send({ id: '8', data: `after ${lastEventId}` })
      return () => {}
    })
    const response = await server.fetch('/events', { headers: { 'last-event-id': '7' } })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
    const text = await readUntil(response, 'after 7\n\n')
    expect(text).toMatch(/^retry: \d+\n\n/)
    expect(text).toContain('id: 8\ndata: after 7\n\n')
  })

  it('one encoded event reaches every stream', async () => {
    const streams = createEventStreams()
    const sinks: EventSink[] = []
    await using server = await start(streams, (sink) => (sinks.push(sink), () => {}))
    const responses = await Promise.all(Array.from({ length: 20 }, () => server.fetch('/events')))
    const event = encodeEvent({ data: 'to all' })
    for (const sink of sinks) expect(sink.send(event)).toBe(true)
    for (const text of await Promise.all(responses.map((response) => readUntil(response, 'to all'))))
      expect(text).toContain('data: to all\n\n')
  })

  it('a quiet stream has heartbeats', async () => {
    const streams = createEventStreams({ heartbeatMs: 32 })
    await using server = await start(streams, () => () => {})
    expect(await readUntil(await server.fetch('/events'), ': still here')).toContain(': still here\n\n')
  })

  it('a client that goes away is unsubscribed, also while the subscription is still being made', async () => {
    const streams = createEventStreams()
    let ended = 0
    const { promise: slow, resolve: goOn } = Promise.withResolvers<void>()
    let began = false
    await using server = await start(streams, async () => {
      began = true
      await slow
      return () => void ended++
    })
    const abort = new AbortController()
    const asked = server.fetch('/events', { signal: abort.signal }).catch(() => {})
    await until(() => began)
    abort.abort()
    await asked
    await until(() => streams.size === 0)
    goOn()
    await until(() => ended === 1)
  })

  it('a client that does not read is disconnected before it costs memory', async () => {
    const streams = createEventStreams({ maxBufferedBytes: 64 * 1024 })
    let sink!: EventSink
    let ended = 0
    await using server = await start(streams, (opened) => ((sink = opened), () => void ended++))
    const socket: Socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write('GET /events HTTP/1.1\r\nhost: x\r\n\r\n')
    await until(() => streams.size === 1)
    const event = encodeEvent({ data: 'x'.repeat(32 * 1024) })
    // What the kernel takes is not ours; beyond it the bound holds.
    let sent = 0
    while (sink.send(event) && sent < 4000) {
      sent++
      if (sent % 50 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(sent).toBeLessThan(4000)
    expect(sink.closed).toBe(true)
    expect(ended).toBe(1)
    expect(streams.size).toBe(0)
    expect(sink.send(event)).toBe(false)
    socket.destroy()
  })

  it('a subscription that fails at once is a problem, one that fails later ends the stream', async () => {
    const streams = createEventStreams()
    let late = false
    await using server = await start(streams, (sink) => {
      if (late) sink.send({ data: 'first' })
      throw new AppError('forbidden')
    })
    expect((await server.fetch('/events')).status).toBe(403)
    late = true
    const response = await server.fetch('/events')
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('data: first')
    expect(streams.size).toBe(0)
  })

  it('HEAD opens no stream', async () => {
    const streams = createEventStreams()
    await using server = await start(streams, () => () => {})
    expect((await server.fetch('/events', { method: 'HEAD' })).status).toBe(200)
    expect(streams.size).toBe(0)
  })

  it('draining ends every stream with a hint when to come back, and the server closes cleanly', async () => {
    const streams = createEventStreams()
    let ended = 0
    await using server = await start(streams, () => () => void ended++, () => streams.drain())
    const responses = await Promise.all(Array.from({ length: 3 }, () => server.fetch('/events')))
    const texts = Promise.all(responses.map((response) => response.text()))
    expect(await server.close({ drainMs: 5_000 })).toBe(true)
    for (const text of await texts) expect(text.match(/retry: \d+/g)).toHaveLength(2)
    expect(ended).toBe(3)
  })
})
