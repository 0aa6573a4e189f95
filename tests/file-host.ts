import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { renderSong } from '../simulator/src/music/mp3.ts'

export type Fault = 'missing' | 'down' | 'cut' | 'page' | 'hang'
type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface FileHost {
  url: string
  host: string
  /** A song of its own for each name, as `name.mp3`. */
  song(name: string): string
  cover(name: string): string
  /** Answers this address like that, until `heal`. */
  break(path: string, answer: Fault): void
  heal(path: string): void
  /** Every address goes away, or comes back. */
  down: boolean
  /** Looked at before each answer, when set: how this address fails now. */
  judge: ((path: string) => Fault | undefined) | null
  /** How often each path was fetched. */
  asked: Map<string, number>
  /** Of the bytes that it has under an address. */
  sha256(url: string): string
  close(): Promise<void>
}

/** A blue square of 32 pixels, PNG. */
const picture = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAMAAABEpIrGAAAAA1BMVEUzVXeI+iudAAAACXBIWXMAAAPoAAAD6AG1e1JrAAAAE0lEQVQ4jWNgGAWjYBSMAgasAAAEIAABMVaGxQAAAABJRU5ErkJggg==', 'base64')

/** A provider's file host: songs and covers that exist by their names, counted, and broken on request. Loopback only. */
export async function startFileHost(ip = '127.0.0.1'): Promise<FileHost> {
  const pattern = Buffer.from(await renderSong({ seed: 'file host', style: 'calm', seconds: 2 }))
  const broken = new Map<string, Fault>()
  const asked = new Map<string, number>()

  const bytesOf = (path: string): { bytes: Buffer; type: string } =>
    path.endsWith('.png') ? { bytes: picture, type: 'image/png' } : { bytes: ownSong(pattern, path), type: 'audio/mpeg' }

  const answers: Record<Fault, Answer> = {
    missing: (_request, response) => response.writeHead(404).end(),
    down: (_request, response) => response.writeHead(503).end(),
    cut(request, response) {
      const { bytes, type } = bytesOf(request.url!)
      response.writeHead(200, { 'content-type': type, 'content-length': bytes.length })
      response.write(bytes.subarray(0, bytes.length >> 1), () => response.destroy())
    },
    page: (_request, response) => response.writeHead(200, { 'content-type': 'audio/mpeg' }).end('<!doctype html><p>not here</p>'),
    hang: () => undefined,
  }
  const host: Pick<FileHost, 'down' | 'judge'> = { down: false, judge: null }
  const server = createServer((request, response) => {
    const path = request.url!.split('?')[0]!
    asked.set(path, (asked.get(path) ?? 0) + 1)
    const fault = host.down ? 'down' : (host.judge?.(path) ?? broken.get(path))
    if (fault) return answers[fault]!(request, response)
    const { bytes, type } = bytesOf(path)
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length }).end(bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, ip, resolve))
  const address = `${ip}:${(server.address() as AddressInfo).port}`
  return Object.assign(host, {
    url: `http://${address}`, host: address, asked,
    song: (name: string) => `http://${address}/${name}.mp3`,
    cover: (name: string) => `http://${address}/${name}.png`,
    break: (path: string, answer: Fault) => void broken.set(path, answer),
    heal: (path: string) => void broken.delete(path),
    sha256: (url: string) => createHash('sha256').update(bytesOf(new URL(url).pathname).bytes).digest('hex'),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

/** The same sound with a tag of its own: rendering thousands of songs would take minutes. */
function ownSong(pattern: Buffer, name: string): Buffer {
  const text = Buffer.concat([Buffer.from([0]), Buffer.from(name, 'latin1')])
  const frame = Buffer.alloc(10)
  frame.write('TIT2')
  frame.writeUInt32BE(text.length, 4)
  const size = frame.length + text.length
  const head = Buffer.from([0x49, 0x44, 0x33, 3, 0, 0, (size >> 21) & 127, (size >> 14) & 127, (size >> 7) & 127, size & 127])
  const sound = pattern.subarray(0, 3).toString('latin1') === 'ID3' ? pattern.subarray(10 + ((pattern[6]! << 21) | (pattern[7]! << 14) | (pattern[8]! << 7) | pattern[9]!)) : pattern
  return Buffer.concat([head, frame, text, sound])
}
