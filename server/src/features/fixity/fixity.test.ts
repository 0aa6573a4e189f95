import { randomUUID } from 'node:crypto'
import { link, mkdir, mkdtemp, open, readFile, rm, truncate, unlink, utimes, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { createHealer } from '../../engine/heal.ts'
import { createObtain } from '../../engine/obtain.ts'
import { systemIds, sha256Hex } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import { makeMp3 } from '../../media/make-mp3.fixture.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { createDiskStore } from '../../storage/disk/disk-store.ts'
import { createGuardedFetch } from '../../storage/guarded-fetch.ts'
import { createFixity } from './fixity.ts'
import { createFixityRecords } from './records.ts'

const DAY_MS = 86_400_000
const user = randomUUID()

let database: TestDatabase
let folder: string
let provider: Server
let guardedFetch: ReturnType<typeof createGuardedFetch>
let base: string
let song: Buffer
let other: Buffer
/** What the provider answers, by path. */
const answers = new Map<string, Buffer | number>()
/** Slow ones, which answer when this resolves, and how often they were asked. */
const slow = new Map<string, Promise<void>>()
let slowlyAsked = 0
const said: { text: string; about: Record<string, unknown> }[] = []
const say = (about: unknown, text: string) => void said.push({ text, about: about as Record<string, unknown> })
const logger = { error: say, warn: say, info: say, debug: say } as unknown as Logger

beforeAll(async () => {
  database = await createTestDatabase()
  folder = await mkdtemp(join(tmpdir(), 'reprise-fixity-'))
  provider = createServer(async (request, response) => {
    if (slow.has(request.url!)) slowlyAsked++
    await slow.get(request.url!)
    const answer = answers.get(request.url!) ?? 404
    if (typeof answer === 'number') return void response.writeHead(answer).end()
    response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': answer.length }).end(answer)
  })
  await new Promise<void>((ready) => provider.listen(0, '127.0.0.1', ready))
  base = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  guardedFetch = createGuardedFetch({ allowHosts: [new URL(base).host] })
  song = await makeMp3({ seconds: 2 })
  other = await makeMp3({ seconds: 3 })
})
afterAll(async () => {
  await guardedFetch.close()
  provider.close()
  await database.close()
  await rm(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  answers.clear()
  slow.clear()
  slowlyAsked = 0
  said.length = 0
  await database.db.setClockOffset(0)
  await query('truncate reprise.files, reprise.fixity_claims, reprise.fixity_findings, reprise.fixity_passes, public.notifications, public.tracks cascade')
})

const query = <Row = Record<string, any>>(text: string, values: unknown[] = []) => database.db.query<Row>(text, values)
const findings = async () => (await query('select * from reprise.fixity_findings order by id')).rows
const notices = async () => (await query('select * from public.notifications order by created_at, id')).rows
const pass30Days = () => database.db.setClockOffset(21 * DAY_MS)

/** A node of its own, over the same database and the same folder. */
function node(options: { blobs?: BlobStore; mbPerSec?: number; name?: string; there?: () => Promise<void>; patienceMs?: number } = {}) {
  const blobs = options.blobs ?? createDiskStore({ root: folder })
  const heal = createHealer({ db: database.db, blobs, obtain: createObtain({ blobs, guardedFetch }), storeIsThere: options.there ?? (async () => undefined), ids: systemIds, logger, patienceMs: options.patienceMs })
  const records = createFixityRecords({ db: database.db, schema: 'public', node: options.name ?? 'a', days: 30, leaseMs: 60_000, linkBase: '' })
  const fixity = createFixity({ records, blobs, heal, days: 30, mbPerSec: options.mbPerSec ?? 10_000, leaseMs: 60_000, clock: { now: () => Date.now() + 2 * DAY_MS }, logger })
  return { ...fixity, blobs, records, heal }
}

/** A stored song: its record, its file, and its source, which still has it. */
async function store({ bytes = song, named = true, title = 'Песня' } = {}): Promise<{ id: string; key: string; file: string; source: string }> {
  const id = randomUUID()
  const key = `tracks-audio/${user}/${id}.mp3`
  const { blobs } = node()
  const staged = await blobs.stage(bytesOf(bytes), { maxBytes: 1e8 })
  await blobs.publish(staged, key, { mime: 'audio/mpeg' })
  answers.set(`/${id}`, bytes)
  const source = `${base}/${id}`
  if (named) {
    await query(`insert into public.tracks (id, user_id, title, status) values ($1, $2, $3, 'pending')`, [id, user, title])
    await query(
      `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, track_id, source_url) values ('tracks-audio', $1, $2, $3, $4, $5, 'audio/mpeg', $6, $7)`,
      [key.slice('tracks-audio/'.length), key, user, sha256Hex(bytes), bytes.length, id, source])
  }
  return { id, key, file: join(folder, key), source }
}

async function* bytesOf(bytes: Buffer) {
  yield bytes
}

async function flip(file: string): Promise<void> {
  const handle = await open(file, 'r+')
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, 1_000)
  await handle.write(Buffer.from([buffer[0]! ^ 1]), 0, 1, 1_000)
  await handle.close()
}

const damages: [string, (file: string) => Promise<void>][] = [
  ['flipped', flip], ['truncated', (file) => truncate(file, 1_000)], ['missing', unlink],
  ['altered', (file) => readFile(file).then((bytes) => writeFile(file, Buffer.concat([bytes, Buffer.from('x')])))],
]

/** Runs until every file that is due was read. */
async function readAll(...nodes: ReturnType<typeof node>[]): Promise<void> {
  for (const one of nodes) one.start()
  const due = async () => (await query(`select from reprise.files where coalesce(checked_at, created_at) <= reprise.now() - interval '20 days'`)).rowCount
  for (const end = Date.now() + 20_000; (await due()) > 0 && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20))
  await Promise.all(nodes.map((one) => one.stop()))
}

describe('fixity', () => {
  it.each(damages)('a %s file is found, repaired from its source, and what was damaged is kept aside', async (kind, damage) => {
    const { key, file } = await store()
    await damage(file)
    const damaged = await readFile(file).catch(() => null)
    await pass30Days()
    await readAll(node())
    expect(sha256Hex(await readFile(file))).toBe(sha256Hex(song))
    const [finding, ...more] = await findings()
    expect(more).toEqual([])
    expect(finding).toMatchObject({ blob_key: key, kind, repaired_at: expect.any(Date), ended_at: expect.any(Date), told_at: null, next_at: null })
    if (damaged) expect((await readFile(join(folder, finding!.aside))).equals(damaged)).toBe(true)
    else expect(finding!.aside).toBeNull()
    expect((await query('select verified_at from reprise.files')).rows[0]!.verified_at).toEqual(expect.any(Date))
    expect(await notices()).toEqual([])
    expect(said.map(({ text }) => text)).toContain('ALERT: a stored file is missing or damaged')
  })

  it.each(damages)('a %s file whose source has other bytes now is left as it is; the operator and, once, its owner are told', async (kind, damage) => {
    const { id, key, file } = await store()
    await damage(file)
    const damaged = await readFile(file).catch(() => null)
    answers.set(`/${id}`, other)
    await pass30Days()
    await readAll(node())
    expect(await readFile(file).catch(() => null)).toEqual(damaged)
    expect(await findings()).toMatchObject([{ blob_key: key, kind, detail: 'its source has other bytes now', repaired_at: null, ended_at: null, told_at: expect.any(Date) }])
    await database.db.setClockOffset(60 * DAY_MS)
    await readAll(node())
    expect(await findings()).toMatchObject([{ tries: 2, ended_at: null }])
    expect(await notices()).toMatchObject([{ user_id: user, type: 'warning', link: `/workspace/library?track=${id}`, message: expect.stringContaining('«Песня»') }])
    expect(said.some(({ text, about }) => text.startsWith('ALERT') && about.blobKey === key && about.why === 'its source has other bytes now')).toBe(true)
    expect((await query('select verified_at, checked_at from reprise.files')).rows[0]).toMatchObject({ verified_at: null, checked_at: expect.any(Date) })
  })

  it('a source that is away is asked again, ever more rarely; its owner is told when it stays away for a day', async () => {
    const { id, file } = await store()
    await unlink(file)
    answers.set(`/${id}`, 503)
    await pass30Days()
    const one = node()
    await readAll(one)
    expect(await findings()).toMatchObject([{ tries: 1, told_at: null, next_at: expect.any(Date) }])
    expect(await one.records.claim()).toBeNull()
    await database.db.setClockOffset(21 * DAY_MS + 11 * 60_000)
    expect(await one.records.claim()).not.toBeNull()
    await one.look((await findings())[0]!.blob_key)
    expect(await findings()).toMatchObject([{ tries: 2, told_at: null }])
    await database.db.setClockOffset(22 * DAY_MS + 60_000)
    await one.look((await findings())[0]!.blob_key)
    expect(await findings()).toMatchObject([{ tries: 3, told_at: expect.any(Date), ended_at: null }])
    answers.set(`/${id}`, song)
    expect(await one.look((await findings())[0]!.blob_key)).toBe('healed')
    expect(await findings()).toMatchObject([{ repaired_at: expect.any(Date), next_at: null }])
    expect(await notices()).toHaveLength(1)
  })

  it('a source too slow for somebody who waits is put on record, and mended behind their back', async () => {
    const { id, file, key } = await store()
    await truncate(file, 1_000)
    const { promise, resolve: answer } = Promise.withResolvers<void>()
    slow.set(`/${id}`, promise)
    const one = node({ patienceMs: 30 })
    expect(await one.look(key)).toBe('gone')
    expect(await findings()).toMatchObject([{ blob_key: key, kind: 'truncated', detail: 'its source was too slow', tries: 1, next_at: expect.any(Date), told_at: null, ended_at: null }])
    expect((await query('select checked_at from reprise.files')).rows[0]!.checked_at).toEqual(expect.any(Date))
    await database.db.setClockOffset(11 * 60_000)
    one.start()
    await expect.poll(() => slowlyAsked).toBe(2)
    // whoever asks meanwhile waits no longer for it than for the source
    expect(await one.look(key)).toBe('gone')
    await new Promise((resolve) => setTimeout(resolve, 50))
    answer()
    await expect.poll(findings).toMatchObject([{ repaired_at: expect.any(Date), next_at: null }])
    expect(slowlyAsked).toBe(2)
    await one.stop()
    expect(sha256Hex(await readFile(file))).toBe(sha256Hex(song))
  })

  it('stops while a slow source is asked and leaves the file due, with nothing put on record', async () => {
    const { id, file, key } = await store()
    await unlink(file)
    const { promise, resolve: answer } = Promise.withResolvers<void>()
    slow.set(`/${id}`, promise)
    await pass30Days()
    const one = node()
    one.start()
    await expect.poll(() => slowlyAsked).toBe(1)
    await one.stop()
    answer()
    expect(await findings()).toEqual([])
    expect(await node({ name: 'b' }).records.claim()).toBe(key)
  })

  it('a whole file is read and nothing is said; its next turn comes in twenty days', async () => {
    const { key } = await store()
    expect(await node().records.claim()).toBeNull()
    await pass30Days()
    const one = node()
    await readAll(one)
    expect(said).toEqual([])
    expect(await findings()).toEqual([])
    expect(await one.records.claim()).toBeNull()
    await database.db.setClockOffset(42 * DAY_MS)
    expect(await one.records.claim()).toBe(key)
  })

  it('the longest unread file comes first, whatever was found then', async () => {
    const files = [await store(), await store(), await store()]
    for (const [index, { key }] of files.entries()) await query(`update reprise.files set checked_at = reprise.now() + $2 * interval '1 hour' where blob_key = $1`, [key, [2, 0, 1][index]])
    await database.db.setClockOffset(25 * DAY_MS)
    const { records } = node()
    expect([await records.claim(), await records.claim(), await records.claim(), await records.claim()]).toEqual([files[1]!.key, files[2]!.key, files[0]!.key, null])
  })

  it('two nodes share the work and never read the same file', async () => {
    for (let n = 0; n < 24; n++) await store()
    await pass30Days()
    const reads: string[] = []
    const counting = () => {
      const blobs = createDiskStore({ root: folder })
      return { ...blobs, get: (key: string) => (reads.push(key), blobs.get(key)) }
    }
    const nodes = [node({ name: 'a', blobs: counting() }), node({ name: 'b', blobs: counting() })]
    await readAll(...nodes)
    expect(reads).toHaveLength(24)
    expect(new Set(reads).size).toBe(24)
    expect((await query('select from reprise.fixity_claims')).rowCount).toBe(0)
  })

  it('a node that dies loses nothing: its file is read by another when the claim lapses, not before', async () => {
    const { key } = await store()
    await pass30Days()
    const [dead, living] = [node({ name: 'dead' }), node({ name: 'living' })]
    expect(await dead.records.claim()).toBe(key)
    expect(await living.records.claim()).toBeNull()
    await database.db.setClockOffset(21 * DAY_MS + 61_000)
    expect(await living.records.claim()).toBe(key)
  })

  it('files that cannot be looked at, however many and however old, keep no other file from being read', async () => {
    const bad = await Promise.all(Array.from({ length: 120 }, () => store()))
    const good = await store()
    await query(`update reprise.files set created_at = created_at - interval '1 day' where blob_key = any ($1)`, [bad.map(({ key }) => key)])
    const disk = createDiskStore({ root: folder })
    const blobs = { ...disk, head: (key: string) => (key === good.key ? disk.head(key) : Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' }))) }
    await pass30Days()
    // more of them at once than a claim looks at, given back for later, and again when their time has come
    const { records } = node({ name: 'other' })
    for (let n = 0; n < 116; n++) await records.release((await records.claim())!, 600_000)
    await database.db.setClockOffset(21 * DAY_MS + 601_000)
    const one = node({ blobs })
    one.start()
    await expect.poll(async () => (await query('select verified_at from reprise.files where blob_key = $1', [good.key])).rows[0]!.verified_at, { timeout: 20_000 }).toEqual(expect.any(Date))
    await one.stop()
    expect(await findings()).toEqual([])
    // and they come again themselves
    await database.db.setClockOffset(21 * DAY_MS + 1_300_000)
    expect(await one.records.claim()).not.toBeNull()
  }, 30_000)

  it('a repair that cannot be tried keeps no other from being tried', async () => {
    const lost = []
    for (let n = 0; n < 102; n++) lost.push((await store()).key)
    await query(`insert into reprise.fixity_findings (blob_key, kind, next_at) select key, 'missing', reprise.now() - interval '1 hour' + n * interval '1 second' from unnest($1::text[]) with ordinality as k (key, n)`, [lost])
    const { records } = node()
    for (const key of lost.slice(0, 101)) {
      expect(await records.claim()).toBe(key)
      await records.release(key, 600_000)
    }
    expect(await records.claim()).toBe(lost[101])
  })

  it('stops in the middle of a file and leaves it due', async () => {
    const { key } = await store({ bytes: Buffer.alloc(3_000_000, 7) })
    await pass30Days()
    const slow = node({ mbPerSec: 1 })
    slow.start()
    await expect.poll(async () => (await query('select from reprise.fixity_claims')).rowCount).toBe(1)
    const started = performance.now()
    await slow.stop()
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(await node({ name: 'b' }).records.claim()).toBe(key)
  })

  it('several names of the same bytes are one file to read', async () => {
    const { key } = await store()
    await query(`insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime) select 'albert-tracks', 'another/name.mp3', blob_key, user_id, sha256, bytes, mime from reprise.files`)
    await pass30Days()
    const one = node()
    expect(await one.records.claim()).toBe(key)
    expect(await one.records.claim()).toBeNull()
    await one.look(key)
    expect((await query('select from reprise.files where verified_at is not null')).rowCount).toBe(2)
  })

  it('a store that is not there makes no file missing, and nobody is told', async () => {
    const { file, key } = await store()
    await unlink(file)
    const away = node({ there: () => Promise.reject(new Error('not mounted')) })
    await expect(away.look(key)).rejects.toMatchObject({ code: 'storage_failed' })
    expect([await findings(), await notices()]).toEqual([[], []])
  })
})

describe('a repair that breaks off', () => {
  const steps: [string, (blobs: BlobStore) => Partial<BlobStore>][] = [
    ['while it is fetched', () => ({ stage: () => Promise.reject(new Error('killed')) })],
    ['before anything is moved', () => ({ replace: () => Promise.reject(new Error('killed')) })],
    ['when the damaged bytes have their second name', () => ({
      async replace(_staged, key, { aside }) {
        await mkdir(join(folder, aside, '..'), { recursive: true })
        await link(join(folder, key), join(folder, aside))
        throw new Error('killed')
      },
    })],
    ['after it, before it is written down', (blobs) => ({
      async replace(...given) {
        await blobs.replace(...given)
        throw new Error('killed')
      },
    })],
  ]
  it.each(steps)('%s leaves a file, and the next round ends it', async (_step, broken) => {
    const { file, key } = await store()
    await truncate(file, 1_000)
    const blobs = createDiskStore({ root: folder })
    await expect(node({ blobs: { ...blobs, ...broken(blobs) } }).look(key)).rejects.toThrow()
    expect((await readFile(file)).length).toBeGreaterThanOrEqual(1_000)
    expect(await node().look(key)).toMatch(/healed|whole/)
    expect(sha256Hex(await readFile(file))).toBe(sha256Hex(song))
  })
})

describe('the comparison of all records with all files', () => {
  it('finds missing and shortened files at once, without waiting for their turn', async () => {
    const [lost, cut] = [await store(), await store(), await store()]
    await unlink(lost.file)
    await truncate(cut.file, 10)
    expect(await node().pass()).toMatchObject({ files: 3, damaged: 2 })
    for (const { file } of [lost, cut]) expect(sha256Hex(await readFile(file))).toBe(sha256Hex(song))
    expect(await node().pass()).toMatchObject({ damaged: 0 })
  })

  it('reports files without a record, says what is known of them, and deletes none; young and staged ones and those kept aside are left alone', async () => {
    const one = node()
    const [stray, deleted] = [await store({ named: false }), await store()]
    await query('update public.tracks set deleted_at = reprise.now() where id = $1', [deleted.id])
    await query('delete from reprise.files where blob_key = $1', [deleted.key])
    const young = await store({ named: false })
    const soon = new Date(Date.now() + 5 * DAY_MS)
    await utimes(young.file, soon, soon)
    const staged = await one.blobs.stage(bytesOf(song), { maxBytes: 1e8 })
    const kept = await one.blobs.stage(bytesOf(song), { maxBytes: 1e8 })
    await one.blobs.publish(kept, 'aside/kept', { mime: 'audio/mpeg' })
    await one.pass()
    const reported = async () => new Map((await query(`select blob_key, detail from reprise.fixity_findings where kind = 'orphan' and ended_at is null`)).rows.map((row) => [row.blob_key, row.detail]))
    const found = await reported()
    expect(found.get(stray.key)).toBe('no record names it')
    expect(found.get(deleted.key)).toBe('its track was deleted')
    expect(found.has(young.key)).toBe(false)
    expect([...found.keys()].filter((key) => !key.startsWith('tracks-audio/'))).toEqual([])
    for (const { file } of [stray, deleted]) expect((await readFile(file)).equals(song)).toBe(true)
    expect(await notices()).toEqual([])
    const before = (await findings()).length
    await one.pass()
    expect(await findings()).toHaveLength(before)
    await unlink(stray.file)
    await one.pass()
    expect((await reported()).has(stray.key)).toBe(false)
    await staged.discard()
  })

  it('ends what was found of files that no record names any more; bytes that remain are orphans', async () => {
    const one = node()
    const [lost, flipped, kept] = [await store(), await store(), await store()]
    await unlink(lost.file)
    await unlink(kept.file)
    await flip(flipped.file)
    for (const { id, key } of [lost, flipped, kept]) {
      answers.set(`/${id}`, other)
      expect(await one.look(key)).toBe('gone')
    }
    for (const { id, key } of [lost, flipped]) {
      await query('update public.tracks set deleted_at = reprise.now() where id = $1', [id])
      await query('delete from reprise.files where blob_key = $1', [key])
    }
    await database.db.setClockOffset(5 * DAY_MS)
    await one.pass()
    expect(await findings()).toMatchObject([
      { blob_key: lost.key, kind: 'missing', ended_at: expect.any(Date), repaired_at: null, next_at: null },
      { blob_key: flipped.key, kind: 'flipped', ended_at: expect.any(Date), repaired_at: null },
      { blob_key: kept.key, kind: 'missing', ended_at: null },
      ...(await query(`select blob_key, ended_at from reprise.fixity_findings where kind = 'orphan' order by id`)).rows,
    ])
    expect((await query(`select detail from reprise.fixity_findings where kind = 'orphan' and ended_at is null and blob_key = $1`, [flipped.key])).rows).toEqual([{ detail: 'its track was deleted' }])
    expect((await readFile(flipped.file)).length).toBe(song.length)
  })

  it('says so when reading does not keep up', async () => {
    await store()
    await node().pass()
    expect(said).toEqual(expect.not.arrayContaining([expect.objectContaining({ text: expect.stringContaining('ALERT') })]))
    await database.db.setClockOffset(31 * DAY_MS)
    const one = node()
    expect(await one.overdue()).toBe(1)
    await one.pass()
    expect(said.map(({ text }) => text)).toContain('ALERT: stored files are not read again within 30 days: raise FIXITY_MB_PER_SEC, or start another worker')
  })
})
