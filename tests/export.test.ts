import { execFile } from 'node:child_process'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signToken } from '../server/src/http-kit/testing.ts'
import { systemClock } from '../server/src/kernel/clock.ts'
import { createDiskStore } from '../server/src/storage/disk/disk-store.ts'
import { JWT_SECRET, SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

const REPRISE = join(import.meta.dirname, '../server/src/cli/reprise.ts')
const run = promisify(execFile)

describe('taking a whole library away', () => {
  let reprise: Harness
  let user: TestUser
  let stranger: TestUser
  let folder: string
  let tracks: any[]
  /** Files are read when this resolves. */
  let held = Promise.resolve()
  let reads = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-take-away-'))
    const disk = createDiskStore({ root: join(folder, 'files') })
    reprise = await startHarness({ blobs: { ...disk, async get(key, range) {
      reads++
      await held
      return disk.get(key, range)
    } } })
    user = await reprise.user('leaver', 1_000)
    stranger = await reprise.user('stranger', 1_000)
    const asked = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'to be taken away' } })
    ;({ tracks } = await reprise.settled(asked.body.id, user, (one) => one.tracks.length === 2 && one.tracks.every((track: any) => track.coverUrl)))
  })
  afterAll(async () => {
    await reprise.close()
    await rm(folder, { recursive: true, force: true })
  })

  const get = (token: string, query = '') => fetch(`${reprise.url}/api/export${query}`, { headers: { authorization: `Bearer ${token}` } })
  const keyOf = async (id: string) => (await reprise.database.db.query<{ key: string }>(`select blob_key as key from reprise.files where track_id = $1 and bucket = 'tracks-audio'`, [id])).rows[0]!.key
  async function check(zip: string): Promise<string> {
    const target = await mkdtemp(join(folder, 'unpacked-'))
    await run('unzip', ['-q', zip, '-d', target])
    const [bag] = (await run('ls', [target])).stdout.trim().split('\n')
    for (const manifest of ['manifest-sha256.txt', 'tagmanifest-sha256.txt']) await run('sha256sum', ['--check', '--strict', '--quiet', manifest], { cwd: join(target, bag!) })
    return (await run('ls', ['-1', join(target, bag!, 'data')])).stdout
  }

  it('gives songs, covers and sidecars as one ZIP of the length that was told, which other tools find whole', async () => {
    const answer = await get(user.token)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/zip')
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename="reprise-library-[0-9a-f-]{36}-\d{4}-\d\d-\d\d\.zip"/)
    const bytes = Buffer.from(await answer.arrayBuffer())
    expect(answer.headers.get('content-length')).toBe(String(bytes.length))
    await writeFile(join(folder, 'all.zip'), bytes)
    const names = await check(join(folder, 'all.zip'))
    for (const { id } of tracks) for (const ending of ['mp3', 'jpg', 'json']) expect(names).toContain(`-${id}.${ending}\n`)
  })

  it('is the user’s own: a stranger who names them learns nothing, an operator may', async () => {
    const refused = await get(stranger.token, `?userId=${user.id}`)
    const unknown = await get(stranger.token, '?userId=nobody')
    expect([refused.status, unknown.status]).toEqual([404, 404])
    const plain = async (response: Response) => (await response.text()).replace(/req_\d+_\w+/g, '')
    expect(await plain(refused)).toBe(await plain(unknown))
    expect((await fetch(`${reprise.url}/api/export`)).status).toBe(401)
    expect((await get(SERVICE_KEY, '?userId=nobody')).status).toBe(404)
    const operator = await signToken({ sub: 'operator', app_metadata: { role: 'operator' } }, { secret: JWT_SECRET, clock: systemClock })
    const theirs = await get(operator, `?userId=${user.id}`)
    expect([theirs.status, theirs.headers.get('content-disposition')]).toEqual([200, expect.stringContaining(user.id)])
    await theirs.arrayBuffer()
  })

  it('asked twice at once the second waits its turn; what a client has left does not block the next', async () => {
    const { promise, resolve: letGo } = Promise.withResolvers<void>()
    held = promise
    reads = 0
    const first = get(user.token)
    await expect.poll(() => reads).toBeGreaterThan(0)
    const head = await fetch(`${reprise.url}/api/export`, { method: 'HEAD', headers: { authorization: `Bearer ${stranger.token}` } })
    expect(head.status).toBe(200)
    const second = await get(user.token)
    expect([second.status, Number(second.headers.get('retry-after'))]).toEqual([429, 30])
    letGo()
    expect(await first.then(async (answer) => [answer.status, (await answer.arrayBuffer()).byteLength > 0])).toEqual([200, true])
    const leaving = new AbortController()
    await fetch(`${reprise.url}/api/export`, { headers: { authorization: `Bearer ${user.token}` }, signal: leaving.signal })
    leaving.abort()
    await expect.poll(async () => {
      const next = await get(user.token)
      await next.arrayBuffer()
      return next.status
    }).toBe(200)
  })

  it('a file that turns out damaged on its way breaks the connection, is repaired, and the next export is whole', async () => {
    const key = await keyOf(tracks[0].id)
    const size = tracks[0].bytes
    await writeFile(join(folder, 'files', key), Buffer.alloc(size))
    await expect(get(user.token).then((answer) => answer.arrayBuffer())).rejects.toThrow()
    await expect.poll(async () => (await reprise.call('GET', '/api/fixity', { token: SERVICE_KEY })).body.findings).toMatchObject([{ key, kind: 'flipped', repairedAt: expect.any(String), trackId: tracks[0].id }])
    const answer = await get(user.token)
    await writeFile(join(folder, 'again.zip'), Buffer.from(await answer.arrayBuffer()))
    expect(await check(join(folder, 'again.zip'))).toContain(`-${tracks[0].id}.mp3\n`)
  })

  it('the operator writes it into a file from the command line, never over another', async () => {
    const cli = (...args: string[]) => new Promise<{ code: number; out: string; err: string }>((done) => {
      const env = { PATH: process.env.PATH, DATABASE_URL: reprise.database.url, DATA_DIR: folder, DEMO: 'on' }
      execFile(process.execPath, [REPRISE, 'export', ...args], { env }, (error, out, err) => done({ code: error ? Number(error.code) : 0, out, err }))
    })
    const file = join(folder, 'of the operator.zip')
    expect(await cli(user.id, file)).toMatchObject({ code: 0, out: expect.stringContaining('2 tracks, 4 files') })
    expect(await check(file)).toContain('missing.json')
    expect((await run('unzip', ['-p', file, '*/bag-info.txt'])).stdout).toContain(' 0 files are missing')
    expect(await cli(user.id, file)).toMatchObject({ code: 1, err: expect.stringContaining('exists already') })
    expect(await cli('nobody', join(folder, 'x.zip'))).toMatchObject({ code: 1, err: expect.stringContaining('Nobody is known') })
    await writeFile(join(folder, 'files', await keyOf(tracks[1].id)), Buffer.alloc(tracks[1].bytes))
    expect(await cli(user.id, join(folder, 'broken.zip'))).toMatchObject({ code: 1, err: expect.stringContaining('is damaged') })
    for (const left of ['x.zip', 'broken.zip', 'broken.zip.part']) await expect(access(join(folder, left))).rejects.toThrow()
  }, 90_000)
})
