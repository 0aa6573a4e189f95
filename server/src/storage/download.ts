import { StageTooLarge, type BlobStore, type StagedFile } from './blob-store.ts'
import { FetchRefused, type FetchOptions, type FetchResponse, type GuardedFetch } from './guarded-fetch.ts'

/** Most bytes of one file, by what it is (product.md, "Saving"). */
export const MAX_BYTES = { audio: 50 * 2 ** 20, image: 20 * 2 ** 20, video: 500 * 2 ** 20 }

export type DownloadFailure =
  | 'not_found'
  | 'forbidden'
  | 'gone'
  | 'http_error'
  | 'server_error'
  | 'not_media'
  | 'empty'
  | 'truncated'
  | 'stalled'
  | 'timeout'
  | 'network'
  | 'too_many_redirects'
  | 'too_large'
  | 'unsafe_url'

/** Nothing was kept. `final` says that the same address will never do; everything else may be tried again. */
export class DownloadError extends Error {
  readonly code: DownloadFailure
  readonly final: boolean
  readonly detail: string
  constructor(code: DownloadFailure, detail: string, cause?: unknown) {
    super(`${code}: ${detail}`, { cause })
    this.name = 'DownloadError'
    this.code = code
    this.final = code === 'too_large' || code === 'unsafe_url'
    this.detail = detail
  }
}

export interface DownloadOptions {
  store: Pick<BlobStore, 'stage'>
  guardedFetch: GuardedFetch
  maxBytes: number
  /** Who made the address. Default `provider-file`. */
  trust?: FetchOptions['trust']
  /** The whole download. Default 5 minutes. */
  timeoutMs?: number
  /** Longest silence. Default 20 s. */
  idleTimeoutMs?: number
  /** Slower is `stalled`. Default 1,000 bytes a second, measured over 20 s. */
  minRate?: { bytesPerSec: number; windowMs: number }
  signal?: AbortSignal
}

/**
 * Fetches a file into the staging place of the store: hashed, whole as far as HTTP can tell, and no web page. What it
 * contains is for `inspect` to say. Throws `DownloadError`; the signal's own reason when aborted; and the store's
 * error as it is (a full disk is not the provider's fault).
 */
export async function download(
  url: string,
  options: DownloadOptions,
): Promise<StagedFile & { contentType: string | null }> {
  const { store, guardedFetch, maxBytes, signal } = options
  let response: FetchResponse | null = null
  try {
    response = await guardedFetch(url, {
      trust: options.trust ?? 'provider-file',
      purpose: 'download',
      maxBytes,
      timeoutMs: options.timeoutMs ?? 300_000,
      idleTimeoutMs: options.idleTimeoutMs ?? 20_000,
      minRate: options.minRate ?? { bytesPerSec: 1000, windowMs: 20_000 },
      accept: '*/*',
      signal,
    })
    const contentType = mediaTypeOf(response)
    const staged = await store.stage(response.body, { maxBytes })
    const problem = problemOf(staged, response)
    if (!problem) return { ...staged, contentType }
    await staged.discard()
    throw problem
  } catch (error) {
    response?.discard()
    if (error instanceof StageTooLarge) throw new DownloadError('too_large', error.message)
    if (!(error instanceof FetchRefused)) throw error
    if (error.code === 'aborted') throw signal?.reason ?? error
    // The answer had begun: the line broke in the middle of the file.
    const code = error.code === 'network' && response ? 'truncated' : error.code
    throw new DownloadError(code, error.detail, error)
  }
}

/** Judges the head of the answer, before a byte of the body is stored. */
function mediaTypeOf(response: FetchResponse): string | null {
  const { status } = response
  const refuse = (code: DownloadFailure, detail = `HTTP ${status}`) => new DownloadError(code, detail)
  if (status === 404) throw refuse('not_found')
  if (status === 401 || status === 403) throw refuse('forbidden')
  if (status === 410) throw refuse('gone')
  if (status >= 500) throw refuse('server_error')
  if (status !== 200) throw refuse('http_error')
  const type = response.headers['content-type']?.split(';')[0]!.trim().toLowerCase() || null
  if (type && PAGES.test(type)) throw refuse('not_media', `answered ${type.slice(0, 60)}`)
  return type
}

/** Error pages and error documents that come with status 200. */
const PAGES = /^(text\/html|(application|text)\/(json|xml|javascript)|application\/[a-z.-]+\+(json|xml))$/

function problemOf(staged: StagedFile, response: FetchResponse): DownloadError | null {
  if (staged.bytes === 0) return new DownloadError('empty', 'no bytes')
  const told = response.contentLength
  if (told !== null && told !== staged.bytes) {
    return new DownloadError('truncated', `${staged.bytes} of ${told} bytes`)
  }
  return null
}
