import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { link, mkdir, mkdtemp, readdir, readFile, readlink, rm, truncate, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { systemClock } from '../../kernel/clock.ts'
import { sha256Hex } from '../../kernel/ids.ts'
import { createDiskStore, type DiskStore } from '../../storage/disk/disk-store.ts'
import { createExport } from './export.ts'
import { createLibrary } from './library.ts'

const run = promisify(execFile)
/** What is still held is counted, not what waits to be collected. */
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc') as () => void
const damaged = new Set<string>()
const suspected: string[] = []

let database: TestDatabase
let folder: string
let blobs: DiskStore
let prepare: ReturnType<typeof createExport>

beforeAll(async () => {
  database = await createTestDatabase()
  folder = await mkdtemp(join(tmpdir(), 'reprise-export-'))
  blobs = createDiskStore({ root: join(folder, 'files') })
  prepare = exporter(blobs)
})
afterAll(async () => {
  await database.close()
  await rm(folder, { recursive: true, force: true })
})

const exporter = (store: Pick<DiskStore, 'get' | 'head'>) => createExport({
  library: createLibrary({ db: database.db, schema: 'public' }), blobs: store, version: 'test', clock: systemClock,
  damaged: async (keys) => new Set(keys.filter((key) => damaged.has(key))), suspect: (key) => void suspected.push(key),
})

interface Made { id: string; key: string; bytes: Buffer }

async function record(user: string, track: string | null, bucket: string, path: string, mime: string, bytes: Buffer): Promise<string> {
  const key = `${bucket}/${path}`
  await database.db.query(
    'insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, track_id) values ($1, $2, $3, $4, $5, $6, $7, $8)',
    [bucket, path, key, user, sha256Hex(bytes), bytes.length, mime, track])
  return key
}

async function write(key: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(join(folder, 'files', key)), { recursive: true })
  await writeFile(join(folder, 'files', key), bytes)
}

async function makeTrack(user: string, title: string | null = 'Ночь: "Луна"', bytes = randomBytes(50_000)): Promise<Made> {
  const id = randomUUID()
  await database.db.query(
    `insert into public.tracks (id, user_id, title, prompt, lyrics, provider, status, metadata, created_at) values ($1, $2, $3, 'a prompt', E'line 1\nline 2', 'suno', 'completed', '{"provider_task_id": "task-1"}', '2026-05-01T10:00:00Z')`,
    [id, user, title])
  const key = await record(user, id, 'tracks-audio', `${user}/${id}.mp3`, 'audio/mpeg', bytes)
  await write(key, bytes)
  return { id, key, bytes }
}

/** Written to a file, unpacked and checked by tools that are not ours. */
async function unpack(user: string): Promise<{ root: string; name: string; files: string[]; zipBytes: number; said: number }> {
  const bag = await prepare(user)
  const target = join(folder, `${randomUUID()}.zip`)
  await pipeline(Readable.fromWeb(bag.stream() as never), createWriteStream(target))
  const zipBytes = (await readFile(target)).length
  await run('unzip', ['-tqq', target])
  await run('unzip', ['-q', target, '-d', target.replace('.zip', '')])
  const root = join(target.replace('.zip', ''), bag.name)
  for (const manifest of ['manifest-sha256.txt', 'tagmanifest-sha256.txt']) await run('sha256sum', ['--check', '--strict', '--quiet', manifest], { cwd: root })
  return { root, name: bag.name, files: (await readdir(join(root, 'data'))).sort(), zipBytes, said: bag.bytes }
}

describe('the export of a library', () => {
  it('holds every file byte for byte and a sidecar for each track, and its manifests are right for sha256sum', async () => {
    const user = randomUUID()
    const song = await makeTrack(user)
    const cover = randomBytes(3_000)
    await write(await record(user, song.id, 'tracks-covers', `${user}/${song.id}.jpg`, 'image/jpeg', cover), cover)
    await makeTrack(randomUUID(), 'somebody else’s')
    const { root, files, zipBytes, said } = await unpack(user)
    const stem = `Ночь_ _Луна_-${song.id}`
    expect(files).toEqual([`${stem}.jpg`, `${stem}.json`, `${stem}.mp3`, 'missing.json'].sort())
    expect((await readFile(join(root, 'data', `${stem}.mp3`))).equals(song.bytes)).toBe(true)
    expect(JSON.parse(await readFile(join(root, 'data', `${stem}.json`), 'utf8'))).toMatchObject({
      id: song.id, title: 'Ночь: "Луна"', prompt: 'a prompt', lyrics: 'line 1\nline 2', provider: 'suno', providerTaskId: 'task-1', createdAt: '2026-05-01T10:00:00.000Z',
      files: [{ name: `${stem}.mp3`, sha256: sha256Hex(song.bytes), bytes: 50_000, mime: 'audio/mpeg' }, { name: `${stem}.jpg`, sha256: sha256Hex(cover) }],
    })
    expect(JSON.parse(await readFile(join(root, 'data/missing.json'), 'utf8'))).toEqual([])
    expect(zipBytes).toBe(said)
  })

  it('is a bag as RFC 8493 has it: declared, described, every payload file listed once and nothing else', async () => {
    const user = randomUUID()
    await makeTrack(user)
    await makeTrack(user)
    const { root, files } = await unpack(user)
    expect(await readFile(join(root, 'bagit.txt'), 'utf8')).toBe('BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n')
    expect((await readdir(root)).sort()).toEqual(['bag-info.txt', 'bagit.txt', 'data', 'manifest-sha256.txt', 'tagmanifest-sha256.txt'])
    const listed = (await readFile(join(root, 'manifest-sha256.txt'), 'utf8')).trimEnd().split('\n').map((line) => /^[0-9a-f]{64} {2}data\/(.+)$/.exec(line)![1]!)
    expect(listed.sort()).toEqual(files)
    const sizes = await Promise.all(files.map(async (file) => (await readFile(join(root, 'data', file))).length))
    expect(await readFile(join(root, 'bag-info.txt'), 'utf8')).toContain(`Payload-Oxum: ${sizes.reduce((a, b) => a + b)}.${files.length}\n`)
  })

  it('holds the same bytes once, whatever they are called, and files that belong to no track too', async () => {
    const user = randomUUID()
    const song = await makeTrack(user, 'one')
    await database.db.query(
      `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, track_id) select 'albert-tracks', 'x/y/z.mp3', blob_key, user_id, sha256, bytes, mime, track_id from reprise.files where blob_key = $1`, [song.key])
    const picture = randomBytes(100)
    await write(await record(user, null, 'generated', `${user}/picture.png`, 'image/png', picture), picture)
    expect((await unpack(user)).files).toEqual([`one-${song.id}.json`, `one-${song.id}.mp3`, 'missing.json', 'picture.png'].sort())
  })

  it('of an empty library is a valid bag', async () => {
    expect((await unpack(randomUUID())).files).toEqual(['missing.json'])
  })

  it('leaves out what was deleted', async () => {
    const user = randomUUID()
    const song = await makeTrack(user)
    await database.db.query('update public.tracks set deleted_at = reprise.now() where id = $1', [song.id])
    await database.db.query('delete from reprise.files where track_id = $1', [song.id])
    expect((await unpack(user)).files).toEqual(['missing.json'])
  })

  it('lists what is missing, shortened, known to be damaged or not stored yet, and is whole without it', async () => {
    const user = randomUUID()
    const [lost, cut, flipped, fine] = [await makeTrack(user), await makeTrack(user), await makeTrack(user), await makeTrack(user)]
    const elsewhere = randomUUID()
    await database.db.query(`insert into public.tracks (id, user_id, title, status, audio_url) values ($1, $2, 'not ours', 'completed', 'https://cdn.example/x.mp3')`, [elsewhere, user])
    await unlink(join(folder, 'files', lost.key))
    await truncate(join(folder, 'files', cut.key), 10)
    damaged.add(flipped.key)
    suspected.length = 0
    const { root, files } = await unpack(user)
    expect(files.filter((file) => file.endsWith('.mp3'))).toEqual([expect.stringContaining(fine.id)])
    const missing = JSON.parse(await readFile(join(root, 'data/missing.json'), 'utf8')) as { trackId: string; reason: string }[]
    expect(new Map(missing.map(({ trackId, reason }) => [trackId, reason]))).toEqual(new Map([
      [lost.id, 'missing in our storage'], [cut.id, 'damaged in our storage'], [flipped.id, 'damaged in our storage'], [elsewhere, 'not stored yet'],
    ]))
    expect(suspected.sort()).toEqual([lost.key, cut.key].sort())
  })

  it('names every file that a track has in another store: a record under another address is not that file', async () => {
    const user = randomUUID()
    const theirs = 'https://team.example/storage/v1/object/public/tracks-audio/their own/x.mp3'
    const [ours, away, moved] = [await makeTrack(user), randomUUID(), await makeTrack(user)]
    const set = (id: string, values: string) => database.db.query(`update public.tracks set ${values} where id = $1`, [id])
    const cover = randomBytes(100)
    await write(await record(user, ours.id, 'tracks-covers', `${user}/Ночь ${ours.id}.jpg`, 'image/jpeg', cover), cover)
    await set(ours.id, `audio_url = 'https://cdn.example/1.mp3', storage_audio_url = 'http://reprise/storage/v1/object/public/${ours.key}?v=1', cover_url = 'http://reprise/storage/v1/object/public/tracks-covers/${user}/${encodeURIComponent('Ночь')}%20${ours.id}.jpg'`)
    await database.db.query(`insert into public.tracks (id, user_id, title, status) values ($1, $2, 'kept by the team', 'completed')`, [away, user])
    await set(away, `audio_url = '${theirs}', storage_audio_url = '${theirs}', video_url = 'https://cdn.example/100%.mp4', archived_to_storage = true`)
    await set(moved.id, `storage_audio_url = '${theirs}'`)
    const { root, files } = await unpack(user)
    expect(files.filter((file) => file.endsWith('.mp3'))).toHaveLength(2)
    const missing = JSON.parse(await readFile(join(root, 'data/missing.json'), 'utf8')) as { trackId: string }[]
    expect(missing.sort((a, b) => [away, moved.id].indexOf(a.trackId) - [away, moved.id].indexOf(b.trackId))).toEqual([
      { trackId: away, title: 'kept by the team', file: 'audio', reason: 'kept in another store', url: theirs },
      { trackId: away, title: 'kept by the team', file: 'video', reason: 'not stored yet', url: 'https://cdn.example/100%.mp4' },
      { trackId: moved.id, title: 'Ночь: "Луна"', file: 'audio', reason: 'kept in another store', url: theirs },
    ])
    expect(await readFile(join(root, 'bag-info.txt'), 'utf8')).toContain('3 files are missing')
  })

  it.each([
    ['is another one', (file: string) => writeFile(file, Buffer.alloc(50_000))],
    ['is shorter', (file: string) => truncate(file, 49_999)],
    ['is longer', (file: string) => writeFile(file, Buffer.alloc(50_001))],
    ['is gone', unlink],
  ])('breaks off when a file %s than its record says on its way, and says which', async (_how, damage) => {
    const user = randomUUID()
    const song = await makeTrack(user)
    const bag = await prepare(user)
    await damage(join(folder, 'files', song.key))
    suspected.length = 0
    let ended = 0
    await expect(Readable.fromWeb(bag.stream(() => ended++) as never).resume().toArray()).rejects.toThrow('not what its record says')
    expect(suspected).toEqual([song.key])
    expect(ended).toBe(1)
  })

  it('of 300 tracks holds no more memory than a few chunks, and reads no faster than it is taken', async () => {
    const user = randomUUID()
    const bytes = randomBytes(200_000)
    const first = await makeTrack(user, 'one', bytes)
    for (let n = 1; n < 300; n++) {
      const id = randomUUID()
      await database.db.query(`insert into public.tracks (id, user_id, title, status) values ($1, $2, $3, 'completed')`, [id, user, `song ${n}`])
      const key = await record(user, id, 'tracks-audio', `${user}/${id}.mp3`, 'audio/mpeg', bytes)
      await link(join(folder, 'files', first.key), join(folder, 'files', key))
    }
    const opened: string[] = []
    const bag = await exporter({ ...blobs, get: (key) => (opened.push(key), blobs.get(key)) })(user)
    const reader = bag.stream().getReader()
    for (let n = 0; n < 30; n++) await reader.read()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(opened.length).toBeLessThanOrEqual(2)
    gc()
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    let received = 0
    let looked = 0
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      received += step.value.length
      if (received - looked < 10e6) continue
      looked = received
      gc()
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
    expect(received).toBeGreaterThan(300 * 190_000)
    expect(opened.length).toBe(300)
    // What a forced collection frees is given back a little later: up to what came since the last look.
    expect(most).toBeLessThan(20e6)
  })

  it('that is cancelled closes what it had open', async () => {
    const user = randomUUID()
    await makeTrack(user, 'big', randomBytes(3_000_000))
    let ended = 0
    const reader = (await prepare(user)).stream(() => ended++).getReader()
    for (let received = 0; received < 100_000; ) received += (await reader.read()).value?.length ?? Infinity
    await reader.cancel()
    const open = async () => {
      const names = await readdir('/proc/self/fd')
      const targets = await Promise.all(names.map((name) => readlink(`/proc/self/fd/${name}`).catch(() => '')))
      return targets.filter((target) => target.startsWith(folder))
    }
    await expect.poll(open).toEqual([])
    expect(ended).toBe(1)
  })
})
