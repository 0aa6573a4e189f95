import { createServer, type RequestListener } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createGuardedFetch, FetchRefused, type FetchOptions, type GuardedFetch } from './guarded-fetch.ts'
import { HOSTILE_ZONE, hostileResolver, hostileUrls } from './hostile-urls.ts'

const CALL: FetchOptions = { trust: 'provider-file', purpose: 'test', maxBytes: 1e6, timeoutMs: 5000 }
const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const thing of opened.splice(0)) await thing.close()
})

const portOf = (server: Server) => (server.address() as AddressInfo).port
async function listen<T extends Server>(server: T, host = '127.0.0.1', port = 0): Promise<T> {
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return server
}
/** An http server on loopback and a fetch that may reach it. */
async function site(handler: RequestListener, allow: (address: string) => string[] = (address) => [address]) {
  const server = await listen(createServer(handler))
  const address = `127.0.0.1:${portOf(server)}`
  const guardedFetch = createGuardedFetch({ allowHosts: allow(address), resolve: hostileResolver as never })
  opened.push(guardedFetch, { close: () => (server.closeAllConnections(), server.close()) })
  return { base: `http://${address}`, address, guardedFetch }
}
const refusal = (promise: Promise<unknown>): Promise<FetchRefused> =>
  promise.then(
    () => expect.fail('was not refused'),
    (error) => (expect(error).toBeInstanceOf(FetchRefused), error),
  )

describe('guarded fetch: hostile addresses', () => {
  let canary: Server
  let hits = 0
  let port = 0
  let guardedFetch: GuardedFetch
  beforeAll(async () => {
    // "::" listens on IPv4 too; where IPv6 is switched off, IPv4 alone.
    const make = () => createTcpServer((socket) => (hits++, socket.destroy()))
    canary = await listen(make(), '::').catch(() => listen(make(), '0.0.0.0'))
    port = portOf(canary)
    guardedFetch = createGuardedFetch({ allowHosts: ['127.0.0.1:1'], resolve: hostileResolver as never })
  })
  afterAll(async () => {
    await guardedFetch.close()
    canary.close()
  })

  const table = [
    'http://127.0.0.1:PORT/',
    'https://127.0.0.1:PORT/',
    'https://127.1:PORT/',
    'https://2130706433:PORT/',
    'https://0x7f000001:PORT/',
    'https://0x7f.0.0.1:PORT/',
    'https://0177.0.0.1:PORT/',
    'https://017700000001:PORT/',
    'https://127.0.0.1.:PORT/',
    'https://127.0.0.53:PORT/',
    'https://127.255.255.254:PORT/',
    'https://127%2e0%2e0%2e1:PORT/',
    'https://127。0。0。1:PORT/',
    'https://１２７.0.0.1:PORT/',
    'https://0:PORT/',
    'https://0.0.0.0:PORT/',
    'https://[::1]:PORT/',
    'https://[::]:PORT/',
    'https://[0:0:0:0:0:0:0:1]:PORT/',
    'https://[::ffff:127.0.0.1]:PORT/',
    'https://[::ffff:7f00:1]:PORT/',
    'https://[::127.0.0.1]:PORT/',
    'https://[::ffff:0:7f00:1]:PORT/',
    'https://[64:ff9b::127.0.0.1]:PORT/',
    'https://[64:ff9b::a9fe:a9fe]/',
    'https://[2002:7f00:1::]:PORT/',
    'https://[2001:0:7f00:1::]:PORT/',
    'https://[fe80::1]:PORT/',
    'https://[fd00:ec2::254]/latest/meta-data/',
    'https://[ff02::1]:PORT/',
    'https://169.254.169.254/latest/meta-data/',
    'https://169.254.170.2/v2/credentials',
    'https://2852039166/',
    'https://100.100.100.200/',
    'https://168.63.129.16/',
    'https://100.64.0.1/',
    'https://10.0.0.1/',
    'https://172.16.0.1/',
    'https://172.31.255.255/',
    'https://192.168.0.1/',
    'https://198.18.0.1/',
    'https://192.0.0.192/',
    'https://224.0.0.1/',
    'https://255.255.255.255/',
    'https://localhost:PORT/',
    'https://LOCALHOST.:PORT/',
    'https://sub.localhost:PORT/',
    'https://metadata.google.internal/',
    'https://router:PORT/',
    `https://127-0-0-1.${HOSTILE_ZONE}:PORT/`,
    `https://mixed-127-0-0-1.${HOSTILE_ZONE}:PORT/`,
    `https://v6---1.${HOSTILE_ZONE}:PORT/`,
    'https://user:secret@127.0.0.1:PORT/',
    'https://user@cdn.example.com/',
    'https://127.0.0.1:PORT\\@cdn.example.com/',
    'http://cdn.example.com/song.mp3',
    'file:///etc/passwd',
    'ftp://127.0.0.1:PORT/',
    'gopher://127.0.0.1:PORT/',
    'data:text/plain,x',
    'javascript:alert(1)',
    'blob:https://cdn.example.com/x',
    '//127.0.0.1:PORT/',
    'https://',
    '',
    `https://cdn.example.com/${'x'.repeat(9000)}`,
  ]
  it.each(table)('refuses %s before anybody hears of it', async (url) => {
    const refused = await refusal(guardedFetch(url.replace('PORT', String(port)), CALL))
    expect(refused).toMatchObject({ code: 'unsafe_url', sent: false })
    expect(refused.message).not.toContain('secret')
    expect(hits).toBe(0)
  })

  it('refuses 300 generated hostile addresses, whoever is trusted; the canary hears nothing', async () => {
    for (const [index, url] of hostileUrls(20261121, 300, port).entries()) {
      const trust = (['provider-api', 'provider-file', 'user'] as const)[index % 3]!
      expect((await refusal(guardedFetch(url, { ...CALL, trust }))).code, JSON.stringify(url)).toBe('unsafe_url')
    }
    expect(hits).toBe(0)
  })

  it('follows no redirect to a hostile address', async () => {
    let target = ''
    const { base, guardedFetch } = await site((_, response) => response.writeHead(302, { location: target }).end())
    for (const url of hostileUrls(7, 150, port).filter((url) => /^\s*(https?|file|ftp|gopher|data):/.test(url))) {
      if (/[^\x21-\x7e]/.test(url)) continue
      target = url
      expect((await refusal(guardedFetch(base, CALL))).code, JSON.stringify(url)).toBe('unsafe_url')
    }
    expect(hits).toBe(0)
  })

  it('connects to the very address it checked, though the name answers differently the next time', async () => {
    const touched: string[] = []
    const on = (host: string, at?: number) =>
      listen(createTcpServer((socket) => (touched.push(host), socket.destroy())), host, at)
    const good = await on('127.0.0.2')
    const evil = await on('127.0.0.1', portOf(good))
    let asked = 0
    const guardedFetch = createGuardedFetch({
      allowHosts: [],
      isPublic: (address) => address === '127.0.0.2',
      resolve: (_host, _how, done) => done(null, [{ address: asked++ ? '127.0.0.1' : '127.0.0.2', family: 4 }]),
    })
    opened.push(guardedFetch, good, evil)
    const url = `https://rebinding.example.com:${portOf(good)}/`
    expect((await refusal(guardedFetch(url, CALL))).code).toBe('network')
    expect(touched).toEqual(['127.0.0.2'])
    expect((await refusal(guardedFetch(url, CALL))).code).toBe('unsafe_url')
    expect(touched).toEqual(['127.0.0.2'])
  })
})

describe('guarded fetch: allowed hosts', () => {
  it('reaches an allowed private host for providers, never for a user', async () => {
    const { base, guardedFetch } = await site((_, response) => response.end('hello'))
    for (const trust of ['provider-api', 'provider-file'] as const) {
      expect(await (await guardedFetch(base, { ...CALL, trust })).text()).toBe('hello')
    }
    expect((await refusal(guardedFetch(base, { ...CALL, trust: 'user' }))).code).toBe('unsafe_url')
  })

  it('an allowed port does not open its neighbours, an allowed host opens all its ports', async () => {
    const { base, guardedFetch } = await site((_, response) => response.end(), () => ['127.0.0.1:1'])
    expect((await refusal(guardedFetch(base, CALL))).code).toBe('unsafe_url')
    const whole = await site((_, response) => response.end('yes'), () => ['127.0.0.1'])
    expect(await (await whole.guardedFetch(whole.base, CALL)).text()).toBe('yes')
  })

  it('a user\'s address does not ride on a connection that a provider\'s address opened', async () => {
    let requests = 0
    const server = await listen(createServer((_, response) => (requests++, response.end('x'))))
    const guardedFetch = createGuardedFetch({
      allowHosts: ['media.example.com'],
      resolve: (_host, _how, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
    })
    opened.push(guardedFetch, { close: () => (server.closeAllConnections(), server.close()) })
    const url = `http://media.example.com:${portOf(server)}/`
    expect(await (await guardedFetch(url, CALL)).text()).toBe('x')
    for (const address of [url, url.replace('http:', 'https:')]) {
      expect((await refusal(guardedFetch(address, { ...CALL, trust: 'user' }))).code).toBe('unsafe_url')
    }
    expect(requests).toBe(1)
  })
})

describe('guarded fetch: limits', () => {
  it('gives status, headers, final address and body; sends no cookies and asks for plain bytes', async () => {
    const { base, guardedFetch } = await site((request, response) => {
      if (request.url === '/from') return response.writeHead(302, { location: '/to', 'set-cookie': 'a=b' }).end()
      response.writeHead(201, { 'x-seen': JSON.stringify(request.headers), 'content-length': 4 }).end('body')
    })
    const response = await guardedFetch(`${base}/from`, { ...CALL, headers: { Authorization: 'Bearer k' } })
    expect(response).toMatchObject({ status: 201, url: `${base}/to`, contentLength: 4 })
    const seen = JSON.parse(response.headers['x-seen']!)
    expect(seen).toMatchObject({ 'accept-encoding': 'identity', authorization: 'Bearer k' })
    expect(seen.cookie).toBeUndefined()
    expect(await response.text()).toBe('body')
  })

  it('hands no key to another host on a redirect', async () => {
    const other = await site((request, response) => response.end(JSON.stringify(request.headers)))
    const { base, guardedFetch } = await site(
      (_, response) => response.writeHead(307, { location: other.base }).end(),
      () => ['127.0.0.1'],
    )
    const headers = { authorization: 'Bearer k', 'x-api-key': 'k', cookie: 'k' }
    const seen = JSON.parse(await (await guardedFetch(base, { ...CALL, accept: 'audio/*', headers })).text())
    expect(seen).toMatchObject({ accept: 'audio/*' })
    for (const name of Object.keys(headers)) expect(seen[name]).toBeUndefined()
  })

  it('follows three redirects and no fourth; never repeats a POST', async () => {
    const { base, guardedFetch } = await site((request, response) => {
      const left = Number(request.url!.slice(1))
      if (left) response.writeHead(307, { location: `/${left - 1}` }).end()
      else response.end('there')
    })
    expect(await (await guardedFetch(`${base}/3`, CALL)).text()).toBe('there')
    expect((await refusal(guardedFetch(`${base}/4`, CALL))).code).toBe('too_many_redirects')
    expect((await refusal(guardedFetch(`${base}/1`, { ...CALL, redirects: 0 }))).code).toBe('too_many_redirects')
    const post = await guardedFetch(`${base}/2`, { ...CALL, method: 'POST', body: 'pay' })
    expect(post.status).toBe(307)
    post.discard()
  })

  it('refuses a body that is too large: as announced, as it comes, and as it unpacks', async () => {
    const { base, guardedFetch } = await site((request, response) => {
      if (request.url === '/told') return response.writeHead(200, { 'content-length': 2_000_000 }).flushHeaders()
      if (request.url === '/bomb') {
        return response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(50_000_000)))
      }
      response.write(Buffer.alloc(700_000))
      response.end(Buffer.alloc(700_000))
    })
    expect((await refusal(guardedFetch(`${base}/told`, CALL))).code).toBe('too_large')
    expect((await refusal(guardedFetch(`${base}/chunked`, CALL).then((r) => r.text()))).code).toBe('too_large')
    expect((await refusal(guardedFetch(`${base}/bomb`, CALL).then((r) => r.text()))).code).toBe('too_large')
  })

  it('decodes what comes compressed all the same', async () => {
    const { base, guardedFetch } = await site((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('{"ok":true}')),
    )
    expect(await (await guardedFetch(base, CALL)).text()).toBe('{"ok":true}')
  })

  it('ends a silent, a dripping and an endless answer, each with its own word', async () => {
    const { base, guardedFetch } = await site((request, response) => {
      if (request.url === '/silent') return
      response.write('x')
      if (request.url === '/stops') return
      const drip = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(drip))
    })
    const run = (path: string, more: Partial<FetchOptions>) =>
      refusal(guardedFetch(base + path, { ...CALL, ...more }).then((response) => response.text()))
    expect(await run('/silent', { idleTimeoutMs: 150 })).toMatchObject({ code: 'stalled', sent: true })
    expect((await run('/stops', { idleTimeoutMs: 150 })).code).toBe('stalled')
    expect((await run('/drip', { minRate: { bytesPerSec: 1000, windowMs: 200 } })).code).toBe('stalled')
    expect((await run('/drip', { timeoutMs: 200 })).code).toBe('timeout')
    expect((await run('/silent', { timeoutMs: 200 })).code).toBe('timeout')
    expect((await run('/drip', { signal: AbortSignal.timeout(100) })).code).toBe('aborted')
  })

  it('an answer that nobody reads ends by itself and harms nobody', async () => {
    let closed = false
    const { base, guardedFetch } = await site((_, response) => {
      response.on('close', () => (closed = true))
      response.write('x')
    })
    await guardedFetch(base, { ...CALL, timeoutMs: 100 })
    await expect.poll(() => closed).toBe(true)
  })

  it('tells what surely was not sent from what may have been', async () => {
    const server = await listen(createTcpServer((socket) => socket.once('data', () => socket.destroy())))
    const address = `127.0.0.1:${portOf(server)}`
    const guardedFetch = createGuardedFetch({
      allowHosts: ['127.0.0.1', 'nowhere.example.com'],
      resolve: (_host, _how, done) => done(Object.assign(new Error('none'), { code: 'ENOTFOUND' }), []),
    })
    opened.push(guardedFetch)
    const post = (url: string) => refusal(guardedFetch(url, { ...CALL, method: 'POST', body: 'pay' }))
    expect(await post(`http://${address}/`)).toMatchObject({ code: 'network', sent: true })
    expect(await post('http://nowhere.example.com/')).toMatchObject({ code: 'network', sent: false })
    await new Promise((resolve) => server.close(resolve))
    expect(await post(`http://${address}/?key=secret`)).toMatchObject({ code: 'network', sent: false })
  })

  it('runs 100 requests side by side and keeps its connections', async () => {
    let together = 0
    const waiting: (() => void)[] = []
    const sockets = new Set<unknown>()
    const { base, guardedFetch } = await site((request, response) => {
      sockets.add(request.socket)
      if (request.url === '/again') return response.end('x')
      waiting.push(() => response.end('x'))
      if (++together === 100) waiting.forEach((answer) => answer())
    })
    const all = (path: string) =>
      Promise.all(Array.from({ length: 100 }, async () => (await guardedFetch(base + path, CALL)).text()))
    await all('/first')
    for (let round = 0; round < 4; round++) await all('/again')
    expect(together).toBe(100)
    expect(sockets.size).toBeLessThanOrEqual(128)
  })
})
