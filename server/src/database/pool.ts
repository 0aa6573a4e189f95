import pg from 'pg'
import { sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import { createListener, type Handler, type Listening } from './listener.ts'
import type { SqlQuery } from './sql.ts'
import { isBroken } from './transient.ts'

export interface Rows<Row> {
  rows: Row[]
  /** Rows returned, or changed by a statement without `returning`. */
  rowCount: number
}

/** bigint and numeric columns are numbers (a bigint beyond 2^53 throws), timestamptz is a Date, date is its text. */
export interface Queryable {
  // oxlint-disable-next-line typescript/no-explicit-any
  query<Row = Record<string, any>>(query: string | SqlQuery, values?: readonly unknown[]): Promise<Rows<Row>>
}

/** One open transaction. Statements run one after the other; the first one that fails ends it. */
export interface Tx extends Queryable {
  readonly inTransaction: true
}

export interface Database extends Queryable {
  readonly pool: pg.Pool
  /**
   * Commits when `fn` resolves, rolls back when it throws. Run again from its start, at most three times in all,
   * after a serialization failure or a deadlock: what `fn` does outside the database must bear that.
   */
  transaction<T>(fn: (tx: Tx) => Promise<T>, options?: { isolation?: Isolation }): Promise<T>
  listen(channel: string, handler: Handler): Promise<Listening>
  /** Milliseconds that `reprise.now()` is ahead of the server's clock, for every connection taken from now on. */
  setClockOffset(ms: number): Promise<void>
  /** Waits for the connections in use, then until the server is rid of us. */
  close(): Promise<void>
}

export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

interface Options {
  url: string
  max: number
  /** Shown in `pg_stat_activity`. */
  applicationName: string
  clockOffsetMs?: number
  statementTimeoutMs?: number
  logger: Logger
}

const CONNECT_MS = 5_000
const STATEMENT_MS = 30_000
const DISCONNECT_MS = 1_000
/** A process frozen (or cut off) in mid-transaction keeps its rows locked, and everybody waiting, no longer than this. */
const FROZEN_MS = 5_000
const ATTEMPTS = 3

export function createDatabase(options: Options): Database {
  const { url, max, applicationName, statementTimeoutMs = STATEMENT_MS, logger } = options
  const connection: pg.ClientConfig = {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
  }
  const session: Session = { clockOffsetMs: options.clockOffsetMs ?? 0, statementTimeoutMs }
  // The client's own limit is for a server that went silent; the server's limit comes first.
  const pool = new SessionPool({ ...connection, max, query_timeout: statementTimeoutMs + 5_000 }, session)
  pool.on('error', (error: Error & { code?: string }) => {
    // Not the error itself: pg hangs the whole client on it.
    if (!pool.ending) logger.warn({ code: error.code, reason: error.message }, 'an idle database connection was lost')
  })
  const listener = createListener({ ...connection, query_timeout: CONNECT_MS }, logger)

  async function transaction<T>(fn: (tx: Tx) => Promise<T>, isolation?: Isolation): Promise<T> {
    const client = await pool.connect()
    let broken: unknown
    try {
      await client.query(isolation ? `begin isolation level ${isolation}` : 'begin')
      try {
        const result = await fn({ inTransaction: true, query: (query, values) => runOn(client, query, values) })
        const { command } = await client.query('commit')
        if (command === 'COMMIT') return result
      } catch (error) {
        broken = isBroken(error) && error
        if (!broken) await client.query('rollback').catch((failure: unknown) => (broken = failure))
        throw error
      }
      throw new Error('The transaction was rolled back: a statement in it had failed, and the error was swallowed')
    } catch (error) {
      if (isBroken(error)) broken = error
      throw error
    } finally {
      client.release(broken instanceof Error ? broken : false)
    }
  }

  return {
    pool,
    async query(query, values) {
      const client = await pool.connect()
      let broken: unknown
      try {
        return await runOn(client, query, values)
      } catch (error) {
        broken = error
        throw error
      } finally {
        client.release(broken instanceof Error && isBroken(broken) ? broken : false)
      }
    },
    async transaction(fn, { isolation } = {}) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await transaction(fn, isolation)
        } catch (error) {
          const lostRace = ['40001', '40P01'].includes((error as { code?: string }).code ?? '')
          if (!lostRace || attempt === ATTEMPTS) throw error
          await sleep(5 + Math.random() * 20 * attempt)
        }
      }
    },
    listen: listener.listen,
    setClockOffset: async (ms) => void (session.clockOffsetMs = ms),
    async close() {
      await Promise.all([listener.close(), pool.end()])
      await Promise.race([pool.disconnected(), sleep(DISCONNECT_MS)])
    },
  }
}

async function runOn<Row>(
  client: pg.PoolClient,
  query: string | SqlQuery,
  values?: readonly unknown[],
): Promise<Rows<Row>> {
  const { text, name, values: own } = typeof query === 'string' ? { text: query, name: undefined, values } : query
  const result = await client.query<Row & pg.QueryResultRow>({ text, name, values: own as unknown[] | undefined })
  return { rows: result.rows, rowCount: result.rowCount ?? 0 }
}

interface Session {
  clockOffsetMs: number
  statementTimeoutMs: number
}

/**
 * A pool whose connections have our session settings before anybody gets them. They are set by a statement, not in
 * the start packet, which poolers in front of PostgreSQL refuse.
 */
class SessionPool extends pg.Pool {
  readonly #session: Session
  readonly #settled = new WeakMap<pg.PoolClient, number>()
  readonly #open = new Set<pg.PoolClient>()

  constructor(config: pg.PoolConfig, session: Session) {
    super(config)
    this.#session = session
    this.on('connect', (client) => {
      client.on('error', () => undefined) // while it is taken nobody else listens, and that would end the process
      this.#open.add(client)
      client.once('end', () => this.#open.delete(client))
    })
  }

  /** `end()` only says goodbye; this resolves when every connection is closed. */
  async disconnected(): Promise<void> {
    await Promise.all([...this.#open].map((client) => new Promise<void>((done) => client.once('end', done))))
  }

  override connect(): Promise<pg.PoolClient>
  override connect(callback: ConnectCallback): void
  override connect(callback?: ConnectCallback): Promise<pg.PoolClient> | void {
    const settled = super.connect().then((client) => this.#settle(client))
    if (!callback) return settled
    settled.then(
      (client) => callback(undefined, client, client.release),
      (error: Error) => callback(error, undefined, () => undefined),
    )
  }

  async #settle(client: pg.PoolClient): Promise<pg.PoolClient> {
    const { clockOffsetMs, statementTimeoutMs } = this.#session
    if (this.#settled.get(client) === clockOffsetMs) return client
    try {
      await client.query(
        `set timezone = 'UTC'; set statement_timeout = ${statementTimeoutMs}; ` +
          `set idle_in_transaction_session_timeout = ${FROZEN_MS}; ` +
          `set reprise.clock_offset = ${Math.trunc(clockOffsetMs)}`,
      )
      this.#settled.set(client, clockOffsetMs)
      return client
    } catch (error) {
      client.release(error as Error)
      throw error
    }
  }
}

type ConnectCallback = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (broken?: Error | boolean) => void,
) => void

// Types of PostgreSQL, by their fixed numbers

const toNumber = (text: string): number => {
  const number = Number(text)
  if (!Number.isSafeInteger(number)) throw new RangeError(`bigint ${text} does not fit a number: cast it to text`)
  return number
}
const TEXT_LIST = 1009 as never
const listOf = (parse: (text: string) => unknown) => {
  const each = (item: unknown): unknown =>
    Array.isArray(item) ? item.map(each) : item === null ? null : parse(item as string)
  return (text: string) => each((pg.types.getTypeParser(TEXT_LIST) as unknown as (text: string) => unknown)(text))
}
const asText = (text: string) => text

const PARSERS: Record<number, (text: string) => unknown> = {
  20: toNumber,
  1016: listOf(toNumber),
  1700: Number,
  1231: listOf(Number),
  1082: asText, // a date has no time zone, so no instant
  1182: listOf(asText),
  1114: (text) => new Date(`${text.replace(' ', 'T')}Z`), // timestamp without zone: we only ever mean UTC
}

const parserOf = (oid: number, format?: 'text' | 'binary') =>
  (format !== 'binary' && PARSERS[oid]) || pg.types.getTypeParser(oid, format as 'text')
