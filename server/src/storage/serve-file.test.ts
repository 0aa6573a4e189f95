import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readlink, rm, truncate } from 'node:fs/promises'
import { get as httpGet, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { serve } from '@hono/node-server'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDiskStore, type DiskStore } from './disk/disk-store.ts'
import { parseRange } from './range.ts'
import { attachment, serveFile, type ServedFile } from './serve-file.ts'

const SIZE = 5_000_000
const bytes = randomBytes(SIZE)
const sha256 = createHash('sha256').update(bytes).digest('hex')
let root: string
let store: DiskStore
let server: Server
let base: string
let more: Partial<ServedFile> = {}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'reprise-serve-'))
  store = createDiskStore({ root })
  for (const key of ['song', 'cut']) {
    await store.publish(await store.stage(Readable.from([bytes]), { maxBytes: SIZE }), key, { mime: 'audio/mpeg' })
  }
  await truncate(join(root, 'cut'), 3_000_000)
  const fetch = async (request: Request) => {
    const key = new URL(request.url).pathname.slice(1)
    const file = { store, key, bytes: SIZE, mime: 'audio/mpeg', sha256, request, cacheControl: 'public', ...more }
    return (await serveFile(file)) ?? new Response('missing', { status: 404 })
  }
  await new Promise<void>((resolve) => {
    server = serve({ fetch, hostname: '127.0.0.1', port: 0 }, () => resolve()) as Server
  })
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await rm(root, { recursive: true })
})

const ask = async (headers: Record<string, string> = {}, init: RequestInit = {}, path = '/song') => {
  const response = await fetch(base + path, { headers, ...init })
  return { response, body: Buffer.from(await response.arrayBuffer()) }
}

describe('serving a stored file', () => {
  it('gives the whole file, with a strong tag and no sniffing', async () => {
    const { response, body } = await ask()
    expect(response.status).toBe(200)
    expect(body.equals(bytes)).toBe(true)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      etag: `"${sha256}"`,
      'content-length': String(SIZE),
      'content-type': 'audio/mpeg',
      'accept-ranges': 'bytes',
      'cache-control': 'public',
      'x-content-type-options': 'nosniff',
    })
    expect(response.headers.has('content-disposition')).toBe(false)
  })

  it('gives parts: small, large, open-ended, from the end', async () => {
    const parts: [string, number, number][] = [
      ['bytes=0-0', 0, 0],
      ['bytes=0-1', 0, 1],
      ['bytes=1000000-2048575', 1_000_000, 2_048_575],
      ['bytes=1-4000000', 1, 4_000_000],
      ['bytes=4999999-', SIZE - 1, SIZE - 1],
      ['bytes=-7', SIZE - 7, SIZE - 1],
      ['bytes=-99999999', 0, SIZE - 1],
      ['bytes=100-99999999', 100, SIZE - 1],
    ]
    for (const [range, start, end] of parts) {
      const { response, body } = await ask({ range })
      expect(response.status, range).toBe(206)
      expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end}/${SIZE}`)
      expect(body.equals(bytes.subarray(start, end + 1)), range).toBe(true)
    }
  })

  it('answers 416 with the size to a part beyond the end, and the whole file to what is no single range', async () => {
    const { response } = await ask({ range: `bytes=${SIZE}-` })
    expect(response.status).toBe(416)
    expect(response.headers.get('content-range')).toBe(`bytes */${SIZE}`)
    for (const range of ['bytes=0-1,5-6', 'items=0-1', 'bytes=9-2', 'bytes=-', 'bytes=a-b']) {
      expect((await ask({ range })).response.status, range).toBe(200)
    }
    expect(parseRange('bytes=0-', 0)).toBe('unsatisfiable')
    expect(parseRange('bytes=-0', 10)).toBe('unsatisfiable')
    expect(parseRange(undefined, 10)).toBe('whole')
  })

  it('answers 304 to who has it, and gives a part only when the client holds these very bytes', async () => {
    for (const tag of [`"${sha256}"`, `W/"${sha256}"`, `"x", "${sha256}"`, '*']) {
      const { response, body } = await ask({ 'if-none-match': tag })
      expect([response.status, body.length]).toEqual([304, 0])
    }
    expect((await ask({ 'if-none-match': '"other"' })).response.status).toBe(200)
    expect((await ask({ range: 'bytes=0-9', 'if-range': `"${sha256}"` })).response.status).toBe(206)
    for (const ifRange of ['"other"', `W/"${sha256}"`, new Date().toUTCString()]) {
      expect((await ask({ range: 'bytes=0-9', 'if-range': ifRange })).response.status).toBe(200)
    }
  })

  it('answers HEAD with the headers of the whole file and opens nothing', async () => {
    const { response, body } = await ask({ range: 'bytes=0-9' }, { method: 'HEAD' })
    expect([response.status, body.length, response.headers.get('content-length')]).toEqual([200, 0, String(SIZE)])
  })

  it('offers a download under its real name, in any script, and no header can be smuggled in', async () => {
    more = { downloadName: 'Ночь "1"\r\nx: y/../a.mp3' }
    const { response } = await ask({ range: 'bytes=0-9' })
    more = {}
    const value = response.headers.get('content-disposition')!
    expect(value).toMatch(/^attachment; filename="[ -!#-~]*"; filename\*=UTF-8''%D0%9D/)
    expect(value).not.toMatch(/[\r\n/\\]/)
    expect(attachment('')).toContain('"download"')
    expect(attachment('\ud800')).toContain('attachment')
  })

  it('says null for a file that the store does not have', async () => {
    expect((await ask({}, {}, '/none')).response.status).toBe(404)
  })

  it('breaks the connection when the file ends early, instead of passing half a song as whole', async () => {
    await expect(ask({}, {}, '/cut')).rejects.toThrow()
    expect((await ask({ range: 'bytes=2999990-3000010' }, {}, '/cut').catch(() => null))?.response.status).not.toBe(206)
    await expect.poll(openFiles).toEqual([])
  })

  it('closes its file when the client hangs up', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const { promise, resolve } = Promise.withResolvers<IncomingMessage>()
        httpGet(`${base}/song`, { agent: false }, resolve)
        return promise
      }),
    )
    for (const answer of answers) {
      answer.once('data', () => answer.destroy())
      answer.on('error', () => {})
    }
    await expect.poll(openFiles, { timeout: 5000 }).toEqual([])
  })
})

async function openFiles(): Promise<string[]> {
  const names = await readdir('/proc/self/fd')
  const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')))
  return targets.filter((target) => target.startsWith(root))
}
