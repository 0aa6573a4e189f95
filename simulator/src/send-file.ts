import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Fault } from './faults.ts'
import { errorPage, sendText } from './http.ts'

/** Sends a file as a file host does: HEAD, one byte range, length. */
export function sendFile(request: IncomingMessage, response: ServerResponse, type: string, file: Buffer): void {
  const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.range ?? '')
  const headers = { 'content-type': type, 'accept-ranges': 'bytes', 'cache-control': 'public, max-age=3600' }
  if (!range || (range[1] === '' && range[2] === '')) {
    response.writeHead(200, { ...headers, 'content-length': file.length })
    response.end(request.method === 'HEAD' ? undefined : file)
    return
  }
  const from = range[1] === '' ? Math.max(0, file.length - Number(range[2])) : Number(range[1])
  const to = range[1] === '' || range[2] === '' ? file.length - 1 : Math.min(Number(range[2]), file.length - 1)
  if (from > to) {
    response.writeHead(416, { 'content-range': `bytes */${file.length}` })
    response.end()
    return
  }
  const piece = file.subarray(from, to + 1)
  const contentRange = `bytes ${from}-${to}/${file.length}`
  response.writeHead(206, { ...headers, 'content-range': contentRange, 'content-length': piece.length })
  response.end(request.method === 'HEAD' ? undefined : piece)
}

export interface FaultyFile {
  type: string
  file: () => Promise<Buffer>
  /** The same sound at half the length. */
  short: () => Promise<Buffer>
}

/** An MPEG-1 layer III frame header, 128 kbit/s, 32 kHz, stereo. */
const MP3_HEADER = Buffer.from([0xff, 0xfb, 0x98, 0x00])
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const HUGE = 10_000_000_000

type Spoil = (request: IncomingMessage, response: ServerResponse, fault: Fault, faulty: FaultyFile) => unknown

const status =
  (code: number, title: string): Spoil =>
  (_request, response) =>
    sendText(response, code, 'text/html', errorPage(code, title))

const spoils: Record<string, Spoil> = {
  'file-html': (_request, response, fault) =>
    sendText(response, 200, fault.value ?? 'text/html', errorPage(200, 'Just a moment...')),
  'file-empty': (_request, response, _fault, { type }) => sendText(response, 200, type, ''),
  'file-wrong-type': (request, response, _fault, { type }) => sendFile(request, response, type, PNG),
  'file-404': status(404, 'Not Found'),
  'file-503': status(503, 'Service Temporarily Unavailable'),
  'file-gone': status(410, 'Gone'),
  'cover-404': status(404, 'Not Found'),
  'cover-html': (_request, response) => sendText(response, 200, 'text/html', errorPage(200, 'Just a moment...')),
  'file-short': async (request, response, _fault, { type, short }) => sendFile(request, response, type, await short()),
  'file-cut': async (request, response, _fault, { type, file }) => {
    const whole = await file()
    sendFile(request, response, type, whole.subarray(0, whole.length >> 1))
  },
  'file-corrupt': async (request, response, _fault, { type, file }) => {
    const { length } = await file()
    sendFile(request, response, type, Buffer.concat([MP3_HEADER, randomBytes(length - MP3_HEADER.length)]))
  },
  'file-redirect-private': (_request, response, fault) => {
    response.writeHead(302, { location: `http://${fault.value ?? '127.0.0.1'}:1/song.mp3` })
    response.end()
  },
  'file-truncated': async (_request, response, _fault, faulty) => {
    const whole = await head(response, faulty)
    response.write(whole.subarray(0, whole.length >> 1), () => response.socket?.destroySoon())
  },
  'file-reset': async (_request, response, _fault, faulty) => {
    const whole = await head(response, faulty)
    // A reset overtakes bytes that are still on their way; let them arrive first.
    response.write(whole.subarray(0, whole.length >> 1), () =>
      setTimeout(() => response.socket?.resetAndDestroy(), 100),
    )
  },
  'file-hang': async (_request, response, _fault, faulty) => {
    const whole = await head(response, faulty)
    response.write(whole.subarray(0, 1000))
  },
  'file-slow': async (_request, response, fault, faulty) => {
    const whole = await head(response, faulty)
    const step = Math.max(1, Math.round(Number(fault.value ?? 2000) / 10))
    let sent = 0
    const timer = setInterval(() => {
      response.write(whole.subarray(sent, sent + step))
      sent += step
      if (sent >= whole.length) {
        clearInterval(timer)
        response.end()
      }
    }, 100)
    response.on('close', () => clearInterval(timer))
  },
  'file-oversize': async (_request, response, fault, { type, file }) => {
    const whole = await file()
    response.writeHead(200, { 'content-type': type, ...(fault.value !== 'chunked' && { 'content-length': HUGE }) })
    const pour = () => {
      while (!response.destroyed && response.write(whole));
    }
    response.on('drain', pour)
    pour()
  },
}

async function head(response: ServerResponse, { type, file }: FaultyFile): Promise<Buffer> {
  const whole = await file()
  response.writeHead(200, { 'content-type': type, 'content-length': whole.length })
  return whole
}

/** Sends a file the way the fault says. */
export async function spoilFile(
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault,
  faulty: FaultyFile,
): Promise<void> {
  const spoil = spoils[fault.name]
  if (!spoil) throw new RangeError(`no way to send ${fault.name}`)
  await spoil(request, response, fault, faulty)
}
