import type { Readable } from 'node:stream'
import type { BlobStore } from './blob-store.ts'
import { parseRange } from './range.ts'

/** Up to this size an answer is read at once: one read, one write, and a failure is still a clean 500. */
const AT_ONCE = 256 * 1024

export interface ServedFile {
  store: Pick<BlobStore, 'get'>
  key: string
  /** Size, type and hash as recorded when it was stored. */
  bytes: number
  mime: string
  sha256: string
  request: { method: string; headers: Headers }
  /** e.g. `public, max-age=31536000, immutable`. */
  cacheControl: string
  /** Asks the browser to save it under this name. */
  downloadName?: string
  modifiedAt?: Date
  /** Added to every answer (CORS and the like); lower-case names. */
  headers?: Record<string, string>
}

/**
 * Answers GET and HEAD for a stored file: 200, 206, 304, 416, or null when the store does not have it.
 * The body is closed when the client hangs up. A file that breaks or ends early breaks the connection: a player must
 * never take half a song for a whole one.
 */
export async function serveFile(file: ServedFile): Promise<Response | null> {
  const asked = file.request.headers
  const etag = `"${file.sha256}"`
  const headers: Record<string, string> = {
    ...file.headers,
    etag,
    'accept-ranges': 'bytes',
    'cache-control': file.cacheControl,
    'x-content-type-options': 'nosniff',
  }
  if (file.modifiedAt) headers['last-modified'] = file.modifiedAt.toUTCString()
  if (matches(asked.get('if-none-match'), etag)) return new Response(null, { status: 304, headers })

  headers['content-type'] = file.mime
  if (file.downloadName !== undefined) headers['content-disposition'] = attachment(file.downloadName)
  const head = file.request.method === 'HEAD'
  const mayBePart = !head && rangeStillHolds(asked.get('if-range'), etag)
  const range = mayBePart ? parseRange(asked.get('range'), file.bytes) : 'whole'
  if (range === 'unsatisfiable') {
    headers['content-range'] = `bytes */${file.bytes}`
    headers['content-type'] = 'text/plain'
    delete headers['content-disposition']
    return new Response('range not satisfiable', { status: 416, headers })
  }
  const length = range === 'whole' ? file.bytes : range.end - range.start + 1
  headers['content-length'] = String(length)
  if (range !== 'whole') headers['content-range'] = `bytes ${range.start}-${range.end}/${file.bytes}`
  const status = range === 'whole' ? 200 : 206
  if (head) return new Response(null, { status, headers })

  const source = await file.store.get(file.key, range === 'whole' ? undefined : range)
  if (!source) return null
  const body = length <= AT_ONCE ? await readWhole(source, length) : streamOf(source, length)
  return new Response(body, { status, headers })
}

async function readWhole(source: Readable, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let received = 0
  for await (const chunk of source as AsyncIterable<Uint8Array>) {
    chunks.push(chunk)
    received += chunk.byteLength
  }
  if (received !== length) throw new Error(`stored file has ${received} bytes instead of ${length}`)
  return (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)) as Uint8Array<ArrayBuffer>
}

/** Pull by pull, nothing read ahead beyond the source's own buffer; cancelling destroys the source. */
function streamOf(source: Readable, length: number): ReadableStream<Uint8Array> {
  const iterator = (source as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]()
  let left = length
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await iterator.next()
        if (!done) {
          left -= value.byteLength
          if (left >= 0) return controller.enqueue(value)
        }
        if (done && left === 0) return controller.close()
        source.destroy()
        throw new Error(`stored file is ${left > 0 ? 'shorter' : 'longer'} than recorded`)
      },
      cancel() {
        source.destroy()
      },
    },
    { highWaterMark: 0 },
  )
}

/** Weak comparison, as `If-None-Match` wants it. */
function matches(header: string | null, etag: string): boolean {
  if (header === null) return false
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*')
}

/** A date is never taken as proof: only our own strong tag lets a part be added to what the client has. */
const rangeStillHolds = (ifRange: string | null, etag: string): boolean => ifRange === null || ifRange.trim() === etag

/** RFC 6266: a plain name for old clients, the real one in UTF-8. */
export function attachment(name: string): string {
  const clean = name.replace(/[\p{Cc}/\\]/gu, '_').slice(0, 150).toWellFormed() || 'download'
  const plain = clean.replace(/[^\x20-\x7e]/g, '_').replace(/["%]/g, '_')
  const hex = (letter: string) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`
  const encoded = encodeURIComponent(clean).replace(/['()*]/g, hex)
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
