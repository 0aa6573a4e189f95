import { execFile, spawn } from 'node:child_process'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CommandRefused } from '../server/src/kernel/command-refused.ts'
import { importCommand } from '../server/src/cli/import.ts'
import { createTestDatabase, type TestDatabase } from '../server/src/database/testing/test-database.ts'
import { stableUuid } from '../server/src/kernel/ids.ts'
import { startFileHost, type FileHost } from './file-host.ts'
import { startHarness, type Harness } from './harness.ts'

const REPRISE = join(import.meta.dirname, '../server/src/cli/reprise.ts')
const DAY_MS = 86_400_000
const ago = (days: number): string => new Date(Date.now() - days * DAY_MS).toISOString()

let reprise: Harness
let files: FileHost
let team: TestDatabase
let folder: string

beforeAll(async () => {
  files = await startFileHost()
  reprise = await startHarness({ downloadAllowHosts: [files.host], archiveParallel: 1, workers: false })
  team = await createTestDatabase({ migrated: false })
  folder = await mkdtemp(join(tmpdir(), 'reprise-import-'))
})
afterAll(async () => {
  await reprise.close()
  await team.close()
  await files.close()
  await rm(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  await sql('delete from public.tracks')
  await sql('delete from reprise.files')
  await team.db.query(`drop table if exists tracks; create table tracks (id text, user_id text, url text, cover text, title text, duration numeric, status text, created_at timestamptz, deleted_at timestamptz)`)
  files.asked.clear()
})

const sql = async (query: string, values: unknown[] = []): Promise<any[]> => (await reprise.database.db.query(query, values)).rows
const count = async (what: string): Promise<number> => (await sql(`select count(*) as count from ${what}`))[0].count
const env = (more: Record<string, string> = {}): Record<string, string | undefined> => ({
  PATH: process.env.PATH, DATABASE_URL: reprise.database.url, DATA_DIR: folder, DEMO: 'off', DOWNLOAD_ALLOW_HOSTS: files.host, LEASE_MS: '1000', TEAM: team.url, LOG_LEVEL: 'silent', ...more,
})
/** As an operator runs it: a process of its own. */
const run = (args: string[], node: string[] = []) => new Promise<{ code: number; out: string; err: string }>((done) => {
  execFile(process.execPath, [...node, REPRISE, 'import', ...args], { env: env(), maxBuffer: 1e8 }, (error, out, err) => done({ code: error ? Number(error.code) : 0, out, err }))
})
/** The same in this process, which is quicker. */
async function cli(args: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err] = [new PassThrough(), new PassThrough()]
  const told = Promise.all([text(out), text(err)])
  let code = 1
  try {
    code = await importCommand(args, {
      config: { compatSchema: 'public', downloadAllowHosts: [files.host] }, databaseUrl: () => reprise.database.url, env: env(), stdout: out, stderr: err as never, signal: new AbortController().signal,
    })
  } catch (error) {
    if (!(error instanceof CommandRefused)) throw error
    err.write(error.message)
  }
  out.end()
  err.end()
  const [outText, errText] = await told
  return { code, out: outText, err: errText }
}
const FROM = ['--from', 'env:TEAM']
/** The report that an import writes. */
async function report(args: string[]): Promise<any> {
  const file = join(folder, 'report.json')
  await rm(file, { force: true })
  const { code, out, err } = await cli([...args, '--report', file])
  return { code, out, err, ...JSON.parse(await readFile(file, 'utf8').catch(() => 'null')) }
}
async function song(row: { id: string; title?: string; days?: number; url?: string; user?: string; cover?: string; status?: string; duration?: number; deleted?: boolean }): Promise<void> {
  await team.db.query('insert into tracks values ($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
    row.id, row.user ?? 'ann', row.url ?? files.song(`song-${row.id}`), row.cover ?? null, row.title ?? `Song ${row.id}`, row.duration ?? 2, row.status ?? 'completed', ago(row.days ?? 1), row.deleted ? ago(0) : null,
  ])
}
const track = async (sourceId: string): Promise<any> => (await sql(`select * from public.tracks where metadata -> 'imported' ->> 'id' = $1`, [sourceId]))[0]
async function until(look: () => Promise<boolean>, what: string, ms = 20_000): Promise<void> {
  for (const end = Date.now() + ms; !(await look()); await new Promise((resolve) => setTimeout(resolve, 25))) {
    if (Date.now() > end) throw new Error(`in vain: ${what}`)
  }
}

/** The database has noticed that a killed process is gone. */
const forgotten = () => until(async () => (await count(`pg_stat_activity where datname = current_database() and application_name like 'reprise %' and application_name not like 'reprise test-%'`)) === 0, 'its connections end')

describe('reprise import, before anything is archived', () => {
  it('a dry run tells what would be done, and writes nothing', async () => {
    await song({ id: 'fresh' })
    await song({ id: 'urgent', days: 14, title: 'Hurry' })
    await song({ id: 'old', days: 400 })
    await song({ id: 'pending', status: 'processing' })
    await song({ id: 'deleted', deleted: true })
    await song({ id: 'bad', url: 'not an address' })
    const before = await sql(`select sum(n_tup_ins + n_tup_upd + n_tup_del) as writes from pg_stat_user_tables where schemaname in ('public', 'reprise')`)
    const dry = await report([...FROM, '--dry-run'])
    expect(dry).toMatchObject({
      code: 3, dryRun: true, outcome: null, plan: { new: 3, urgent: 1, expired: 1, alreadyArchived: 0, bytes: { audio: 18_000_000, total: 18_000_000 } },
      rows: { read: 6, bad: [{ reason: 'the address of its audio is not an address', rows: 1 }], skipped: expect.arrayContaining([{ reason: 'its status is processing', rows: 1 }]) },
      refused: expect.arrayContaining([expect.objectContaining({ row: 6, id: 'bad', value: 'not an address' })]),
    })
    expect(dry.plan.mostUrgent).toMatchObject([{ title: 'Hurry' }])
    expect(dry.out).toMatch(/in 24 h +Hurry/)
    expect(dry.out).toContain('15 days')
    expect([await count('public.tracks'), await count('reprise.archivals'), await count('public.track_archiving_jobs')]).toEqual([0, 0, 0])
    expect(await sql(`select sum(n_tup_ins + n_tup_upd + n_tup_del) as writes from pg_stat_user_tables where schemaname in ('public', 'reprise')`)).toEqual(before)
    expect(files.asked.size).toBe(0)
  })

  it('fifty thousand long rows are planned in a small heap', async () => {
    await team.db.query(`insert into tracks (id, user_id, url, title, created_at) select i, 'user ' || i % 1000, 'https://cdn' || i % 7 || '.suno.ai/' || i || '.mp3', repeat('la ', 400), now() - i * interval '30 seconds'
      from generate_series(1, 50000) i`)
    const { code, out, err } = await run([...FROM, '--dry-run'], ['--max-old-space-size=96'])
    expect(err).not.toMatch(/heap/)
    expect(code).toBe(0)
    expect(out).toMatch(/ 50,000 {2}to be imported/)
  }, 180_000)

  it('a CSV of any size goes through the same small heap', async () => {
    const file = join(folder, 'many.csv')
    const handle = await open(file, 'w')
    await handle.write('id;owner;url;made;lyrics\n')
    for (let i = 0; i < 10; i++) await handle.write(Array.from({ length: 1000 }, (_, j) => `${i * 1000 + j};ann;https://cdn.suno.ai/${i}-${j}.mp3;${ago(1)};"${'la\n'.repeat(4000)}"\n`).join(''))
    await handle.close()
    const { code, out } = await run(['--csv', file, '--map', 'created_at=made', '--dry-run'], ['--max-old-space-size=96'])
    expect(code).toBe(0)
    expect(out).toMatch(/ 10,000 {2}to be imported/)
  }, 180_000)

  it('killed while it queues and repeated, every row is there once, and once more changes nothing', async () => {
    const rows = 6_000
    await team.db.query(`insert into tracks (id, user_id, url, title, created_at) select i, 'ann', 'https://cdn.suno.ai/' || i || '.mp3', 'Song ' || i, now() - interval '1 day' from generate_series(1, $1::int) i`, [rows])
    const child = spawn(process.execPath, [REPRISE, 'import', ...FROM, '--no-wait'], { env: env(), stdio: 'ignore' })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await until(async () => (await count('public.tracks')) > 0, 'the first rows come')
    child.kill('SIGKILL')
    await ended
    await forgotten()
    const first = await count('public.tracks')
    expect(first).toBeLessThan(rows)
    expect(await report([...FROM, '--no-wait'])).toMatchObject({ code: 3, finished: false, plan: { new: rows - first, underWay: first }, outcome: { waiting: rows } })
    expect(await report([...FROM, '--no-wait'])).toMatchObject({ plan: { new: 0, underWay: rows } })
    expect([await count('public.tracks'), await count('reprise.archivals')]).toEqual([rows, rows])
  }, 120_000)

  it('a row whose address has changed is noticed: the new one is taken while nothing is stored', async () => {
    await song({ id: 'a' })
    await report([...FROM, '--no-wait'])
    await team.db.query(`update tracks set url = $1`, [files.song('elsewhere')])
    expect(await report([...FROM, '--no-wait'])).toMatchObject({ plan: { new: 0, moved: 1 } })
    expect(await track('a')).toMatchObject({ audio_url: files.song('elsewhere') })
    expect(await report([...FROM, '--no-wait'])).toMatchObject({ plan: { moved: 0, underWay: 1 } })
  })

  it('an id that another track was imported under before is refused, and taken under a name of its own', async () => {
    await song({ id: '1' })
    await report([...FROM, '--no-wait'])
    await writeFile(join(folder, 'other.csv'), `id,user_id,url,created_at\n1,ann,https://cdn.suno.ai/another.mp3,${ago(3)}\n1,bob,https://cdn.suno.ai/third.mp3,${ago(3)}\n`)
    const clash = await report(['--csv', join(folder, 'other.csv'), '--no-wait'])
    expect(clash).toMatchObject({ code: 3, plan: { new: 0, moved: 0 }, refused: [expect.objectContaining({ line: 3 }), expect.objectContaining({ line: 2, reason: expect.stringContaining('--source') })] })
    expect(await report(['--csv', join(folder, 'other.csv'), '--no-wait', '--source', 'other'])).toMatchObject({ plan: { new: 1 }, rows: { skipped: [{ reason: 'its id came before in this source', rows: 1 }] } })
  })

  it('a track that its owner has deleted here stays deleted', async () => {
    await song({ id: 'a' })
    await report([...FROM, '--no-wait'])
    await sql('update public.tracks set deleted_at = now()')
    expect(await report([...FROM, '--no-wait'])).toMatchObject({ plan: { new: 0, deletedHere: 1 }, outcome: { deletedHere: 1, waiting: 0 } })
    expect(await count('public.tracks where deleted_at is null')).toBe(0)
  })

  it('what the provider has deleted by its calendar is left out when that is wanted', async () => {
    await song({ id: 'a', days: 20 })
    await song({ id: 'b' })
    expect(await report([...FROM, '--no-wait', '--skip-expired'])).toMatchObject({ plan: { new: 1, expired: 0 }, rows: { skipped: [{ rows: 1 }] } })
  })

  it('titles, words and dates come along; owners are those who sign in under these names', async () => {
    await team.db.query(`create schema if not exists old; drop table if exists old.songs; create table old.songs (song_id int, who text, file_url text, made_at timestamp, name text, duration int, tags text[], lyrics text)`)
    await team.db.query(`insert into old.songs values (1, 'ann', 'https://cdn.suno.ai/1.mp3', '2026-11-20 10:00:00.123456', 'Night bus', 183000, array['folk', 'slow, sad'], E'la\\nla')`)
    const { code, err } = await cli([...FROM, '--table', 'old.songs', '--map', 'user_id=who,created_at=made_at', '--no-wait'])
    expect({ code, err }).toMatchObject({ code: 3 })
    const row = (await sql('select *, created_at::text as exact from public.tracks'))[0]
    expect(row).toMatchObject({
      title: 'Night bus', lyrics: 'la\nla', duration: 183, duration_ms: 183_000, provider: 'suno', status: 'completed', user_id: stableUuid('ann'), exact: '2026-11-20 10:00:00.123456+00',
    })
    expect(row.expires_at.toISOString()).toBe('2026-12-04T10:00:00.123Z')
  })

  it('another schema of the same database is a source too; our own table is none', async () => {
    await sql(`create schema if not exists app; create table if not exists app.songs (id uuid, user_id uuid, audio_url text, created_at timestamptz)`)
    await sql(`insert into app.songs values (gen_random_uuid(), gen_random_uuid(), 'https://cdn.suno.ai/1.mp3', now())`)
    expect(await report(['--table', 'app.songs', '--no-wait'])).toMatchObject({ plan: { new: 1 } })
    expect((await sql('select t.id = s.id as same from public.tracks t, app.songs s'))[0].same).toBe(true)
    expect(await cli(['--table', 'public.tracks'])).toMatchObject({ code: 1, err: expect.stringContaining("Reprise's own table") })
    await sql('drop schema app cascade')
  })

  it.each<[string, string[], RegExp]>([
    ['a missing table', [...FROM, '--table', 'songs'], /There is no table songs in .*Tables there that name addresses|There is no table songs/],
    ['a missing column', [...FROM, '--map', 'audio_url=mp3'], /no column "mp3" for audio_url.*user_id/],
    ['an address that is none', ['--from', 'mysql://bob:hunter2@host/db'], /not the address of a PostgreSQL/],
    ['nobody there', ['--from', 'postgres://bob:hunter2@127.0.0.1:1/db'], /Nobody answers at 127\.0\.0\.1\/db/],
    ['a variable that is not set', ['--from', 'env:NOWHERE'], /NOWHERE is not set/],
    ['a folder that is not there', [...FROM, '--report', '/nowhere/report.json'], /its folder cannot be written/],
  ])('%s is told in a sentence, without a password', async (_name, args, says) => {
    const { code, out, err } = await cli(args)
    expect(code).toBe(1)
    expect(err).toMatch(says)
    expect(out + err).not.toMatch(/hunter2|at .*\.ts:/)
  })

  it('a wrong password is told without showing it', async () => {
    const url = Object.assign(new URL(team.url), { password: 'hunter2' }).href
    const { code, err } = await run(['--from', url])
    expect(code).toBe(1)
    expect(err).toMatch(/wrong user or password/)
    expect(err).not.toContain('hunter2')
  })

  it('wrong options end with code 2, --help with 0', async () => {
    expect(await cli([])).toMatchObject({ code: 2, err: expect.stringContaining('from where?') })
    expect(await cli(['--csv', 'x', '--form', 'y'])).toMatchObject({ code: 2, err: expect.stringContaining('--form') })
    expect(await cli(['--csv', 'x', ...FROM])).toMatchObject({ code: 2 })
    expect(await cli(['--help'])).toMatchObject({ code: 0, out: expect.stringContaining('--dry-run') })
  })
})

describe('reprise import, with a worker of its own', () => {
  const copies = async () => (await sql(`select count(*) as files, count(distinct track_id) as tracks from reprise.files where bucket = 'tracks-audio'`))[0]

  it('killed in the middle and repeated, it archives every song once', async () => {
    const songs = 60
    for (let i = 0; i < songs; i++) await song({ id: `k${i}` })
    const child = spawn(process.execPath, [REPRISE, 'import', ...FROM, '--work'], { env: env({ ARCHIVE_PARALLEL: '4' }), stdio: 'ignore' })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    await until(async () => (await count('public.tracks where archived_to_storage')) >= 5, 'some songs are archived', 40_000)
    child.kill('SIGKILL')
    await ended
    await forgotten()
    const before = await count('public.tracks where archived_to_storage')
    expect(before).toBeLessThan(songs)
    const again = await report([...FROM, '--work'])
    expect(again).toMatchObject({ code: 0, finished: true, outcome: { gone: 0, failed: 0, partly: 0, waiting: 0 } })
    // Its worker begins before the source is read: some of the rest are there already by then.
    expect(again.outcome.archived + again.outcome.alreadyArchived).toBe(songs)
    expect(await copies()).toEqual({ files: songs, tracks: songs })
    // Only what was under way when it was killed was fetched twice.
    expect([...files.asked.values()].filter((times) => times > 1).length).toBeLessThanOrEqual(4)
    const once = await report([...FROM, '--work'])
    expect(once).toMatchObject({ code: 0, outcome: { archived: 0, alreadyArchived: songs } })
    expect(once.out).toMatch(/ 60 {2}there already/)
    expect(await copies()).toEqual({ files: songs, tracks: songs })
  }, 180_000)
})

describe('reprise import, beside a running Reprise', () => {
  let offset = 0
  let skipping: Promise<void>
  let over = false
  beforeAll(async () => {
    await reprise.wired.startWorkers()
    // Jumps over the pauses between tries, while nobody is at anything.
    skipping = (async () => {
      while (!over) {
        await new Promise((resolve) => setTimeout(resolve, 100))
        const { rows: [row] } = await reprise.wired.db.query<{ wait: number | null; busy: number }>(
          `select (min(extract(epoch from next_at - reprise.now())) filter (where tries > 0))::float8 as wait,
             count(*) filter (where lease_owner is not null or (next_at <= reprise.now())) as busy from reprise.archivals`)
        if (row!.busy > 0 || row!.wait === null) continue
        await reprise.wired.db.setClockOffset((offset += row!.wait * 1000 + 10))
        reprise.wired.engine.waker.wake(['archive'])
      }
    })()
  })
  afterAll(async () => {
    over = true
    await skipping
  })

  it('the most urgent song is fetched first, whatever the order of the source; what should be gone comes last', async () => {
    const days = { late: 2, sooner: 9, soonest: 14.5, gone: 30, longGone: 300, middle: 6 }
    for (const [id, age] of Object.entries(days)) await song({ id, days: age })
    expect(await report(FROM)).toMatchObject({ code: 0, outcome: { archived: 6 } })
    expect([...files.asked.keys()]).toEqual(['soonest', 'sooner', 'middle', 'late', 'gone', 'longGone'].map((id) => `/song-${id}.mp3`))
  }, 120_000)

  it('what is gone, cut off or half there is reported, each with its reason; the rest is archived', async () => {
    await song({ id: 'whole', cover: files.cover('whole') })
    await song({ id: 'lost', days: 40, title: 'Lost' })
    await song({ id: 'missing' })
    await song({ id: 'cut' })
    await song({ id: 'coverless', cover: files.cover('coverless') })
    files.break('/song-lost.mp3', 'missing')
    files.break('/song-missing.mp3', 'missing')
    files.break('/song-cut.mp3', 'cut')
    files.break('/coverless.png', 'missing')
    const first = await report(FROM)
    expect(first).toMatchObject({ code: 3, finished: true, outcome: { archived: 1, partly: 1, gone: 1, failed: 2, waiting: 0 } })
    const told = Object.fromEntries(first.troubles.map((one: any) => [one.sourceId, `${one.outcome}: ${one.error}`]))
    expect(told).toEqual({
      lost: expect.stringMatching(/^gone: audio: not_found/), missing: expect.stringMatching(/^failed: audio: not_found/),
      cut: expect.stringMatching(/^failed: audio: truncated/), coverless: expect.stringMatching(/^partly: cover: not_found/),
    })
    expect(first.out).toContain('Lost (lost): audio: not_found: HTTP 404')
    expect(await track('whole')).toMatchObject({ archived_to_storage: true, sha256: files.sha256(files.song('song-whole')) })
    for (const path of ['/song-missing.mp3', '/song-cut.mp3', '/coverless.png']) files.heal(path)
    expect(await report([...FROM, '--retry'])).toMatchObject({ code: 3, outcome: { archived: 3, alreadyArchived: 1, gone: 1, failed: 0, partly: 0 } })
  }, 180_000)

  it('a row whose address has changed after its song was stored does not lose it', async () => {
    await song({ id: 'kept' })
    await report(FROM)
    await team.db.query(`update tracks set url = $1`, [files.song('gone-elsewhere')])
    expect(await report(FROM)).toMatchObject({ code: 0, plan: { kept: 1, moved: 0 }, outcome: { alreadyArchived: 1 } })
    expect(await track('kept')).toMatchObject({ archived_to_storage: true, sha256: files.sha256(files.song('song-kept')) })
    expect(files.asked.has('/gone-elsewhere.mp3')).toBe(false)
  }, 120_000)
})
