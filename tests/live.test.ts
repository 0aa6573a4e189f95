import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Tx } from '../server/src/database/pool.ts'
import { systemIds } from '../server/src/kernel/ids.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

interface LiveEvent { id: string; event: string; data: any }

const song = { provider: 'suno', kind: 'song', prompt: 'a live song' }

describe('live events', () => {
  let reprise: Harness
  let user: TestUser
  let other: TestUser
  const open: Stream[] = []

  beforeAll(async () => {
    reprise = await startHarness()
    user = await reprise.user('listener', 100_000)
    other = await reprise.user('somebody else', 100_000)
  })
  afterEach(() => {
    for (const stream of open.splice(0)) stream.close()
  })
  afterAll(() => reprise.close())

  async function follow(who: TestUser, lastEventId?: string): Promise<Stream> {
    const stream = await Stream.open(`${reprise.url}/api/events`, who.token, lastEventId)
    open.push(stream)
    return stream
  }
  const ask = async (who: TestUser) => (await reprise.call('POST', '/api/generations', { token: who.token, body: song })).body.id as string
  const ends = (event: LiveEvent) => event.data.state === 'complete'

  it('of one’s own generations only, each move of the timeline, in order', async () => {
    const [mine, theirs] = [await follow(user), await follow(other)]
    expect((await mine.next()).event).toBe('ready')
    expect((await theirs.next()).event).toBe('ready')
    const [id, foreign] = [await ask(user), await ask(other)]
    const seen = await mine.until((event) => event.data.generationId === id && ends(event))
    await theirs.until((event) => event.data.generationId === foreign && ends(event))
    expect(new Set(mine.all.filter(({ event }) => event === 'generation').map(({ data }) => data.generationId))).toEqual(new Set([id]))
    expect(new Set(theirs.all.filter(({ event }) => event === 'generation').map(({ data }) => data.generationId))).toEqual(new Set([foreign]))
    expect(seen.data).toMatchObject({ type: 'generation', generationId: id, state: 'complete' })
    const { body } = await reprise.call('GET', `/api/generations/${id}/events?limit=100`, { token: user.token })
    const told = mine.all.filter(({ event }) => event === 'generation').map(({ id }) => Number(id.split('.')[1]))
    // The stream goes by transaction, the timeline by number: the same events, of one moment rarely in another order.
    expect(body.items.map((item: any) => item.id).slice(0, told.length)).toEqual(told.toSorted((a, b) => a - b))
    expectRising(mine.all)
  })

  it('after a break the rest comes, without a gap and without doubles', async () => {
    const first = await follow(user)
    const id = await ask(user)
    const last = await first.until((event) => event.data?.generationId === id)
    first.close()
    const missed = await ask(user)
    await reprise.settled(missed, user)
    const second = await follow(user, last.id)
    await second.until((event) => event.data?.generationId === missed && ends(event))
    const told = [...first.all.slice(0, first.all.indexOf(last) + 1), ...second.all].filter(({ event }) => event === 'generation')
    const { rows } = await reprise.database.db.query<{ id: number }>('select id from reprise.events where generation_id = any($1) order by xid, id', [[id, missed]])
    const ids = told.map((event) => Number(event.id.split('.')[1]))
    expect(new Set(ids).size).toBe(ids.length)
    const all = rows.map((row) => row.id)
    expect(ids).toEqual(all.slice(0, all.indexOf(ids.at(-1)!) + 1))
    expectRising(told)
  })

  it('an event whose transaction commits late is never skipped, neither live nor on resuming', async () => {
    const before = await follow(user)
    const ready = await before.next()
    const late = systemIds.uuid()
    let following = ''
    await reprise.database.db.transaction(async (tx) => {
      await insertEvent(tx, late, user.id, 'late')
      following = await ask(user)
      await reprise.settled(following, user)
      // A stream that begins, and one that resumes, while the transaction is still open.
      const during = await follow(user, ready.id)
      await during.next(500).catch(() => null)
    })
    const during = open.at(-1)!
    for (const stream of [before, during]) {
      await stream.until((event) => event.data?.generationId === following && ends(event))
      const told = stream.all.filter(({ event }) => event === 'generation')
      expect(told.filter(({ data }) => data.generationId === late)).toHaveLength(1)
      expect(new Set(told.map((event) => event.id)).size).toBe(told.length)
      expectRising(told)
    }
    // Resuming from any place that was told brings exactly what came after it.
    const told = before.all.filter(({ event }) => event === 'generation')
    for (const place of [0, Math.floor(told.length / 2)]) {
      const resumed = await follow(user, told[place]!.id)
      await resumed.until((event) => event.id === told.at(-1)!.id)
      expect(resumed.all.filter(({ event }) => event === 'generation').map((event) => event.id)).toEqual(told.slice(place + 1).map((event) => event.id))
    }
  })

  it('an event of a transaction that rolls back is never told, and holds nothing up for good', async () => {
    const stream = await follow(user)
    const ghost = systemIds.uuid()
    let following = ''
    await reprise.database.db.transaction(async (tx) => {
      await insertEvent(tx, ghost, user.id, 'ghost')
      following = await ask(user)
      throw new Error('changed my mind')
    }).catch(() => undefined)
    await stream.until((event) => event.data?.generationId === following && ends(event))
    expect(stream.all.some(({ data }) => data.generationId === ghost)).toBe(false)
  })

  it('away for too long: told to read everything anew, then live again', async () => {
    const first = await follow(user)
    const { id } = await first.next()
    first.close()
    await reprise.database.db.query(
      `insert into reprise.events (generation_id, user_id, at, type, state, cause)
       select $1, $2, reprise.now(), 'checked', 'generating', 'poll' from generate_series(1, 2500)`, [systemIds.uuid(), user.id])
    const second = await follow(user, id)
    expect((await second.next()).event).toBe('reset')
    const following = await ask(user)
    await second.until((event) => event.data?.generationId === following && ends(event))
    expect(second.all.length).toBeLessThan(1_000)
  })

  it('a place that was never given out is refused', async () => {
    const answer = await reprise.call('GET', '/api/events', { token: user.token, headers: { 'last-event-id': 'yesterday' } })
    expect(answer).toMatchObject({ status: 422, body: { code: 'validation_failed', errors: [{ path: 'Last-Event-ID' }] } })
  })

  it('draining: each stream is told when to come back and ends; a new one is sent elsewhere', async () => {
    const streams = [await follow(user), await follow(other)]
    for (const stream of streams) await stream.next()
    const [, ...later] = await (async () => {
      reprise.wired.streams.drain()
      return Promise.all([null, ...streams.map((stream) => stream.ended)])
    })()
    for (const text of later) expect(text).toMatch(/retry: \d+\n\n$/)
    const answer = await reprise.call('GET', '/api/events', { token: user.token })
    expect(answer).toMatchObject({ status: 503, body: { code: 'service_unavailable' } })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })
})

describe('lists', () => {
  let reprise: Harness
  let user: TestUser
  beforeAll(async () => {
    reprise = await startHarness({ workers: false })
    user = await reprise.user('reader', 100_000)
  })
  afterAll(() => reprise.close())

  const get = (path: string, headers: Record<string, string> = {}) => reprise.call('GET', path, { token: user.token, headers })
  const addSong = async () => void (await reprise.call('POST', '/api/generations', { token: user.token, body: song }))
  const addChannel = async () => void (await reprise.call('POST', '/api/channels', { token: user.token, body: { name: 'one', musicClipsSettings: { sunoPrompt: 'x' } } }))
  /** As an app writes its own: several in one transaction, at the same microsecond, and between milliseconds. */
  const addTracks = async () => void (await reprise.database.db.query(
    `insert into public.tracks (user_id, title, created_at) select $1, 'n', date_trunc('second', now()) + (n / 2) * interval '250 microseconds' from generate_series(1, 8) n`, [user.id]))

  const lists: [string, () => Promise<void>][] = [
    ['/api/generations', addSong], ['/api/tracks', addTracks], ['/api/channels', addChannel], ['/api/ledger', addSong],
  ]

  it.each(lists)('%s: what did not change is answered 304', async (path, add) => {
    await add()
    const first = await get(path)
    const etag = first.headers.get('etag')!
    expect(first.status).toBe(200)
    expect(await get(path, { 'if-none-match': etag })).toMatchObject({ status: 304, body: '' })
    expect((await get(path, { 'if-none-match': `"other", W/${etag}` })).status).toBe(304)
    await add()
    const changed = await get(path, { 'if-none-match': etag })
    expect(changed.status).toBe(200)
    expect(changed.headers.get('etag')).not.toBe(etag)
    const stranger = await reprise.user('another reader', 0)
    expect((await reprise.call('GET', path, { token: stranger.token, headers: { 'if-none-match': etag } })).status).toBe(200)
  })

  it.each(lists)('%s: pages while rows come in: none twice, none missing', async (path, add) => {
    for (let n = 0; n < 7; n++) await add()
    const wanted = new Set<unknown>((await get(`${path}?limit=100`)).body.items.map((item: any) => item.id))
    const seen: unknown[] = []
    let cursor: string | null = null
    do {
      const { body }: { body: any } = await get(`${path}?limit=3${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`)
      expect(body.items.length).toBeLessThanOrEqual(3)
      seen.push(...body.items.map((item: any) => item.id))
      cursor = body.nextCursor
      await add()
    } while (cursor)
    expect(new Set(seen).size).toBe(seen.length)
    // Rows of the app's own time may be sorted in behind the cursor: told as well, but once.
    expect([...wanted].filter((id) => !seen.includes(id))).toEqual([])
  })

  it('a timeline in pages is the whole timeline', async () => {
    const { body: { items: [{ id }] } } = await get('/api/generations?limit=1')
    await reprise.database.db.query(
      `insert into reprise.events (generation_id, user_id, at, type, state, cause) select $1, $2, reprise.now(), 'checked', 'queued', 'poll' from generate_series(1, 20)`, [id, user.id])
    const whole = (await get(`/api/generations/${id}/events?limit=100`)).body.items.map((item: any) => item.id)
    const seen: number[] = []
    let cursor: string | null = null
    do {
      const { body }: { body: any } = await get(`/api/generations/${id}/events?limit=4${cursor ? `&cursor=${cursor}` : ''}`)
      seen.push(...body.items.map((item: any) => item.id))
      cursor = body.nextCursor
    } while (cursor)
    expect(seen).toEqual(whole)
  })
})

async function insertEvent(tx: Tx, generation: string, userId: string, type: string): Promise<void> {
  await tx.query(`insert into reprise.events (generation_id, user_id, at, type, state, cause) values ($1, $2, reprise.now(), $3, 'generating', 'test')`, [generation, userId, type])
}

/** Places rise by transaction, then number, as the stream promises. */
function expectRising(events: LiveEvent[]): void {
  const places = events.map(({ id }) => id.split('.').map(BigInt) as [bigint, bigint])
  for (const [index, [xid, id]] of places.entries()) {
    const before = places[index - 1]
    if (before) expect(xid > before[0] || (xid === before[0] && id > before[1]), `${before} then ${xid},${id}`).toBe(true)
  }
}

/** A plain reader of server-sent events. */
class Stream {
  readonly all: LiveEvent[] = []
  readonly ended: Promise<string>
  readonly #leaving: AbortController
  #told = 0
  #wake: () => void = () => undefined
  #text = ''

  static async open(url: string, token: string, lastEventId?: string): Promise<Stream> {
    const leaving = new AbortController()
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}`, ...(lastEventId ? { 'last-event-id': lastEventId } : {}) }, signal: leaving.signal })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
    return new Stream(response.body!, leaving)
  }

  constructor(body: ReadableStream<Uint8Array>, leaving: AbortController) {
    this.#leaving = leaving
    this.ended = this.#read(body)
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<string> {
    let rest = ''
    try {
      for await (const chunk of body.pipeThrough(new TextDecoderStream() as never) as unknown as AsyncIterable<string>) {
        this.#text += chunk
        rest += chunk
        const blocks = rest.split('\n\n')
        rest = blocks.pop()!
        for (const block of blocks) {
          const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
          if (field('data')) this.all.push({ id: field('id')!, event: field('event')!, data: JSON.parse(field('data')!) })
        }
        this.#wake()
      }
    } catch {
      // left by ourselves
    }
    return this.#text
  }

  async next(timeoutMs = 15_000): Promise<LiveEvent> {
    const end = Date.now() + timeoutMs
    while (this.#told >= this.all.length) {
      if (Date.now() >= end) throw new Error(`no event in time; ${this.all.length} came`)
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      const timer = setTimeout(resolve, end - Date.now())
      await promise
      clearTimeout(timer)
    }
    return this.all[this.#told++]!
  }

  async until(wanted: (event: LiveEvent) => boolean): Promise<LiveEvent> {
    for (;;) {
      const event = await this.next()
      if (wanted(event)) return event
    }
  }

  close(): void {
    this.#leaving.abort()
  }
}
