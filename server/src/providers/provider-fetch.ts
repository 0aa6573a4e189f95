import { Readable } from 'node:stream'
import { Agent, type Dispatcher } from 'undici'

/**
 * The one way adapters speak to a provider. Its whole point is the phase of a failure: `before_send` means that not
 * one byte of the request was handed to a connection, so repeating it is free; anything else may cost money.
 * Addresses are the operator's own configuration; redirects are refused, so a key never travels elsewhere.
 */
export type ProviderFetch = (url: string, init: ProviderFetchInit) => Promise<ProviderAnswer>

/** A body that is made while it is sent, piece by piece, as fast as the connection takes it. */
export interface SizedBody {
  /** Of all pieces together. */
  byteLength: number
  pieces: AsyncIterable<Uint8Array>
}

export interface ProviderFetchInit {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  headers: Record<string, string>
  body?: string | SizedBody
  signal: AbortSignal
  /** For the whole exchange, from the call to the last byte of the answer. */
  timeoutMs: number
  /** Largest answer read, in bytes, where files come inside answers. */
  maxBytes?: number
}

export interface ProviderAnswer {
  status: number
  /** Lower-case names. */
  headers: Record<string, string>
  /** Throws ProviderFetchError when the body broke off or was too large: the status is known all the same. */
  text(): Promise<string>
}

export class ProviderFetchError extends Error {
  readonly phase: 'before_send' | 'after_send'
  readonly detail: string
  constructor(phase: 'before_send' | 'after_send', detail: string) {
    super(`${phase}: ${detail}`)
    this.name = 'ProviderFetchError'
    this.phase = phase
    this.detail = detail
  }
}

export interface ProviderFetchOptions {
  /** Largest answer read, in bytes (2 MiB). */
  maxBytes?: number
  /** Connections per provider; further requests wait unsent. */
  connections?: number
}

export interface ProviderHttp {
  fetch: ProviderFetch
  /** Cuts whatever is still open. */
  close(): Promise<void>
}

export function createProviderFetch(options: ProviderFetchOptions = {}): ProviderHttp {
  const maxBytes = options.maxBytes ?? 2 * 1024 * 1024
  const agent = new Agent({
    allowH2: false,
    connections: options.connections ?? 64,
    connect: { timeout: 10_000 },
    // An idle socket that the provider closes under a submit makes its outcome unknown: keep them only briefly.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 4_000,
    keepAliveTimeoutThreshold: 1_000,
    headersTimeout: 0,
    bodyTimeout: 0,
  })
  const fetch: ProviderFetch = (url, init) => exchange(agent, url, init, init.maxBytes ?? maxBytes)
  return { fetch, close: () => agent.destroy() }
}

function exchange(agent: Agent, url: string, init: ProviderFetchInit, maxBytes: number): Promise<ProviderAnswer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | null = null
    let head: { status: number; headers: Record<string, string> } | null = null
    let settled = false
    let size = 0
    const chunks: Buffer[] = []

    const settle = (failure: string | null) => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      init.signal.removeEventListener('abort', onAbort)
      // undici calls onRequestStart right before it writes the first byte: no controller, nothing written.
      const error = failure === null ? null : new ProviderFetchError(controller ? 'after_send' : 'before_send', failure)
      if (error) controller?.abort(error)
      if (!head) return reject(error ?? new ProviderFetchError('after_send', 'no answer'))
      const text = async () => {
        if (error) throw error
        return Buffer.concat(chunks).toString('utf8')
      }
      resolve({ ...head, text })
    }
    const onAbort = () => settle('aborted by us')
    const timer = setTimeout(() => settle(`no complete answer within ${init.timeoutMs} ms`), init.timeoutMs)
    if (init.signal.aborted) return settle('aborted by us')
    init.signal.addEventListener('abort', onAbort, { once: true })

    try {
      const { origin, pathname, search } = new URL(url)
      const sized = typeof init.body === 'object' ? init.body : null
      const headers = sized ? { ...init.headers, 'content-length': String(sized.byteLength) } : init.headers
      const body = sized ? Readable.from(sized.pieces) : ((init.body as string | undefined) ?? null)
      agent.dispatch(
        { origin, path: pathname + search, method: init.method, headers, body },
        {
          onRequestStart(started) {
            // Given up while waiting for a connection: stop here, before the first byte.
            if (settled) started.abort(new Error('given up before sending'))
            else controller = started
          },
          onResponseStart(_, status, headers) {
            if (status < 200 || settled) return
            if (status >= 300 && status < 400) return settle(`answered a redirect (${status}); redirects are refused`)
            head = { status, headers: flat(headers) }
          },
          onResponseData(_, chunk) {
            if (settled) return
            size += chunk.length
            if (size > maxBytes) return settle(`answer larger than ${maxBytes} bytes`)
            chunks.push(chunk)
          },
          onResponseEnd: () => settle(null),
          onResponseError: (_, error) => settle(describe(error)),
        },
      )
    } catch (error) {
      settle(describe(error))
    }
  })
}

function flat(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flattened: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flattened[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value
  }
  return flattened
}

/** Code and class only: a library's message may quote headers. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'failed'
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : error.name
}
