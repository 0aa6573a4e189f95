import { createHash } from 'node:crypto'
import { mkdtemp, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createObtain } from '../server/src/engine/obtain.ts'
import { createDiskStore, type DiskStore } from '../server/src/storage/disk/disk-store.ts'
import { createGuardedFetch } from '../server/src/storage/guarded-fetch.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

let reprise: Harness
let user: TestUser
let folder: string
let blobs: DiskStore
let guardedFetch: ReturnType<typeof createGuardedFetch>
let letCoversIn: () => void = () => undefined
let covers = Promise.resolve()
const lines: string[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reprise-lost-files-'))
  blobs = createDiskStore({ root: folder })
  guardedFetch = createGuardedFetch({ allowHosts: ['127.0.0.1'] })
  const obtain = createObtain({ blobs, guardedFetch })
  reprise = await startHarness({
    blobs, leaseMs: 60_000,
    logger: pino({ level: 'warn' }, { write: (line) => void lines.push(line) }),
    async obtain(job, signal) {
      if (job.role === 'cover') await covers
      return obtain({ ...job, sourceUrl: elsewhere.get(job.sourceUrl!) ?? job.sourceUrl }, signal)
    },
  })
  user = await reprise.user('loser', 10_000)
})
afterAll(async () => {
  await reprise.close()
  await guardedFetch.close()
  await rm(folder, { recursive: true, force: true })
})

/** Sources that answer something else by now, by their address. */
const elsewhere = new Map<string, string>()

async function make(prompt: string, whole = (one: any) => one.tracks.length === 2 && one.tracks.every((track: any) => track.coverUrl)) {
  const asked = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt } })
  return reprise.settled(asked.body.id, user, whole)
}
const post = (path: string) => reprise.call('POST', path, { token: user.token })
const hashOf = async (url: string) => createHash('sha256').update(Buffer.from(await (await fetch(url)).arrayBuffer())).digest('hex')
const keyOf = async (id: string, role = 'final') => (await reprise.database.db.query<{ key: string }>(
  'select r.blob_key as key from reprise.results s join reprise.results r using (generation_id, index) where s.id = $1 and r.role = $2', [id, role])).rows[0]!.key
const alerts = (text: string) => lines.filter((line) => line.includes('ALERT') && line.includes(text))

describe('a stored file that is lost or damaged', () => {
  it('is fetched again when somebody asks for it, and is the same file', async () => {
    const [lost, cut] = (await make('to be mended')).tracks
    await blobs.delete(await keyOf(lost.id))
    await blobs.delete(await keyOf(lost.id, 'cover'))
    await truncate(join(folder, await keyOf(cut.id)), 1_000)
    expect((await fetch(lost.audioUrl)).status).toBe(404)
    expect((await fetch(lost.audioUrl)).status).toBe(404)
    expect(alerts(lost.id).filter((line) => line.includes('is missing"'))).toHaveLength(1)
    for (const track of [lost, cut]) expect(await post(`/api/tracks/${track.id}/retry-download`)).toMatchObject({ status: 200, body: { id: track.id, sha256: track.sha256 } })
    for (const track of [lost, cut]) expect(await hashOf(track.audioUrl)).toBe(track.sha256)
    expect((await fetch(lost.coverUrl)).status).toBe(200)
  })

  it('is mended by a re-download of its generation too, for all its tracks', async () => {
    const { id, tracks } = await make('all of it')
    for (const track of tracks) await blobs.delete(await keyOf(track.id))
    expect(await post(`/api/generations/${id}/redownload`)).toMatchObject({ status: 200, body: { state: 'complete', missing: 0 } })
    for (const track of tracks) expect(await hashOf(track.audioUrl)).toBe(track.sha256)
  })

  it('never gets other bytes than its own: a conflict, an alert, and the other song is left alone', async () => {
    const [lost, other] = (await make('not the same any more')).tracks
    const sourceOf = async (id: string) => (await reprise.database.db.query<{ url: string }>('select source_url as url from reprise.results where id = $1', [id])).rows[0]!.url
    elsewhere.set(await sourceOf(lost.id), await sourceOf(other.id))
    await blobs.delete(await keyOf(lost.id))
    expect(await post(`/api/tracks/${lost.id}/retry-download`)).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect(await blobs.head(await keyOf(lost.id))).toBeNull()
    expect(alerts(lost.id).some((line) => line.includes('cannot be put right'))).toBe(true)
    expect(await hashOf(other.audioUrl)).toBe(other.sha256)
  })
})

describe('what arrives after its track was deleted', () => {
  it('gets no public name: neither its cover nor the song itself', async () => {
    covers = new Promise((resolve) => (letCoversIn = resolve))
    const done = await make('deleted too soon', (one) => one.state === 'complete')
    const [gone, stays] = done.tracks
    expect((await reprise.call('DELETE', `/api/tracks/${gone.id}`, { token: user.token })).status).toBe(204)
    letCoversIn()
    await reprise.settled(done.id, user, (one) => one.tracks.length === 1 && one.tracks[0].coverUrl)
    const stored = async () => (await reprise.database.db.query("select blob_key from reprise.results where generation_id = $1 and role = 'cover' and state = 'stored'", [done.id])).rowCount
    for (const end = Date.now() + 10_000; (await stored()) < 2 && Date.now() < end; ) await new Promise((resolve) => setTimeout(resolve, 20))
    const { rows } = await reprise.database.db.query('select distinct r.index from reprise.files f join reprise.results r on r.blob_key = f.blob_key where r.generation_id = $1', [done.id])
    expect([await stored(), rows]).toEqual([2, [{ index: stays.variant - 1 }]])
    const file = { bucket: 'tracks-audio', path: 'late.mp3', blob_key: 'late', user_id: user.id, sha256: '0', bytes: 1, mime: 'audio/mpeg', track_id: gone.id }
    await reprise.database.db.query('select reprise.follow_tracks($1, $2, $3)', [JSON.stringify([file]), '[]', '[]'])
    expect((await reprise.database.db.query("select from reprise.files where blob_key = 'late'")).rowCount).toBe(0)
  })
})
