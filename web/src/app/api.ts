import { currentLanguage } from '../i18n/i18n.tsx'
import { recall, remember } from './browser-memory.ts'
import { valueStore } from './value-store.ts'

/** One wrong field of a request, as the server names it. */
export interface FieldProblem {
  path: string
  rule: string
  message: string
}

/** A refusal. `status` 0 means that no answer came at all. `detail` is already in the reader's language. */
export class ApiProblem extends Error {
  readonly status: number
  readonly code: string
  readonly detail: string | undefined
  readonly fields: FieldProblem[]
  readonly body: Record<string, unknown>

  constructor(status: number, body: Record<string, unknown>) {
    const code = typeof body.code === 'string' ? body.code : typeof body.error === 'string' ? body.error : undefined
    super(code ?? `http_${status}`)
    this.name = 'ApiProblem'
    this.status = status
    this.code = code ?? (status === 0 ? 'offline' : `http_${status}`)
    this.detail = firstText(body.detail, body.message, body.title)
    this.fields = Array.isArray(body.errors) ? (body.errors as FieldProblem[]) : []
    this.body = body
  }

  /** A member such as `required`, `available` or `retryAfterSec`. */
  number(name: string): number | undefined {
    const value = this.body[name]
    return typeof value === 'number' ? value : undefined
  }
}

const firstText = (...values: unknown[]) => values.find((value): value is string => typeof value === 'string')

/** True while no answer comes, or only a gateway's. */
export const serverAway = valueStore(false)
/** True when the server has said 401: the page then asks who is there. */
export const signedOut = valueStore(false)

const TOKEN = 'reprise.token'
export const bearer = () => recall(TOKEN, 'tab')
export const keepBearer = (token: string | null) => remember(TOKEN, token, 'tab')

let clockLead = 0
/** The server's time, by the last answer's Date: a wrong clock here must not call healthy work stale. */
export const serverNow = () => Date.now() - clockLead

export interface Call {
  method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** A file goes as it is, all else as JSON. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
}

export function requestHeaders(more: Record<string, string> = {}): Record<string, string> {
  const token = bearer()
  return { 'accept-language': currentLanguage(), ...(token ? { authorization: `Bearer ${token}` } : {}), ...more }
}

/** Calls our own server. Answers the parsed body, `undefined` for an empty one; throws only `ApiProblem`. */
export const api = <T>(path: string, call: Call = {}): Promise<T> => ask(path, call, async (response) => parse(await response.text()) as T)

/** The same for a file. */
export const fetchFile = (path: string): Promise<Blob> => ask(path, { headers: { accept: '*/*' } }, (response) => response.blob())

async function ask<T>(path: string, call: Call, read: (response: Response) => Promise<T>): Promise<T> {
  const file = call.body instanceof Blob ? call.body : undefined
  // A file says its type itself.
  const type: Record<string, string> = call.body === undefined || file ? {} : { 'content-type': 'application/json' }
  let response: Response
  let body: unknown
  try {
    response = await fetch(path, {
      method: call.method ?? 'GET',
      headers: requestHeaders({ accept: 'application/json', ...type, ...call.headers }),
      body: file ?? (call.body === undefined ? undefined : JSON.stringify(call.body)),
      credentials: 'same-origin',
      signal: call.signal,
    })
    const date = Date.parse(response.headers.get('date') ?? '')
    if (!Number.isNaN(date)) clockLead = Date.now() - date - 500
    if (response.ok) {
      const answer = await read(response)
      serverAway.set(false)
      return answer
    }
    body = parse(await response.text())
  } catch (cause) {
    if (call.signal?.aborted) throw cause
    serverAway.set(true)
    throw new ApiProblem(0, {})
  }
  serverAway.set(response.status >= 502 && response.status <= 504 && !isProblem(body))
  if (response.status === 401) signedOut.set(true)
  throw new ApiProblem(response.status, isProblem(body) ? body : {})
}

function parse(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

const isProblem = (body: unknown): body is Record<string, unknown> => typeof body === 'object' && body !== null

export interface Page<T> {
  items: T[]
  nextCursor?: string | null
}
