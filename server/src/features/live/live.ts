import type { Database } from '../../database/pool.ts'
import { encodeEvent, type EncodedEvent, type EventSink } from '../../http-kit/sse.ts'
import type { Logger } from '../../kernel/logger.ts'
import { AppError } from '../../kernel/errors.ts'

/** A place in the stream of events: transaction, then number. Sorted so, an event committed late is never skipped. */
interface Place {
  xid: string
  id: number
}

interface EventRow {
  xid: string
  id: number
  user_id: string
  at: Date
  /** What the stream says: a move of a generation, or a notice. */
  data: Record<string, unknown>
  notice: boolean
}

/** `xid8` is an unsigned number of 64 bits. */
const LAST_XID = 2n ** 64n - 1n

/** One stream's way in. */
type Feed = (event: EncodedEvent) => void

const PAGE = 500
/** A stream that comes back after more than this is told to read everything anew. */
const MOST_REPLAYED = 2_000

/**
 * Live events per user: moves of generations, and notices. One reader per process follows both tables and hands each
 * event to the streams of its user. It reads in the order (transaction, number) and only below the snapshot horizon: as long as a transaction
 * that could still add an event is open, nothing behind it is read, so no event is ever skipped.
 */
export function createLiveEvents({ db, schema, logger }: { db: Database; schema: string; logger: Logger }) {
  const streams = new Map<string, Set<Feed>>()
  let ticker: NodeJS.Timeout | null = null
  let place: Place | null = null
  let starting: Promise<Place> | null = null
  let reading: Promise<void> | null = null
  let again = false

  /** Moves and notices in one order; `more` narrows both, by the names `user_id`, `xid` and `id`. */
  const page = (limit: number, more: (table: string, xid: string, id: string) => string = () => '') => {
    const after = (table: string, xid: string, id: string) =>
      `(${table}.${xid}, ${table}.${id}) > ($1::text::xid8, $2::bigint) and ${table}.${xid} < pg_snapshot_xmin(pg_current_snapshot()) ${more(table, xid, id)}
       order by ${table}.${xid}, ${table}.${id} limit ${limit}`
    return `select p.xid::text as xid, p.id, p.user_id, p.at, p.data, p.notice from (
      (select e.xid, e.id, e.user_id, e.at, false as notice, jsonb_build_object('generationId', e.generation_id, 'event', e.type, 'state', e.state, 'attempt', e.attempt, 'cause', e.cause) as data
       from reprise.events e where ${after('e', 'xid', 'id')})
      union all
      (select n.live_xid, n.live_id, n.user_id, n.created_at, true, jsonb_build_object('noticeId', n.id, 'kind', n.kind)
       from "${schema}".notifications n where ${after('n', 'live_xid', 'live_id')})
    ) p order by p.xid, p.id limit ${limit}`
  }

  async function horizon(): Promise<Place> {
    const { rows } = await db.query<{ xid: string }>(`select pg_snapshot_xmin(pg_current_snapshot())::text as xid`)
    // Everything below the horizon has been committed or never will be.
    return { xid: String(BigInt(rows[0]!.xid) - 1n), id: Number.MAX_SAFE_INTEGER }
  }

  async function readOn(): Promise<void> {
    for (;;) {
      const from: Place | null = place
      if (!from) return
      const { rows }: { rows: EventRow[] } = await db.query<EventRow>({
        name: 'live_events', text: page(PAGE), values: [from.xid, from.id],
      })
      for (const row of rows) deliver(row)
      const last: EventRow | undefined = rows.at(-1)
      if (last) place = { xid: last.xid, id: last.id }
      if (rows.length < PAGE) return
    }
  }

  function deliver(row: EventRow): void {
    const feeds = streams.get(row.user_id)
    if (!feeds) return
    const encoded = encode(row)
    for (const feed of feeds) feed(encoded)
  }

  function wake(): void {
    if (streams.size === 0) return
    again = true
    reading ??= (async () => {
      while (again) {
        again = false
        await readOn().catch((error) => logger.warn({ err: error }, 'live events could not be read; tried again at the next wake'))
      }
    })().finally(() => (reading = null))
  }

  return {
    /** Called when something was written, and now and then: events wait for the horizon, which moves by itself. */
    wake,
    /** Feeds one stream of this user, from after `lastEventId` when there is one. */
    async subscribe(userId: string, sink: EventSink, lastEventId: string | undefined): Promise<() => void> {
      if (streams.size === 0) place = starting = null
      if (!place) {
        const first = await (starting ??= horizon())
        // Whoever came first may have read on meanwhile: the reader never jumps ahead.
        place ??= first
      }
      const until = place
      // Live events that come while older ones are replayed wait behind them: ids only rise, so a break in the
      // middle resumes at the right place.
      const waiting: EncodedEvent[] = []
      let feed: Feed = (event) => waiting.push(event)
      const feeds = streams.get(userId) ?? new Set()
      const own: Feed = (event) => feed(event)
      streams.set(userId, feeds.add(own))
      const end = () => {
        feeds.delete(own)
        if (feeds.size === 0 && streams.get(userId) === feeds) streams.delete(userId)
        if (streams.size === 0 && ticker) {
          clearInterval(ticker)
          ticker = null
        }
      }
      try {
        if (lastEventId !== undefined) await replay(userId, readPlace(lastEventId), until, sink)
        else sink.send({ id: `${until.xid}.${until.id}`, event: 'ready', data: '{}' })
      } catch (error) {
        end()
        throw error
      }
      for (const event of waiting) sink.send(event)
      feed = (event) => sink.send(event)
      // An event waits below the horizon until every older transaction has ended, which nothing announces.
      ticker ??= setInterval(wake, 500).unref()
      wake()
      return end
    },
    get users() {
      return streams.size
    },
  }

  async function replay(userId: string, from: Place, until: Place, sink: EventSink): Promise<void> {
    const { rows } = await db.query<EventRow>(
      page(MOST_REPLAYED, (table, xid, id) => `and ${table}.user_id = $3 and (${table}.${xid}, ${table}.${id}) <= ($4::text::xid8, $5::bigint)`),
      [from.xid, from.id, userId, until.xid, until.id],
    )
    if (rows.length === MOST_REPLAYED) sink.send({ id: `${until.xid}.${until.id}`, event: 'reset', data: '{}' })
    else for (const row of rows) sink.send(encode(row))
  }
}

export type LiveEvents = ReturnType<typeof createLiveEvents>

function encode({ xid, id, at, data, notice }: EventRow): EncodedEvent {
  const type = notice ? 'notice' : 'generation'
  return encodeEvent({ id: `${xid}.${id}`, event: type, data: JSON.stringify({ type, at, ...data }) })
}

function readPlace(text: string): Place {
  const match = /^(\d{1,20})\.(\d{1,16})$/.exec(text)
  if (!match || BigInt(match[1]!) > LAST_XID) throw new AppError('validation_failed', {}, [{ path: 'Last-Event-ID', rule: 'cursor', message: '' }])
  return { xid: match[1]!, id: Number(match[2]) }
}
