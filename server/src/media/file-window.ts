import { open, type FileHandle } from 'node:fs/promises'

const SIZE = 256 * 1024
/** Windows that nobody looks through: with many files at once their memory would be thrown away faster than it is collected. */
const spare: Buffer[] = []
const MOST_SPARE = 8

/**
 * A file seen through one moving window: checks jump from header to header of a large file in a quarter megabyte of
 * memory, and every wait for the disk gives the event loop back.
 */
export interface FileWindow {
  readonly size: number
  /** True when bytes `[at, at + length)` are in the window: `view` and `offset` then read them without waiting. */
  has(at: number, length: number): boolean
  /** Loads the window around `at` (as much as fits in the file). */
  load(at: number): Promise<void>
  /** The bytes of the window, whose first one is byte `start` of the file. */
  readonly bytes: Buffer
  readonly start: number
  /** A copy of `[at, at + length)`, cut at the end of the file. At most 256 KiB. */
  read(at: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

export async function openWindow(path: string): Promise<FileWindow> {
  const file: FileHandle = await open(path, 'r')
  const { size } = await file.stat()
  let memory = size >= SIZE ? (spare.pop() ?? Buffer.allocUnsafe(SIZE)) : Buffer.allocUnsafe(Math.max(size, 1))
  let start = 0
  let bytes = memory.subarray(0, 0)
  const has = (at: number, length: number) => at >= start && at + length <= start + bytes.length
  async function load(at: number): Promise<void> {
    let filled = 0
    while (filled < memory.length) {
      const { bytesRead } = await file.read(memory, filled, memory.length - filled, at + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    start = at
    bytes = memory.subarray(0, filled)
  }
  return {
    size,
    has,
    load,
    get bytes() {
      return bytes
    },
    get start() {
      return start
    },
    async read(at, length) {
      const wanted = Math.max(0, Math.min(length, size - at))
      if (!has(at, wanted)) await load(at)
      return Buffer.from(bytes.subarray(at - start, at - start + wanted))
    },
    async close() {
      const done = memory
      memory = bytes = Buffer.alloc(0)
      // A load under way still writes into it: only once the file is closed is it free.
      await file.close()
      if (done.length === SIZE && spare.length < MOST_SPARE) spare.push(done)
    },
  }
}
