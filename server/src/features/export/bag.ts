import { makeZip, predictLength } from 'client-zip'
import { createHash } from 'node:crypto'
import { sha256Hex } from '../../kernel/ids.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import type { StoredFile } from './library.ts'

/** A file of the bag: bytes that we made, or those of a stored file. */
export interface BagFile {
  /** Within the bag: `data/…`. */
  name: string
  sha256: string
  bytes: number
  at: Date
  content: Uint8Array | StoredFile
}

/** A stored file had other bytes than its record says: the bag cannot be ended. */
export class BrokenFile extends Error {
  readonly blobKey: string
  constructor(blobKey: string) {
    super('a stored file is not what its record says')
    this.name = 'BrokenFile'
    this.blobKey = blobKey
  }
}

/** A file that we made. */
export function madeFile(name: string, text: string, at: Date): BagFile {
  const content = Buffer.from(text)
  return { name, sha256: sha256Hex(content), bytes: content.length, at, content }
}

/** BagIt 1.0 (RFC 8493) around these payload files: its tag files come first, all of it is known before a byte is read. */
export function bagOf(payload: BagFile[], info: Record<string, string>, at: Date): BagFile[] {
  const lines = (files: BagFile[]) => files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')
  const oxum = `${payload.reduce((sum, { bytes }) => sum + bytes, 0)}.${payload.length}`
  const tags = [
    madeFile('bagit.txt', 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n', at),
    madeFile('bag-info.txt', Object.entries({ ...info, 'Payload-Oxum': oxum }).map(([name, value]) => `${name}: ${value}\n`).join(''), at),
    madeFile('manifest-sha256.txt', lines(payload), at),
  ]
  return [...tags, madeFile('tagmanifest-sha256.txt', lines(tags), at), ...payload]
}

const inZip = (folder: string, { name, bytes, at }: BagFile) => ({ name: `${folder}/${name}`, size: bytes, lastModified: at })

/** Bytes of the whole ZIP. */
export const zipLength = (folder: string, files: BagFile[]): number => Number(predictLength(files.map((file) => inZip(folder, file))))

/** A reader that takes nothing for so long has gone. */
const STALL_MS = 300_000

interface Reading {
  blobs: Pick<BlobStore, 'get'>
  /** Told of a file that is not what its record says. */
  suspect: (blobKey: string) => void
  /** Called when it is over: read, broken, cancelled, or nobody took anything for 5 minutes. */
  ended?: () => void
}

/**
 * The files as a ZIP in which nothing is compressed, below one folder; read while it is written, a few chunks in memory.
 * Every stored file is hashed on its way: one that is not what its record says ends the stream with `BrokenFile`, so
 * that nobody takes what arrived for whole.
 */
export function zip(folder: string, files: BagFile[], { blobs, suspect, ended = () => undefined }: Reading): ReadableStream<Uint8Array> {
  const leaving = new AbortController()
  const reader = zipOf(folder, files, blobs, leaving.signal).getReader()
  let stalled: NodeJS.Timeout | undefined
  const over = () => {
    clearTimeout(stalled)
    leaving.abort()
    ended()
  }
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      clearTimeout(stalled)
      try {
        const { done, value } = await reader.read()
        if (done) {
          over()
          return controller.close()
        }
        controller.enqueue(value)
      } catch (error) {
        over()
        if (error instanceof BrokenFile) suspect(error.blobKey)
        throw error
      }
      stalled = setTimeout(() => {
        over()
        controller.error(new Error('nobody reads the ZIP any more'))
      }, STALL_MS).unref()
    },
    cancel: over,
  }, { highWaterMark: 0 })
}

/** The signal closes what is open. */
function zipOf(folder: string, files: BagFile[], blobs: Pick<BlobStore, 'get'>, signal: AbortSignal): ReadableStream<Uint8Array> {
  async function* read({ blobKey, bytes, sha256 }: StoredFile): AsyncGenerator<Uint8Array> {
    signal.throwIfAborted()
    const source = await blobs.get(blobKey)
    if (!source) throw new BrokenFile(blobKey)
    const close = () => source.destroy()
    signal.addEventListener('abort', close, { once: true })
    try {
      const hash = createHash('sha256')
      let left = bytes
      for await (const chunk of source as AsyncIterable<Uint8Array>) {
        left -= chunk.byteLength
        if (left < 0) break
        hash.update(chunk)
        yield chunk
      }
      if (left !== 0 || hash.digest('hex') !== sha256) throw new BrokenFile(blobKey)
    } finally {
      signal.removeEventListener('abort', close)
      close()
    }
  }

  return makeZip((function* () {
    for (const file of files) {
      const { content } = file
      yield content instanceof Uint8Array ? { ...inZip(folder, file), input: content } : { ...inZip(folder, file), input: read(content) }
    }
  })())
}
