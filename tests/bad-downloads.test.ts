import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createDiskStore } from '../server/src/storage/disk/disk-store.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

/** Every bad file, what is to become of a song that never gets a better one, and whether another try can mend it. */
const BAD_FILES = [
  { fault: 'file-html', is: 'an error page with status 200', code: 'bad_file' },
  { fault: 'file-html=audio/mpeg', is: 'an error page that calls itself audio', code: 'bad_file' },
  { fault: 'file-truncated', is: 'a file that ends before its length', code: 'bad_file' },
  { fault: 'file-cut', is: 'half a file whose length agrees', code: 'bad_file' },
  { fault: 'file-short', is: 'a song of half the length', code: 'bad_file' },
  { fault: 'file-empty', is: 'an empty file', code: 'bad_file' },
  { fault: 'file-wrong-type', is: 'a picture called audio', code: 'bad_file' },
  { fault: 'file-corrupt', is: 'noise behind a good header', code: 'bad_file' },
  { fault: 'file-reset', is: 'a connection reset half way', code: 'bad_file' },
  { fault: 'file-slow=100', is: 'a file that drips', code: 'download_failed' },
  { fault: 'file-hang', is: 'a file that stops coming', code: 'download_failed' },
  { fault: 'file-404', is: 'a file that is not there for a while', code: 'download_failed' },
  { fault: 'file-503', is: 'a file host that is down', code: 'download_failed' },
  { fault: 'file-gone', is: 'a file that is gone', code: 'download_failed' },
  { fault: 'file-redirect-private', is: 'a redirect to a private address', code: 'unsafe_url', final: true },
  { fault: 'file-redirect-private=169.254.169.254', is: 'a redirect to the metadata address', code: 'unsafe_url', final: true },
  { fault: 'file-oversize', is: 'a file of 10 GB', code: 'file_too_large', final: true },
  { fault: 'file-oversize=chunked', is: 'an endless file of unknown length', code: 'file_too_large', final: true },
] as const

const FINAL_STATES = ['complete', 'failed', 'timed_out', 'cancelled']
const LIMITS = { timeoutMs: 30_000, idleTimeoutMs: 300, minRate: { bytesPerSec: 1_000, windowMs: 600 } }
/** All tries together (1 minute of waits) fit in; leases outlast the jumps of the clock. */
const TIMES = { deadlineSec: 600, leaseMs: 600_000, downloadLimits: LIMITS }

/** Jumps to the next try whenever none is due, so that nobody waits out the pauses between tries. */
function skipPauses(reprise: Harness): () => Promise<void> {
  const { db } = reprise.wired
  let offset = 0
  let over = false
  const running = (async () => {
    while (!over) {
      const { rows } = await db.query<{ wait: number | null }>(
        'select ceil(extract(epoch from min(next_at) - reprise.now()) * 1000)::float8 as wait from reprise.results where lease_until is null',
      )
      const wait = rows[0]?.wait ?? 0
      if (wait > 0) await db.setClockOffset((offset += wait))
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  return async () => {
    over = true
    await running
  }
}

async function start(options: Parameters<typeof startHarness>[0] = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'reprise-bad-downloads-'))
  const reprise = await startHarness({ ...TIMES, ...options, simulator: { songSeconds: [6, 6], ...options.simulator }, blobs: createDiskStore({ root: folder }) })
  const stopSkipping = skipPauses(reprise)
  const user = await reprise.user('listener', 10_000)
  return {
    reprise, user, folder,
    async ask(prompt: string): Promise<string> {
      const asked = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt } })
      expect(asked.status).toBe(202)
      return asked.body.id
    },
    async close() {
      await stopSkipping()
      await reprise.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type Started = Awaited<ReturnType<typeof start>>

const settled = (reprise: Harness, id: string, user: TestUser) => reprise.settled(id, user, (generation) => FINAL_STATES.includes(generation.state), 25_000)

/** What holds for every generation, however it ended: shown tracks are the provider's true files, and tokens agree with them. */
async function expectHonest({ reprise, user }: Started, done: any, tracks: number): Promise<void> {
  expect(done.tracks).toHaveLength(tracks)
  for (const track of done.tracks) {
    const bytes = Buffer.from(await (await fetch(track.audioUrl)).arrayBuffer())
    const truth = await reprise.simulator.control.file(done.providerTaskId, track.variant - 1)
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(truth!.sha256)
  }
  const { body } = await reprise.call('GET', '/api/tracks?limit=100', { token: user.token })
  expect(body.items.filter((track: any) => track.generationId === done.id)).toHaveLength(tracks)
  expect(done.receipt).toMatchObject({ cost: 10, held: 0, captured: 5 * tracks, released: 10 - 5 * tracks })
}

async function expectTidy({ reprise, folder }: Started): Promise<void> {
  expect((await reprise.database.db.query('select * from reprise.ledger_violations')).rows).toEqual([])
  expect(await readdir(join(folder, '.staging')).catch(() => [])).toEqual([])
  const { rows } = await reprise.database.db.query<{ key: string }>("select blob_key as key from reprise.results where state = 'stored'")
  const { rows: others } = await reprise.database.db.query("select 1 from reprise.results where state <> 'stored' and (blob_key is not null or sha256 is not null)")
  expect(others).toEqual([])
  const files: string[] = []
  for await (const { key } of createDiskStore({ root: folder }).list('')) files.push(key)
  expect(files.sort()).toEqual(rows.map((row) => row.key).sort())
}

describe('a bad download never becomes a track, and its tokens come back', () => {
  let started: Started
  /** All are asked for at once: each test then looks at its own. */
  const ids = new Map<string, string>()
  beforeAll(async () => {
    started = await start()
    for (const { fault } of BAD_FILES) {
      ids.set(`${fault} one`, await started.ask(`one bad song [[fault:${fault}@1]]`))
      ids.set(`${fault} both`, await started.ask(`two bad songs [[fault:${fault}]]`))
      if (!fault.startsWith('file-oversize') && !fault.startsWith('file-redirect')) ids.set(`${fault} heals`, await started.ask(`bad twice [[fault:${fault}@0:2]]`))
    }
  })
  afterAll(() => started.close())

  for (const bad of BAD_FILES) {
    it(`${bad.is}: refused, the other song is kept and paid`, async () => {
      const done = await settled(started.reprise, ids.get(`${bad.fault} one`)!, started.user)
      expect(done).toMatchObject({ state: 'complete', missing: 1 })
      await expectHonest(started, done, 1)
      expect(await refusals(started, done.id)).toEqual([{ index: 1, code: bad.code, tries: 'final' in bad ? 1 : 8 }])
    })

    it(`${bad.is}, both times: failed with a plain reason, nothing is charged`, async () => {
      const done = await settled(started.reprise, ids.get(`${bad.fault} both`)!, started.user)
      expect(done).toMatchObject({ state: 'failed', missing: 2, error: { code: bad.code, charged: false } })
      expect(done.error.message).toMatch(/\w+ \w+/)
      expect(done.error.message).not.toMatch(/127\.0\.0\.1|HTTP|bytes/)
      await expectHonest(started, done, 0)
    })

    if ('final' in bad) continue
    it(`${bad.is}, for a while: fetched again until it is whole`, async () => {
      const done = await settled(started.reprise, ids.get(`${bad.fault} heals`)!, started.user)
      expect(done).toMatchObject({ state: 'complete', missing: 0, error: null })
      await expectHonest(started, done, 2)
    })
  }

  it('nothing is left behind, and the ledger agrees', async () => {
    await covers(started)
    await expectTidy(started)
  })

  it('each ended long before its deadline, all tries included', async () => {
    const { rows } = await started.reprise.database.db.query<{ longest: number }>(
      'select max(extract(epoch from finished_at - created_at))::float8 as longest from reprise.generations',
    )
    expect(rows[0]!.longest).toBeLessThan(TIMES.deadlineSec * 0.8)
  })
})

describe('a private address never gets a request, however it is spelled', () => {
  // Our own loopback address is allowed in one spelling only: fetched naively, each of these would bring a good song.
  const spellings = [
    { host: 'localhost', fault: 'file-url-decimal', is: 'as one number' },
    { host: 'localhost', fault: 'file-url-mapped', is: 'as IPv4 inside IPv6' },
    { host: '127.0.0.1', fault: 'file-url-dns', is: 'behind a name' },
  ]
  for (const { host, fault, is } of spellings) {
    it(`${is}: failed with a plain reason, nothing is charged and nobody was asked`, async () => {
      const started = await start({ simulator: { host, dnsHost: 'localhost' } })
      try {
        const done = await settled(started.reprise, await started.ask(`a trap [[fault:${fault}]]`), started.user)
        expect(done).toMatchObject({ state: 'failed', missing: 2, error: { code: 'unsafe_url', charged: false } })
        await expectHonest(started, done, 0)
        expect(started.reprise.simulator.control.log().filter(({ path }) => path.startsWith('/files/audio/'))).toEqual([])
        await covers(started)
        await expectTidy(started)
      } finally {
        await started.close()
      }
    })
  }
})

async function refusals({ reprise }: Started, id: string) {
  const { rows } = await reprise.database.db.query(
    "select index, refused_code as code, tries from reprise.results where generation_id = $1 and role = 'final' and state = 'refused' order by index",
    [id],
  )
  return rows
}

/** Covers may still be on their way when the songs are there. */
async function covers({ reprise }: Started): Promise<void> {
  const end = Date.now() + 10_000
  for (;;) {
    const { rows } = await reprise.database.db.query("select 1 from reprise.results where role = 'cover' and state = 'known'")
    if (rows.length === 0) return
    if (Date.now() > end) throw new Error(`${rows.length} covers are still on their way`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
