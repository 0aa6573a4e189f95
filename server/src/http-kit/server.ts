import type { Server } from 'node:http'
import { createAdaptorServer } from '@hono/node-server'
import type { Logger } from '../kernel/logger.ts'
import type { App } from './openapi.ts'

export interface RunningServer {
  /** Loopback or bound address, with the port really taken. */
  url: string
  port: number
  /**
   * Stops accepting, ends event streams, lets answers under way finish for at most `drainMs`, then cuts what is left.
   * True when nothing had to be cut.
   */
  close(options?: { drainMs?: number }): Promise<boolean>
}

export interface ServeOptions {
  app: Pick<App, 'fetch'>
  host: string
  /** 0 takes any free port. */
  port: number
  logger: Logger
  /** Called when draining begins: health checks turn, event streams end. */
  onDrain?: () => void
}

export async function serve({ app, host, port, logger, onDrain }: ServeOptions): Promise<RunningServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    hostname: host,
    serverOptions: {
      // A client that dribbles its headers or body holds a connection for at most this long.
      headersTimeout: 10_000,
      requestTimeout: 60_000,
      connectionsCheckingInterval: 5_000,
      // Longer than the 60 s of usual load balancers, or they meet connections that we just closed.
      keepAliveTimeout: 65_000,
      noDelay: true,
    },
  }) as Server
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const status = CLIENT_ERRORS[error.code ?? ''] ?? '400 Bad Request'
    socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  server.on('error', (error) => logger.error({ err: error }, 'http server'))
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('not listening on a port')
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address

  let closing: Promise<boolean> | undefined
  return {
    url: `http://${shown}:${address.port}`,
    port: address.port,
    close: ({ drainMs = 20_000 } = {}) => (closing ??= drain(server, drainMs, onDrain)),
  }
}

const CLIENT_ERRORS: Record<string, string> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
}

async function drain(server: Server, drainMs: number, onDrain?: () => void): Promise<boolean> {
  let clean = true
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  onDrain?.()
  // A kept-alive connection becomes idle only when its answer is finished.
  const sweeping = setInterval(() => server.closeIdleConnections(), 50)
  const cutting = setTimeout(() => {
    clean = false
    server.closeAllConnections()
  }, drainMs)
  await closed
  clearInterval(sweeping)
  clearTimeout(cutting)
  return clean
}
