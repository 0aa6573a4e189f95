import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDiskStore, type DiskStore } from './disk/disk-store.ts'
import { download, DownloadError, type DownloadOptions } from './download.ts'
import { createGuardedFetch, type GuardedFetch } from './guarded-fetch.ts'

let root: string
let store: DiskStore
let server: Server
let handler: RequestListener
let guardedFetch: GuardedFetch
let base: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'reprise-download-'))
  store = createDiskStore({ root })
  server = createServer((request, response) => handler(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  base = `http://${address}/song.mp3?signature=secret`
  guardedFetch = createGuardedFetch({ allowHosts: [address] })
})
afterAll(async () => {
  await guardedFetch.close()
  server.closeAllConnections()
  server.close()
  await rm(root, { recursive: true })
})

const get = (serve: RequestListener, more: Partial<DownloadOptions> = {}) => {
  handler = serve
  return download(base, { store, guardedFetch, maxBytes: 1e6, ...more })
}

describe('download', () => {
  it('gives the staged file with its hash and the type that was told', async () => {
    const bytes = Buffer.alloc(300_000, 'la')
    const file = await get((_, response) => response.writeHead(200, { 'content-type': 'Audio/MPEG; x=y' }).end(bytes))
    expect(file).toMatchObject({
      bytes: bytes.length,
      sha256: createHash('sha256').update(bytes).digest('hex'),
      contentType: 'audio/mpeg',
    })
    expect(await store.publish(file, 'a/song.mp3', { mime: 'audio/mpeg' })).toBe('published')
  })

  type Case = [name: string, code: string, final: boolean, serve: RequestListener, more?: Partial<DownloadOptions>]
  const failures: Case[] = [
    ['404', 'not_found', false, (_, response) => response.writeHead(404).end('no')],
    ['403', 'forbidden', false, (_, response) => response.writeHead(403).end('no')],
    ['410', 'gone', false, (_, response) => response.writeHead(410).end('no')],
    ['429', 'http_error', false, (_, response) => response.writeHead(429).end('no')],
    ['a part that nobody asked for', 'http_error', false, (_, response) => response.writeHead(206).end('part')],
    ['503', 'server_error', false, (_, response) => response.writeHead(503).end('no')],
    ['a web page with 200', 'not_media', false, (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<html>')],
    ['a JSON error with 200', 'not_media', false, (_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')],
    ['no bytes', 'empty', false, (_, response) => response.writeHead(200, { 'content-length': 0 }).end()],
    ['less than the announced length', 'truncated', false, (_, response) => {
      response.writeHead(200, { 'content-length': 1000 }).write('half')
      setTimeout(() => response.destroy(), 20)
    }],
    ['a chunked answer cut off', 'truncated', false, (_, response) => {
      response.write('half')
      setTimeout(() => response.destroy(), 20)
    }],
    ['a connection closed without an answer', 'network', false, (_, response) => response.destroy()],
    ['silence in the middle', 'stalled', false, (_, response) => response.write('x'), { idleTimeoutMs: 100 }],
    ['a slow drip', 'stalled', false, (_, response) => {
      const drip = setInterval(() => response.write('x'), 10)
      response.on('close', () => clearInterval(drip))
    }, { minRate: { bytesPerSec: 1000, windowMs: 150 } }],
    ['too long in all', 'timeout', false, (_, response) => {
      const drip = setInterval(() => response.write(Buffer.alloc(100)), 10)
      response.on('close', () => clearInterval(drip))
    }, { timeoutMs: 150 }],
    ['an announced giant', 'too_large', true, (_, response) =>
      response.writeHead(200, { 'content-length': 1e9 }).write('x')],
    ['a giant that comes in chunks', 'too_large', true, (_, response) => {
      response.write(Buffer.alloc(600_000))
      response.end(Buffer.alloc(600_000))
    }],
    ['a redirect to a private address', 'unsafe_url', true, (_, response) =>
      response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()],
    ['a redirect in circles', 'too_many_redirects', false, (_, response) =>
      response.writeHead(302, { location: '/' }).end()],
  ]
  it.each(failures)('%s is %s (final: %s), and nothing is kept', async (_name, code, final, serve, more) => {
    const error = await get(serve, more).then(() => null, (reason) => reason)
    expect(error).toBeInstanceOf(DownloadError)
    expect(error).toMatchObject({ code, final })
    expect(String(error)).not.toContain('secret')
    expect(await readdir(join(root, '.staging'))).toEqual([])
  })

  it('stops with the caller\'s own reason when told to', async () => {
    const controller = new AbortController()
    const running = get((_, response) => {
      response.write('x')
      setTimeout(() => controller.abort(new Error('shutting down')), 30)
    }, { signal: controller.signal })
    await expect(running).rejects.toThrow('shutting down')
    expect(await readdir(join(root, '.staging'))).toEqual([])
  })
})
