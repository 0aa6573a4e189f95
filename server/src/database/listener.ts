import pg from 'pg'
import { sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'

/** `reconnected`: notifications may have been missed, read again what you wait for. */
export type Heard = { kind: 'notified'; payload: string } | { kind: 'reconnected' }
export type Handler = (heard: Heard) => void | Promise<void>
export interface Listening {
  stop(): Promise<void>
}

const HEARTBEAT_MS = 30_000
const LONGEST_PAUSE_MS = 5_000

/** One connection for all channels, opened at the first `listen` and opened again whenever it is lost. */
export function createListener(config: pg.ClientConfig, logger: Logger) {
  const channels = new Map<string, Set<Handler>>()
  const closing = new AbortController()
  let opening: Promise<pg.Client> | undefined

  async function open(): Promise<pg.Client> {
    const client = new pg.Client(config)
    client.on('error', (error) => logger.debug({ reason: error.message }, 'listening connection failed'))
    client.on('notification', ({ channel, payload }) => tell(channel, { kind: 'notified', payload: payload ?? '' }))
    try {
      await client.connect()
      for (const channel of channels.keys()) await client.query(`listen ${client.escapeIdentifier(channel)}`)
    } catch (error) {
      client.end().catch(() => undefined)
      throw error
    }
    // A connection that died silently (a failed-over host) only shows when somebody speaks on it.
    const heartbeat = setInterval(() => {
      client.query('select 1').catch(() => client.connection.stream.destroy())
    }, HEARTBEAT_MS)
    heartbeat.unref()
    client.once('end', () => {
      clearInterval(heartbeat)
      opening = undefined
      if (!closing.signal.aborted) void reopen()
    })
    return client
  }

  async function reopen(): Promise<void> {
    logger.warn('lost the listening connection, opening it again')
    for (let pause = 50; !closing.signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        await connection()
        for (const channel of channels.keys()) tell(channel, { kind: 'reconnected' })
        return
      } catch {
        await sleep(pause, closing.signal)
      }
    }
  }

  function connection(): Promise<pg.Client> {
    if (closing.signal.aborted) return Promise.reject(new Error('Cannot use a pool after calling end on it'))
    if (!opening) {
      const attempt = open()
      opening = attempt
      attempt.catch(() => opening === attempt && (opening = undefined))
    }
    return opening
  }

  function tell(channel: string, heard: Heard): void {
    for (const handler of channels.get(channel) ?? []) {
      const told = async () => handler(heard)
      told().catch((error: unknown) => logger.error({ err: error, channel }, 'a listener failed'))
    }
  }

  return {
    /** Resolves when the channel is heard. Throws when the database is out of reach at this moment. */
    async listen(channel: string, handler: Handler): Promise<Listening> {
      const handlers = channels.get(channel) ?? new Set()
      channels.set(channel, handlers.add(handler))
      const stop = async () => {
        handlers.delete(handler)
        if (handlers.size || channels.get(channel) !== handlers) return
        channels.delete(channel)
        const client = await opening?.catch(() => undefined)
        await client?.query(`unlisten ${client.escapeIdentifier(channel)}`).catch(() => undefined)
      }
      try {
        const client = await connection()
        await client.query(`listen ${client.escapeIdentifier(channel)}`)
      } catch (error) {
        await stop()
        throw error
      }
      return { stop }
    },
    async close(): Promise<void> {
      closing.abort()
      const client = await opening?.catch(() => undefined)
      await client?.end()
    },
  }
}
