import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a fake provider answers next. `hang` never answers; `reset` reads the request and cuts the connection. */
export type Answer =
  | { status?: number; headers?: Record<string, string>; json?: unknown; text?: string; delayMs?: number; after?: Promise<unknown> }
  | { hang: true }
  | { reset: true }
  /** Announces more bytes than it sends, then cuts. */
  | { truncated: string }

export interface Received {
  method: string
  /** Without the query. */
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  text: string
  /** Undefined when the body was not JSON. */
  json: any
  /** The caller's port: tells one connection from another. */
  port: number
}

export type Handler = (request: Received) => Answer

export interface FakeServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  /** Every request, in order, scripted or not. */
  readonly requests: Received[]
  /** The next requests get these answers, in order, whatever they ask; then the usual handler again. */
  next(...answers: (Answer | Handler)[]): void
  /** From now on every unscripted request gets this; called without one, the handler speaks again. */
  usually(answer?: Answer | Handler): void
  close(): Promise<void>
}

/** A real HTTP server on loopback that says what it is told to say. `handler` is its behaviour when not scripted. */
export async function startFakeServer(handler: Handler = () => ({ status: 404, json: {} })): Promise<FakeServer> {
  const requests: Received[] = []
  const script: (Answer | Handler)[] = []
  let override: Answer | Handler | undefined
  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of incoming) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://fake')
    const text = Buffer.concat(chunks).toString('utf8')
    const received: Received = {
      method: incoming.method ?? '',
      path: pathname,
      query: searchParams,
      headers: incoming.headers,
      text,
      json: tryJson(text),
      port: incoming.socket.remotePort ?? 0,
    }
    requests.push(received)
    const answer = script.shift() ?? override ?? handler
    send(response, typeof answer === 'function' ? answer(received) : answer)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    next: (...answers) => void script.push(...answers),
    usually: (answer) => {
      override = answer
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** An address at which nobody listens. */
export async function deadAddress(): Promise<string> {
  const server = await startFakeServer()
  await server.close()
  return server.url
}

function send(response: ServerResponse, answer: Answer): void {
  if ('hang' in answer) return
  if ('reset' in answer) return void response.socket?.resetAndDestroy()
  if ('truncated' in answer) {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.truncated.length + 100 })
    response.write(answer.truncated, () => response.socket?.destroy())
    return
  }
  const type = answer.json === undefined ? 'text/plain' : 'application/json'
  const write = () => {
    response.writeHead(answer.status ?? 200, { 'content-type': type, ...answer.headers })
    response.end(answer.json === undefined ? (answer.text ?? '') : JSON.stringify(answer.json))
  }
  if (answer.after) void answer.after.then(write)
  else if (answer.delayMs) setTimeout(write, answer.delayMs).unref()
  else write()
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
