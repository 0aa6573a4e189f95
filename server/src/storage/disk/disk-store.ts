import { createHash, randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { link, open, opendir, readdir, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { StageTooLarge, type BlobStore, type StagedFile } from '../blob-store.ts'
import { checkKey } from '../key.ts'
import { createFolderSync } from './folder-sync.ts'

const STAGING = '.staging'
/** Bytes gathered before a write; two such batches are alive at once (one being written, one being filled). */
const BATCH = 128 * 1024
const READ_SIZE = 256 * 1024

export interface DiskStore extends BlobStore {
  /** Removes staged files that nobody touched for `olderThanMs` (left by a crash). Returns how many. */
  sweepStaging(olderThanMs: number): Promise<number>
}

/** `BlobStore` on a folder of a local file system that knows hard links. Files are private to our user (0600). */
export function createDiskStore(options: { root: string; now?: () => number }): DiskStore {
  const root = resolve(options.root)
  const staging = join(root, STAGING)
  const now = options.now ?? Date.now
  const folders = createFolderSync(root)

  const pathOf = (key: string): string => {
    checkKey(key)
    return join(root, key)
  }

  async function stage(
    source: AsyncIterable<Uint8Array>,
    { maxBytes, signal }: { maxBytes: number; signal?: AbortSignal },
  ): Promise<StagedFile> {
    signal?.throwIfAborted()
    await folders.ensure(staging)
    const path = join(staging, randomUUID())
    const handle = await open(path, 'wx', 0o600)
    const discard = () => unlink(path).catch(ignoreMissing)
    try {
      const written = await write(source, handle, maxBytes, signal)
      await handle.datasync()
      await handle.close()
      return { path, ...written, discard }
    } catch (error) {
      await handle.close().catch(() => {})
      await discard()
      throw error
    }
  }

  async function publish(staged: StagedFile, key: string): Promise<'published' | 'exists'> {
    const path = pathOf(key)
    const folder = dirname(path)
    let taken = false
    await linkNew().catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
      // Somebody removed folders that we believed to be there.
      folders.forget()
      return linkNew()
    })
    // Also when it was taken: whoever made that entry may have died before syncing it, and we call it stored.
    await folders.sync(folder)
    if (taken) return 'exists'
    await staged.discard()
    return 'published'

    async function linkNew() {
      await folders.ensure(folder)
      await link(staged.path, path).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error
        taken = true
      })
    }
  }

  async function replace(staged: StagedFile, key: string, { aside }: { aside: string }): Promise<void> {
    const path = pathOf(key)
    const kept = pathOf(aside)
    // A second name first, so that at no moment the old bytes have none.
    const keep = async () => {
      await folders.ensure(dirname(kept))
      await link(path, kept)
      await folders.sync(dirname(kept))
    }
    await keep().catch(async (error: unknown) => {
      if (nullIfMissing(error) === null && (await head(key)) === null) return
      folders.forget()
      await keep()
    })
    await folders.ensure(dirname(path))
    await rename(staged.path, path)
    await folders.sync(dirname(path))
  }

  async function head(key: string) {
    const found = await stat(pathOf(key)).catch(nullIfMissing)
    return found?.isFile() ? { bytes: found.size, modifiedAt: found.mtime } : null
  }

  async function get(key: string, range?: { start: number; end: number }) {
    const handle = await open(pathOf(key), 'r').catch(nullIfMissing)
    if (!handle) return null
    const found = await handle.stat()
    if (!found.isFile()) {
      await handle.close()
      return null
    }
    const wanted = range ? range.end - range.start + 1 : found.size
    return createReadStream('', {
      fd: handle,
      start: range?.start ?? 0,
      end: range?.end,
      highWaterMark: Math.max(1, Math.min(READ_SIZE, wanted)),
    })
  }

  async function remove(key: string) {
    const path = pathOf(key)
    const gone = await unlink(path).then(() => true, (error: unknown) => {
      // A folder of that name is no file of ours: nothing to delete.
      if (codeOf(error) === 'EISDIR' || codeOf(error) === 'EPERM') return false
      ignoreMissing(error)
      return false
    })
    if (gone) await folders.sync(dirname(path))
  }

  async function* list(prefix: string): AsyncGenerator<{ key: string; bytes: number }> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1)
    if (folder) checkKey(folder.slice(0, -1))
    yield* walk(folder)

    async function* walk(at: string): AsyncGenerator<{ key: string; bytes: number }> {
      const entries = await readdir(join(root, at), { withFileTypes: true }).catch(nullIfMissing)
      // A folder comes where its contents do: after `a.mp3`, before `a0`.
      const inOrder = (entries ?? []).map((entry) => ({ entry, sort: Buffer.from(entry.isDirectory() ? `${entry.name}/` : entry.name) }))
      for (const { entry } of inOrder.sort((a, b) => Buffer.compare(a.sort, b.sort))) {
        if (entry.name.startsWith('.')) continue
        const key = at + entry.name
        if (entry.isDirectory()) {
          if (key.startsWith(prefix) || prefix.startsWith(`${key}/`)) yield* walk(`${key}/`)
        } else if (entry.isFile() && key.startsWith(prefix)) {
          const found = await stat(join(root, key)).catch(nullIfMissing)
          if (found) yield { key, bytes: found.size }
        }
      }
    }
  }

  async function sweepStaging(olderThanMs: number) {
    const folder = await opendir(staging).catch(nullIfMissing)
    if (!folder) return 0
    let removed = 0
    for await (const entry of folder) {
      const path = join(staging, entry.name)
      const found = await stat(path).catch(nullIfMissing)
      if (!found?.isFile() || now() - found.mtimeMs < olderThanMs) continue
      await unlink(path).then(() => removed++, ignoreMissing)
    }
    return removed
  }

  return { publish, replace, stage, head, get, delete: remove, list, sign: async () => null, sweepStaging }
}

/** Hashes and writes; the next batch is received while the last one is on its way to the disk. */
async function write(source: AsyncIterable<Uint8Array>, file: FileHandle, maxBytes: number, signal?: AbortSignal) {
  const hash = createHash('sha256')
  let bytes = 0
  let batch: Uint8Array[] = []
  let batched = 0
  let writing: Promise<void> = Promise.resolve()
  const flush = async () => {
    await writing
    const full = batch
    batch = []
    batched = 0
    writing = writeAll(file, full)
    // Awaited before the next flush and at the end; this only keeps an early failure from being "unhandled".
    writing.catch(() => {})
  }
  try {
    for await (const chunk of abortable(source, signal)) {
      bytes += chunk.byteLength
      if (bytes > maxBytes) throw new StageTooLarge(maxBytes)
      hash.update(chunk)
      batch.push(chunk)
      batched += chunk.byteLength
      if (batched >= BATCH) await flush()
    }
    if (batched > 0) await flush()
  } finally {
    await writing
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function writeAll(file: FileHandle, chunks: Uint8Array[]): Promise<void> {
  let left = chunks
  while (left.length) {
    let { bytesWritten } = await file.writev(left)
    const rest: Uint8Array[] = []
    for (const chunk of left) {
      if (bytesWritten >= chunk.byteLength) bytesWritten -= chunk.byteLength
      else {
        rest.push(chunk.subarray(bytesWritten))
        bytesWritten = 0
      }
    }
    left = rest
  }
}

/** Ends at once when the signal fires, even while the source is silent; then the source is told to stop too. */
async function* abortable(source: AsyncIterable<Uint8Array>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!signal) return yield* source
  const iterator = source[Symbol.asyncIterator]()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  aborted.catch(() => {})
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  let finished = false
  try {
    for (;;) {
      const step = await Promise.race([iterator.next(), aborted])
      if (step.done) break
      yield step.value
    }
    finished = true
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not awaited: a silent generator would only answer once its next chunk came.
    if (!finished) {
      if ('destroy' in source && typeof source.destroy === 'function') source.destroy()
      else void Promise.resolve(iterator.return?.()).catch(() => {})
    }
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code

function ignoreMissing(error: unknown): void {
  if (nullIfMissing(error) !== null) throw error
}

/** A path through a file (`a.mp3/b`) is as missing as a missing one. */
function nullIfMissing(error: unknown): null {
  if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
  throw error
}
