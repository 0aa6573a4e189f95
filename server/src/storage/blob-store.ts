import type { Readable } from 'node:stream'

/** Where finished files live. Two drivers (disk, S3) obey one suite: `blob-store.contract.ts`. */
export interface BlobStore {
  /**
   * Publishes a staged file under `key`, atomically and durably (fsynced): a reader sees all of it or nothing.
   * NEVER overwrites: `exists` when the key is taken (by whatever bytes), and then nothing is changed: the staged
   * file is still there, for the caller to compare and discard. Published, it is used up.
   */
  publish(staged: StagedFile, key: string, info: { mime: string }): Promise<'published' | 'exists'>
  /**
   * Puts a staged file in the place of a damaged one, atomically and durably: a reader sees all of the old bytes or all
   * of the new ones, never neither, and the old bytes stay under the key `aside` (when there were any). Fails and
   * changes nothing when `aside` is taken. Only to give a name its own bytes back: names never change their bytes.
   */
  replace(staged: StagedFile, key: string, info: { mime: string; aside: string }): Promise<void>
  /** Writes a stream to a private place, hashing as it goes. Fails with `StageTooLarge` past `maxBytes`. */
  stage(
    source: Readable | AsyncIterable<Uint8Array>,
    options: { maxBytes: number; signal?: AbortSignal },
  ): Promise<StagedFile>
  head(key: string): Promise<{ bytes: number; modifiedAt: Date } | null>
  /** Bytes `start..end` inclusive (whole file without range). Null when missing. */
  get(key: string, range?: { start: number; end: number }): Promise<Readable | null>
  delete(key: string): Promise<void>
  /** In the order of the keys' bytes (UTF-8). */
  list(prefix: string): AsyncIterable<{ key: string; bytes: number }>
  /** A time-limited address served by the store itself, or null when the caller must stream (disk). */
  sign(key: string, options: { expiresSec: number; downloadName?: string }): Promise<string | null>
}

/** A received file that nobody else can see yet. `path` is a local file, so that probes may read it. */
export interface StagedFile {
  path: string
  bytes: number
  /** Lower-case hex. */
  sha256: string
  discard(): Promise<void>
}

export class StageTooLarge extends Error {
  readonly maxBytes: number
  constructor(maxBytes: number) {
    super(`larger than ${maxBytes} bytes`)
    this.name = 'StageTooLarge'
    this.maxBytes = maxBytes
  }
}
