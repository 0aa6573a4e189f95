import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256Hex } from '../server/src/kernel/ids.ts'
import { makeMp3 } from '../server/src/media/make-mp3.fixture.ts'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createPollOnly, startPollOnly, type FakePollOnly } from '../server/src/providers/testing/poll-only.ts'
import { createSyncBytes, PIXEL_PNG, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

/** The engine knows no provider: the two shapes that Suno is not go through the whole system too. */
describe('a provider that only answers questions, and one whose answer is the file', () => {
  let reprise: Harness
  let polled: FakePollOnly
  let direct: Awaited<ReturnType<typeof startSyncBytes>>
  let files: Server
  let song: Buffer
  let folder: string
  let user: TestUser
  const http = createProviderFetch()
  const address = () => `127.0.0.1:${(files.address() as AddressInfo).port}`

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-shapes-'))
    song = Buffer.from(await makeMp3({ seconds: 2 }))
    files = createServer((_, response) => response.writeHead(200, { 'content-type': 'audio/mpeg', 'content-length': song.length }).end(song))
    await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve))
    ;[polled, direct] = await Promise.all([startPollOnly(), startSyncBytes()])
    const common = { apiKey: 'a-key-of-the-three-shapes', fetch: http.fetch, timeScale: 1 / 200 }
    reprise = await startHarness({
      providers: [createPollOnly({ ...common, baseUrl: polled.url }), createSyncBytes({ ...common, baseUrl: direct.url })],
      providerBases: { 'poll-only': polled.url, 'sync-bytes': direct.url, suno: polled.url },
      downloadAllowHosts: [address()],
    })
    user = await reprise.user('of three shapes')
  })
  afterAll(async () => {
    await reprise.close()
    await Promise.all([polled.close(), direct.close(), http.close()])
    files.close()
    await rm(folder, { recursive: true, force: true })
  })

  const ask = async (provider: string, kind: string) => {
    const { status, body } = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider, kind, prompt: 'three shapes' } })
    expect(status).toBe(202)
    return body.id as string
  }
  const taskOf = async (id: string) => {
    const { providerTaskId } = await reprise.settled(id, user, (generation) => generation.providerTaskId !== null)
    return providerTaskId as string
  }

  it('what only polling can find is found, saved and paid once', async () => {
    const id = await ask('poll-only', 'song')
    const taskId = await taskOf(id)
    polled.set(taskId, 'done', [{ id: 'file-0', url: `http://${address()}/0.mp3`, ms: 2000 }])
    const done = await reprise.settled(id, user)
    expect(done).toMatchObject({ state: 'complete', missing: 0, receipt: { held: 0, captured: done.cost } })
    expect(done.tracks.map((track: any) => track.sha256)).toEqual(done.tracks.map(() => sha256Hex(song)))
    expect(polled.tasks.filter((task) => task.id === taskId)).toHaveLength(1)
  })

  it('a cancelled task is cancelled at the provider too, and its tokens come back by the deadline', async () => {
    const id = await ask('poll-only', 'song')
    const taskId = await taskOf(id)
    expect((await reprise.call('POST', `/api/generations/${id}/cancel`, { token: user.token })).body.state).toBe('cancelled')
    await expect.poll(() => polled.tasks.find((task) => task.id === taskId)?.state, { timeout: 10_000 }).toBe('stopped')
    await reprise.wired.db.setClockOffset(61_000)
    const ended = await reprise.settled(id, user, (generation) => generation.receipt.held === 0)
    expect(ended).toMatchObject({ state: 'cancelled', receipt: { captured: 0, released: ended.cost } })
    await reprise.wired.db.setClockOffset(0)
  })

  it('bytes inside the answer are staged, verified and published as they came', async () => {
    direct.usually({ json: { mime: 'image/png', base64: PIXEL_PNG } })
    const done = await reprise.settled(await ask('sync-bytes', 'image'), user)
    expect(done).toMatchObject({ state: 'complete', missing: 0, receipt: { held: 0, captured: 1 } })
    const { rows } = await reprise.database.db.query('select blob_key, sha256 from reprise.results where generation_id = $1', [done.id])
    expect(rows[0]!.sha256).toBe(sha256Hex(Buffer.from(PIXEL_PNG, 'base64')))
    const kept: string[] = []
    for await (const { key } of reprise.blobs.list('incoming/')) kept.push(key)
    expect(kept).toEqual([])
    // Read again and exported like any other stored file.
    const files = await reprise.database.db.query('select bucket, path, blob_key, sha256, user_id, track_id from reprise.files where blob_key = $1', [rows[0]!.blob_key])
    expect(files.rows).toEqual([{ bucket: 'generated-images', path: `${user.id}/${rows[0]!.blob_key.split('/').at(-1)}`, blob_key: rows[0]!.blob_key, sha256: rows[0]!.sha256, user_id: user.id, track_id: null }])
    expect((await fetch(`${reprise.url}/storage/v1/object/public/${rows[0]!.blob_key}`)).status).toBe(200)
  })

  it('bytes that are no picture are refused, and nothing is paid', async () => {
    direct.usually({ json: { mime: 'image/png', base64: Buffer.from('<html>sorry</html>').toString('base64') } })
    // Bytes that are ours already get no better by looking again: said at once.
    const ended = await reprise.settled(await ask('sync-bytes', 'image'), user)
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'bad_file' }, receipt: { captured: 0, held: 0, released: 1 } })
  })

  it('an answer that breaks off may have cost money: it is not asked twice', async () => {
    const before = direct.requests.length
    direct.next({ reset: true })
    const id = await ask('sync-bytes', 'image')
    const ended = await reprise.settled(id, user)
    expect(ended).toMatchObject({ state: 'failed', error: { code: 'submit_unknown' }, receipt: { captured: 0, released: 1 } })
    expect(direct.requests.length - before).toBe(1)
  })
})
