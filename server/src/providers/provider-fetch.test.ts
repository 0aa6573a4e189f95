import { createServer, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createProviderFetch, ProviderFetchError, type ProviderFetchInit } from './provider-fetch.ts'
import { deadAddress, startFakeServer, type FakeServer } from './testing/fake-server.ts'

let server: FakeServer
let http: ReturnType<typeof createProviderFetch>
beforeEach(async () => {
  server = await startFakeServer(() => ({ json: { ok: true } }))
  http = createProviderFetch({ maxBytes: 1_000 })
})
afterEach(async () => {
  await http.close()
  await server.close()
})

const never = new AbortController().signal
const post = (url: string, more: Partial<ProviderFetchInit> = {}) =>
  http.fetch(url, { method: 'POST', headers: {}, body: '{}', signal: never, timeoutMs: 5_000, ...more })
const failure = (promise: Promise<unknown>): Promise<ProviderFetchError> =>
  promise.then(
    () => Promise.reject(new Error('did not fail')),
    (error) => (error instanceof ProviderFetchError ? error : Promise.reject(error)),
  )

describe('a failure says whether anything was sent', () => {
  it('before: nobody listens, no such host, no such address, aborted already', async () => {
    expect(await failure(post(await deadAddress()))).toMatchObject({ phase: 'before_send', detail: 'ECONNREFUSED' })
    expect(await failure(post('http://no-such-host.invalid/'))).toMatchObject({ phase: 'before_send' })
    expect(await failure(post('not an address'))).toMatchObject({ phase: 'before_send' })
    expect(await failure(post(server.url, { signal: AbortSignal.abort() }))).toMatchObject({ phase: 'before_send' })
    expect(await failure(post(server.url, { headers: { 'bad\nname': 'x' } }))).toMatchObject({ phase: 'before_send' })
    expect(server.requests).toHaveLength(0)
  })

  it('before: a server that never finishes the TLS handshake', async () => {
    const sockets: Socket[] = []
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => {})))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/`
    expect(await failure(post(url, { timeoutMs: 80 }))).toMatchObject({ phase: 'before_send' })
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  it('before: waiting for a free connection', async () => {
    const narrow = createProviderFetch({ connections: 1 })
    server.next({ hang: true })
    const init = { method: 'POST' as const, headers: {}, body: '{}', signal: never }
    const holder = failure(narrow.fetch(server.url, { ...init, timeoutMs: 300 }))
    expect(await failure(narrow.fetch(server.url, { ...init, timeoutMs: 60 }))).toMatchObject({ phase: 'before_send' })
    expect(await holder).toMatchObject({ phase: 'after_send' })
    // What was given up in the queue must not be sent once the connection is free again.
    await narrow.fetch(server.url, { ...init, timeoutMs: 5_000 })
    expect(server.requests).toHaveLength(2)
    await narrow.close()
  })

  it('after: time-out, reset, abort while waiting', async () => {
    server.next({ hang: true })
    expect(await failure(post(server.url, { timeoutMs: 1_500 }))).toMatchObject({ phase: 'after_send' })
    server.next({ reset: true })
    expect(await failure(post(server.url))).toMatchObject({ phase: 'after_send' })
    server.next({ hang: true })
    const controller = new AbortController()
    const pending = failure(post(server.url, { signal: controller.signal }))
    while (server.requests.length < 3) await new Promise((resolve) => setTimeout(resolve, 2))
    controller.abort()
    expect(await pending).toMatchObject({ phase: 'after_send' })
  })
})

describe('a body that is made while it is sent', () => {
  const body = (pieces: AsyncIterable<Uint8Array>, byteLength: number) => ({ pieces, byteLength })

  it('arrives whole, with its length told before', async () => {
    async function* pieces() {
      for (let place = 0; place < 20; place++) yield Buffer.alloc(100_000, 65 + place)
    }
    await post(server.url, { body: body(pieces(), 2_000_000) })
    expect(server.requests[0]!.headers['content-length']).toBe('2000000')
    expect(Buffer.from(server.requests[0]!.text).equals(Buffer.concat(Array.from({ length: 20 }, (_, place) => Buffer.alloc(100_000, 65 + place))))).toBe(true)
  })

  it('that breaks off, or is longer than was told, is a failure after sending', async () => {
    async function* broken() {
      yield Buffer.alloc(100)
      throw new Error('the disk')
    }
    async function* long() {
      yield Buffer.alloc(100)
      yield Buffer.alloc(100)
    }
    expect(await failure(post(server.url, { body: body(broken(), 200) }))).toMatchObject({ phase: 'after_send' })
    expect(await failure(post(server.url, { body: body(long(), 150) }))).toMatchObject({ phase: 'after_send' })
    expect(server.requests).toHaveLength(0)
  })

  it('is no sign that anything was sent when nobody listens', async () => {
    async function* pieces() {
      yield Buffer.alloc(100)
    }
    expect(await failure(post(await deadAddress(), { body: body(pieces(), 100) }))).toMatchObject({ phase: 'before_send' })
  })

  it.each([
    ['a refusal before it is whole is the answer', (socket: Socket) => void socket.end('HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}'), { status: 413 }],
    ['a connection that breaks meanwhile is a failure after sending', (socket: Socket) => void socket.resetAndDestroy(), { phase: 'after_send' }],
  ])('%s, and the rest is not made', async (_, answer, expected) => {
    const hasty = createServer((socket) => void socket.on('error', () => {}).once('data', () => answer(socket)).resume())
    await new Promise<void>((resolve) => hasty.listen(0, '127.0.0.1', resolve))
    let made = 0
    let closed = false
    async function* pieces() {
      try {
        for (; made < 1_000; made++) {
          yield Buffer.alloc(100_000)
          await new Promise((resolve) => setImmediate(resolve))
        }
      } finally {
        closed = true
      }
    }
    const url = `http://127.0.0.1:${(hasty.address() as AddressInfo).port}/`
    expect(await post(url, { body: body(pieces(), 100_000_000) }).catch((error: unknown) => error)).toMatchObject(expected)
    await expect.poll(() => closed).toBe(true)
    expect(made).toBeLessThan(1_000)
    hasty.close()
  })

  it('is left where it is when the one who listens stops reading, and is ended by the time-out', async () => {
    const deaf = createServer((socket) => void socket.on('error', () => {}).pause())
    await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve))
    let made = 0
    let closed = false
    async function* pieces() {
      try {
        for (; made < 1_000; made++) yield Buffer.alloc(100_000)
      } finally {
        closed = true
      }
    }
    expect(await failure(post(`http://127.0.0.1:${(deaf.address() as AddressInfo).port}/`, { body: body(pieces(), 100_000_000), timeoutMs: 400 }))).toMatchObject({ phase: 'after_send' })
    expect(made).toBeLessThan(300)
    await expect.poll(() => closed).toBe(true)
    deaf.close()
  })
})

describe('an answer', () => {
  it('keeps status, lower-case headers and text', async () => {
    server.next({ status: 418, headers: { 'Retry-After': '3' }, text: 'пить чай' })
    const answer = await post(`${server.url}/a/b?c=d`)
    expect(answer.status).toBe(418)
    expect(answer.headers['retry-after']).toBe('3')
    expect(await answer.text()).toBe('пить чай')
    expect(server.requests[0]).toMatchObject({ method: 'POST', path: '/a/b', text: '{}' })
    expect(server.requests[0]!.query.get('c')).toBe('d')
  })

  it('a redirect is refused and not followed', async () => {
    server.next({ status: 302, headers: { location: '/elsewhere' } })
    const refused = await failure(post(server.url))
    expect(refused.phase).toBe('after_send')
    expect(refused.detail).toContain('redirect')
    expect(server.requests).toHaveLength(1)
  })

  it('too large or broken off: the status is known, the text is an error', async () => {
    server.next({ text: 'x'.repeat(5_000) }, { truncated: '{"a":' })
    const large = await post(server.url)
    expect(large.status).toBe(200)
    expect((await failure(large.text())).detail).toContain('larger than 1000 bytes')
    const broken = await post(server.url)
    expect(await failure(broken.text())).toMatchObject({ phase: 'after_send' })
  })

  it('an answer that drips for ever ends at the time-out', async () => {
    const drip = createServer((socket) => {
      socket.on('error', () => {})
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n')
      const timer = setInterval(() => socket.write('x'), 10)
      socket.on('close', () => clearInterval(timer))
    })
    await new Promise<void>((resolve) => drip.listen(0, '127.0.0.1', resolve))
    const answer = await post(`http://127.0.0.1:${(drip.address() as AddressInfo).port}/`, { timeoutMs: 120 })
    expect((await failure(answer.text())).detail).toContain('120 ms')
    drip.close()
  })

  it('connections are reused', async () => {
    const ports = new Set<number>()
    for (let i = 0; i < 8; i++) await (await post(server.url)).text()
    for (const request of server.requests) ports.add(request.port)
    // The next request may start before the last socket is marked free, so two may take turns.
    expect(ports.size).toBeLessThanOrEqual(2)
  })
})
