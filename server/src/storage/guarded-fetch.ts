import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import type { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { Agent, buildConnector, request, type Dispatcher } from 'undici'
import { setting, list } from '../config/setting.ts'
import { bareHost, isInternalName, isPublicAddress } from './address.ts'

export const settings = {
  downloadAllowHosts: setting({
    env: 'DOWNLOAD_ALLOW_HOSTS',
    doc: 'Comma-separated host[:port] that may be private or plain http (development only).',
    schema: list(),
  }),
}

export type FetchRefusal =
  | 'unsafe_url'
  | 'too_large'
  | 'timeout'
  | 'stalled'
  | 'network'
  | 'too_many_redirects'
  | 'aborted'

/** Why a request gave no (whole) answer. Messages name the host at most, never path, query or headers. */
export class FetchRefused extends Error {
  readonly code: FetchRefusal
  readonly detail: string
  /** False when nothing can have reached the other side: safe to repeat, whatever the method. */
  readonly sent: boolean
  constructor(code: FetchRefusal, detail: string, sent: boolean, cause?: unknown) {
    super(`${code}: ${detail}`, { cause })
    this.name = 'FetchRefused'
    this.code = code
    this.detail = detail
    this.sent = sent
  }
}

export interface FetchOptions {
  /**
   * Who made this address: the operator's configuration, a provider's answer, or a user.
   * `allowHosts` counts for the first two only; a user's address never reaches a private host.
   */
  trust: 'provider-api' | 'provider-file' | 'user'
  /** A word for errors, e.g. `suno submit`. */
  purpose: string
  /** Most bytes of the body, after decoding. */
  maxBytes: number
  /** From the call to the last byte. */
  timeoutMs: number
  /** Longest silence, of the headers too. Default 30 s. */
  idleTimeoutMs?: number
  /** Slower than `bytesPerSec` over any `windowMs` is `stalled`. */
  minRate?: { bytesPerSec: number; windowMs: number }
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** The `Accept` header. */
  accept?: string
  headers?: Record<string, string>
  body?: string | Uint8Array
  signal?: AbortSignal
  /** Followed for GET and HEAD only; each hop is checked anew. 0 to 3, default 3. */
  redirects?: number
}

export interface FetchResponse {
  status: number
  /** Lower-case names; repeated ones joined by a comma. */
  headers: Record<string, string>
  /** The address that answered, after redirects. */
  url: string
  /** Of the body as sent; null when not told, or when the body is decoded on the way. */
  contentLength: number | null
  /** To be read once, or given up by `discard`. Throws `FetchRefused`. */
  body: AsyncIterable<Uint8Array>
  text(): Promise<string>
  discard(): void
}

export type GuardedFetch = ((url: string, options: FetchOptions) => Promise<FetchResponse>) & { close(): Promise<void> }

type Resolve = (
  host: string,
  options: LookupOptions,
  done: (error: Error | null, found: LookupAddress[]) => void,
) => void

/**
 * The only way out of the house. https to public addresses only: a literal address is checked before connecting, a
 * name by every address it resolves to, and the connection goes to the very addresses that were checked.
 * No credentials in addresses, no cookies, redirects by hand. Keeps connections alive, up to 128 per origin.
 * @param options.allowHosts `host` or `host:port` that may be private or plain http. Development only.
 * @param options.resolve stands in for the system's resolver, `isPublic` for the table of special ranges (tests).
 */
export function createGuardedFetch(options: {
  allowHosts: string[]
  resolve?: Resolve
  isPublic?: (address: string) => boolean
}): GuardedFetch {
  const allowed = new Set(options.allowHosts.map(normalHost))
  const resolve: Resolve = options.resolve ?? ((host, how, done) => dnsLookup(host, { ...how, all: true }, done))
  const nobody = new Set<string>()
  // Two pools: a user's address must not ride on a connection that only a provider's may open.
  const isPublic = options.isPublic ?? isPublicAddress
  const agents = { provider: createAgent(allowed, resolve, isPublic), user: createAgent(nobody, resolve, isPublic) }

  async function guardedFetch(url: string, call: FetchOptions): Promise<FetchResponse> {
    const limits = startLimits(call)
    try {
      return await follow(url, call, limits)
    } catch (error) {
      limits.end()
      throw refusalOf(error, call, limits, hostOf(url))
    }
  }

  async function follow(first: string, call: FetchOptions, limits: Limits): Promise<FetchResponse> {
    const method = call.method ?? 'GET'
    const mayFollow = method === 'GET' || method === 'HEAD'
    const hops = Math.min(call.redirects ?? 3, 3)
    const user = call.trust === 'user'
    const check = (text: string, base?: URL) => checkUrl(text, user ? nobody : allowed, isPublic, base)
    let target = check(first)
    let headers: Record<string, string> = { ...lowerCased(call.headers), ...(call.accept && { accept: call.accept }) }
    for (let hop = 0; ; hop++) {
      const response = await request(target, {
        dispatcher: user ? agents.user : agents.provider,
        method,
        headers: { 'user-agent': 'reprise', 'accept-encoding': 'identity', ...headers },
        body: call.body ?? null,
        signal: limits.signal,
        headersTimeout: limits.idleMs,
        bodyTimeout: limits.idleMs,
      })
      limits.answered = true
      const location = response.headers.location
      if (!mayFollow || ![301, 302, 303, 307, 308].includes(response.statusCode) || typeof location !== 'string') {
        return readable(response, target, call, limits)
      }
      discardBody(response.body)
      if (hop >= hops) throw new FetchRefused('too_many_redirects', `more than ${hops} from ${target.host}`, true)
      const next = check(location, target)
      // Keys and tokens belong to the host they were meant for.
      if (next.origin !== target.origin) headers = pick(headers, ['accept', 'range'])
      target = next
    }
  }

  return Object.assign(guardedFetch, {
    close: async () => void (await Promise.all([agents.provider.destroy(), agents.user.destroy()])),
  })
}

function checkUrl(text: string, allowed: Set<string>, isPublic: (address: string) => boolean, base?: URL): URL {
  const unsafe = (why: string) => new FetchRefused('unsafe_url', why, false)
  if (text.length > 8192 || !URL.canParse(text, base)) throw unsafe('not an address')
  const url = new URL(text, base)
  if (url.username || url.password) throw unsafe('credentials in the address')
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw unsafe(`scheme ${url.protocol}`)
  if (isAllowed(allowed, url.hostname, portOf(url))) return url
  if (url.protocol !== 'https:') throw unsafe('not https')
  const host = bareHost(url.hostname)
  if (isIP(host) ? !isPublic(host) : isInternalName(host)) throw unsafe(`${host} is not public`)
  return url
}

function createAgent(allowed: Set<string>, resolve: Resolve, isPublic: (address: string) => boolean): Agent {
  const common = { timeout: 10_000, keepAlive: true, allowH2: false, autoSelectFamily: true }
  const open = buildConnector(common)
  const checked = buildConnector({ ...common, lookup: checkedLookup(resolve, isPublic) })
  const byResolver = buildConnector({ ...common, lookup: anyLookup(resolve) })
  return new Agent({
    // Pools are per origin; a burst of 100 saves from one provider must not queue behind each other.
    connections: 128,
    pipelining: 1,
    keepAliveTimeout: 20_000,
    keepAliveMaxTimeout: 60_000,
    maxHeaderSize: 32 * 1024,
    connect(target, done) {
      const host = bareHost(target.hostname)
      const free = isAllowed(allowed, host, target.port || (target.protocol === 'https:' ? '443' : '80'))
      const failed = (error: Error) => done(new NotConnected(error), null)
      if (!free && target.protocol !== 'https:') return failed(new UnsafeAddress('not https'))
      // Node asks no lookup about a literal address, so it is judged here.
      if (!free && isIP(host) && !isPublic(host)) return failed(new UnsafeAddress(`${host} is not public`))
      const connect = isIP(host) ? open : free ? byResolver : checked
      connect({ ...target, hostname: host }, (error, socket) => {
        if (error) return failed(error)
        // Belt and braces: what we are connected to now, whichever way it was found.
        const reached = socket!.remoteAddress
        if (free || (reached && isPublic(reached))) return done(null, socket!)
        socket!.destroy()
        failed(reached ? new UnsafeAddress(`${host} led to a private address`) : new Error('closed'))
      })
    },
  })
}

/** Refuses a name when ANY of its addresses is special: a mixed answer is an attack, not a service. */
const checkedLookup =
  (resolve: Resolve, isPublic: (address: string) => boolean): LookupFunction =>
  (hostname, how, done) =>
    resolve(hostname, { ...how, all: true }, (error, found) => {
      if (error) return done(error, [])
      const bad = found.find(({ address }) => !isPublic(address))
      if (bad) return done(new UnsafeAddress(`${hostname} resolves to ${bad.address}`), [])
      answer(found, how, done)
    })

const anyLookup = (resolve: Resolve): LookupFunction => (hostname, how, done) =>
  resolve(hostname, { ...how, all: true }, (error, found) => (error ? done(error, []) : answer(found, how, done)))

function answer(found: LookupAddress[], how: LookupOptions, done: Parameters<LookupFunction>[2]): void {
  if (!found.length) done(new Error('no address'), [])
  else if (how.all) done(null, found)
  else done(null, found[0]!.address, found[0]!.family)
}

class UnsafeAddress extends Error {}

/** Marks every failure before the first byte of a request left us. */
class NotConnected extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause })
  }
}

interface Limits {
  signal: AbortSignal
  idleMs: number
  timedOut: boolean
  answered: boolean
  end(): void
}

function startLimits(call: FetchOptions): Limits {
  const controller = new AbortController()
  const onAbort = () => controller.abort(call.signal!.reason)
  const limits: Limits = {
    signal: controller.signal,
    // A silence as long as the whole call would be reported as the wrong one of the two.
    idleMs: Math.min(call.idleTimeoutMs ?? 30_000, call.timeoutMs + 1000),
    timedOut: false,
    answered: false,
    end() {
      clearTimeout(timer)
      call.signal?.removeEventListener('abort', onAbort)
    },
  }
  const timer = setTimeout(() => {
    limits.timedOut = true
    controller.abort(new Error('total time is over'))
  }, call.timeoutMs)
  if (call.signal?.aborted) onAbort()
  else call.signal?.addEventListener('abort', onAbort, { once: true })
  return limits
}

function readable(response: Dispatcher.ResponseData, url: URL, call: FetchOptions, limits: Limits): FetchResponse {
  // Given up unread and then timed out, it would otherwise end the process as an unheard 'error'.
  response.body.on('error', () => {})
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(response.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  const told = /^\d+$/.test(headers['content-length'] ?? '') ? Number(headers['content-length']) : null
  const tooLarge = () => new FetchRefused('too_large', `more than ${call.maxBytes} bytes from ${url.host}`, true)
  const discard = () => {
    limits.end()
    discardBody(response.body)
  }
  if (told !== null && told > call.maxBytes && call.method !== 'HEAD') {
    discard()
    throw tooLarge()
  }
  async function* read(): AsyncGenerator<Uint8Array> {
    let total = 0
    const rate = call.minRate && rateGuard(call.minRate, url.host)
    try {
      for await (const chunk of chunksOf(decoded(response.body, encoding))) {
        total += chunk.byteLength
        if (total > call.maxBytes) throw tooLarge()
        rate?.(chunk.byteLength)
        yield chunk
      }
    } catch (error) {
      throw refusalOf(error, call, limits, url.host)
    } finally {
      discard()
    }
  }
  let taken = false
  const body = {
    [Symbol.asyncIterator]: () => {
      if (taken) throw new Error('a body is read once')
      taken = true
      return read()
    },
  }
  return {
    status: response.statusCode,
    headers,
    url: url.href,
    contentLength: encoding === 'identity' ? told : null,
    body,
    discard,
    async text() {
      const parts: Uint8Array[] = []
      for await (const chunk of body) parts.push(chunk)
      return Buffer.concat(parts).toString('utf8')
    },
  }
}

/** We ask for identity; who compresses all the same is decoded, and the decoded bytes count. */
function decoded(body: Readable, encoding: string): Readable {
  if (encoding === 'identity' || encoding === '') return body
  const decoder =
    encoding === 'gzip' || encoding === 'x-gzip'
      ? createGunzip()
      : encoding === 'deflate'
        ? createInflate()
        : encoding === 'br'
          ? createBrotliDecompress()
          : null
  if (!decoder) throw new Error(`unknown content-encoding`)
  body.on('error', (error) => decoder.destroy(error))
  decoder.on('error', () => {})
  decoder.on('close', () => body.destroy())
  return body.pipe(decoder)
}

/**
 * The chunks of a stream as they come. Its own iterator copies all that waits into one; with many large files at once
 * collecting those copies costs more than receiving the files.
 */
async function* chunksOf(source: Readable): AsyncGenerator<Uint8Array> {
  const waiting: Uint8Array[] = []
  const brokenOff = () => Object.assign(new Error('the stream broke off'), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
  // It may be over before anybody listens.
  let ended = source.readableEnded
  let failure: unknown = source.errored ?? (source.destroyed ? brokenOff() : null)
  let wake = (): void => undefined
  source.on('data', (chunk: Uint8Array) => {
    waiting.push(chunk)
    source.pause()
    wake()
  })
  source.on('end', () => {
    ended = true
    wake()
  })
  source.on('error', (error) => {
    failure = error
    wake()
  })
  source.on('close', () => {
    failure ??= brokenOff()
    wake()
  })
  for (;;) {
    const chunk = waiting.shift()
    if (chunk) yield chunk
    else if (ended) return
    else if (failure) throw failure
    else {
      const { promise, resolve } = Promise.withResolvers<void>()
      wake = resolve
      source.resume()
      await promise
    }
  }
}

function rateGuard({ bytesPerSec, windowMs }: { bytesPerSec: number; windowMs: number }, host: string) {
  let since = performance.now()
  let bytes = 0
  return (more: number) => {
    bytes += more
    const elapsed = performance.now() - since
    if (elapsed < windowMs) return
    if (bytes * 1000 < bytesPerSec * elapsed) {
      throw new FetchRefused('stalled', `${host} sends less than ${bytesPerSec} bytes a second`, true)
    }
    since += elapsed
    bytes = 0
  }
}

function refusalOf(error: unknown, call: FetchOptions, limits: Limits, host: string): FetchRefused {
  if (error instanceof FetchRefused) return error
  const what = `${call.purpose}, ${host}`
  const notConnected = error instanceof NotConnected ? (error.cause as Error) : null
  // Once aborted nobody can tell how far it came, unless it never connected.
  const sent = !notConnected
  if (notConnected instanceof UnsafeAddress) return new FetchRefused('unsafe_url', notConnected.message, false)
  if (limits.timedOut) return new FetchRefused('timeout', `${what}: ${call.timeoutMs} ms are over`, sent)
  if (call.signal?.aborted) return new FetchRefused('aborted', what, sent, call.signal.reason)
  const code = (notConnected ?? (error as { code?: string; name?: string } | null)) as { code?: string; name?: string }
  const word = code?.code ?? code?.name ?? 'failed'
  if (word === 'UND_ERR_BODY_TIMEOUT' || word === 'UND_ERR_HEADERS_TIMEOUT') {
    return new FetchRefused('stalled', `${what}: silent for ${limits.idleMs} ms`, sent)
  }
  return new FetchRefused('network', `${what}: ${word}`, sent)
}

function discardBody(body: Readable): void {
  body.on('error', () => {})
  body.destroy()
}

const portOf = (url: URL): string => url.port || (url.protocol === 'https:' ? '443' : '80')
const normalHost = (host: string): string => host.trim().toLowerCase()
const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : 'no address')

function isAllowed(allowed: Set<string>, hostname: string, port: string): boolean {
  if (!allowed.size) return false
  const host = bareHost(hostname).replace(/\.$/, '').toLowerCase()
  const bracketed = isIP(host) === 6 ? `[${host}]` : host
  return allowed.has(host) || allowed.has(bracketed) || allowed.has(`${bracketed}:${port}`)
}

const lowerCased = (headers: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

const pick = (from: Record<string, string>, names: string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)))
