import { Agent, request as plainRequest, type RequestOptions } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'

/** The receiver's HTTP status, or why there is none. */
export type PostResult = { status: number } | { error: string }

export interface Poster {
  /** Never throws. Redirects are not followed. */
  post(url: string, body: string, timeoutMs: number, headers?: Record<string, string>): Promise<PostResult>
  close(): void
}

/** A small JSON client for callbacks: hundreds a second, so connections are kept. */
export function createPoster(): Poster {
  const plain = new Agent({ keepAlive: true, maxSockets: 64 })
  const tls = new TlsAgent({ keepAlive: true, maxSockets: 64 })

  const once = (url: string, body: string, timeoutMs: number, more: Record<string, string>, repeatable: boolean): Promise<PostResult> =>
    new Promise((resolve) => {
      const secure = url.startsWith('https:')
      const headers = { ...more, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
      const options: RequestOptions = { method: 'POST', headers, agent: secure ? tls : plain }
      const request = (secure ? tlsRequest : plainRequest)(url, options, (response) => {
        response.resume()
        response.on('error', () => {})
        response.on('close', () => clearTimeout(timer))
        resolve({ status: response.statusCode ?? 0 })
      })
      const timer = setTimeout(() => request.destroy(new Error('no answer in time')), timeoutMs)
      request.on('error', (error: NodeJS.ErrnoException) => {
        clearTimeout(timer)
        // A kept connection that the receiver had just closed says nothing about this request.
        if (repeatable && request.reusedSocket && error.code === 'ECONNRESET')
          resolve(once(url, body, timeoutMs, more, false))
        else resolve({ error: error.code ?? error.message })
      })
      request.end(body)
    })

  return {
    async post(url, body, timeoutMs, headers = {}) {
      try {
        return await once(url, body, timeoutMs, headers, true)
      } catch (error) {
        return { error: error instanceof Error ? error.message : String(error) }
      }
    },
    close() {
      plain.destroy()
      tls.destroy()
    },
  }
}
