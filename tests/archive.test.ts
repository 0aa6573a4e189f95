import { createHash, randomUUID } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createArchiveRecords } from '../server/src/features/archive/records.ts'
import { startFileHost, type FileHost } from './file-host.ts'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

let reprise: Harness
let files: FileHost
let owner: TestUser
let offset = 0
let stranger: TestUser

beforeAll(async () => {
  files = await startFileHost()
  reprise = await startHarness({ downloadAllowHosts: [files.host], appLinkBase: 'https://app.example', downloadLimits: { timeoutMs: 5_000, idleTimeoutMs: 500 } })
  owner = await reprise.user('owner')
  stranger = await reprise.user('stranger')
})
afterAll(async () => {
  await reprise.close()
  await files.close()
})
afterEach(async () => {
  files.down = false
  await reprise.wired.db.setClockOffset((offset = 0))
  await reprise.database.db.query('update public.tracks set deleted_at = now() where not archived_to_storage and deleted_at is null')
  await reprise.database.db.query('delete from reprise.archivals')
})

const sql = async (text: string, values: unknown[] = []): Promise<any[]> => (await reprise.wired.db.query(text, values)).rows
const track = async (id: string): Promise<any> => (await sql('select * from public.tracks where id = $1', [id]))[0]
const jobs = (id: string) => sql('select * from public.track_archiving_jobs where track_id = $1 order by created_at', [id])
const notices = (id: string) => sql('select * from public.notifications where link like $1', [`%${id}%`])
const archival = async (id: string): Promise<any> => (await sql('select *, extract(epoch from next_at - reprise.now())::float8 as wait from reprise.archivals where track_id = $1', [id]))[0]

const withoutWait = ({ wait: _wait, ...row }: any) => row

async function insert(columns: Record<string, unknown>): Promise<string> {
  const row: Record<string, unknown> = { id: randomUUID(), user_id: owner.id, title: 'Song', status: 'completed', ...columns }
  const names = Object.keys(row)
  await reprise.database.asUser(null, 'service_role').query(
    `insert into public.tracks (${names.join(', ')}) values (${names.map((_, place) => `$${place + 1}`).join(', ')})`, Object.values(row))
  return row.id as string
}

async function until<T>(look: () => Promise<T | undefined | false | null>, what: string, ms = 10_000): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
const archived = (id: string) => until(async () => (await track(id)).archived_to_storage && track(id), `${id} is archived`)

/** Jumps over the pauses between tries until there are none within a minute. */
async function skipTries(id: string): Promise<void> {
  for (;;) {
    const row = await until(async () => { const now = await archival(id); return now && !now.lease_owner ? now : now ? false : { gone: true } }, 'nobody is at it')
    if (row.gone || row.wait > 60) return
    if (row.wait > 0) await advance(row.wait * 1000)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
async function advance(ms: number): Promise<void> {
  await reprise.wired.db.setClockOffset((offset += ms))
  reprise.wired.engine.waker.wake(['archive'])
}

describe('a finished song that somebody writes into `tracks`', () => {
  it('is archived at once, song and cover, byte for byte, and plays from our address', async () => {
    const id = await insert({ audio_url: files.song('first'), cover_url: files.cover('first') })
    const row = await archived(id)
    expect(row).toMatchObject({
      audio_url: row.storage_audio_url, cover_url: row.storage_cover_url, expires_at: null, sha256: files.sha256(files.song('first')),
      metadata: { provider_url: files.song('first') },
    })
    expect(row.archive_scheduled_at.getTime() - row.created_at.getTime()).toBe(13 * 86_400_000)
    expect(new URL(row.storage_audio_url).pathname).toBe(`/storage/v1/object/public/tracks-audio/${owner.id}/${id}.mp3`)
    expect(new URL(row.storage_cover_url).pathname).toBe(`/storage/v1/object/public/tracks-covers/${owner.id}/${id}.jpg`)
    const bytes = Buffer.from(await (await fetch(row.storage_audio_url)).arrayBuffer())
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(row.sha256)
    expect((await fetch(row.storage_cover_url)).headers.get('content-type')).toBe('image/jpeg')
    expect(await jobs(id)).toMatchObject([{
      status: 'completed', user_id: owner.id, original_audio_url: files.song('first'), original_cover_url: files.cover('first'),
      storage_audio_url: row.storage_audio_url, storage_cover_url: row.storage_cover_url, error_message: null,
    }])
    expect(await archival(id)).toBeUndefined()
    const { body } = await reprise.call('GET', `/api/tracks/${id}`, { token: owner.token })
    expect(body).toMatchObject({ archived: true, sha256: row.sha256, expiresAt: null })
    expect((await reprise.call('GET', `/api/tracks/${id}/audio`, { token: owner.token })).status).toBe(200)
  })

  it('is not touched before it is finished, nor once it is deleted', async () => {
    const waiting = await insert({ audio_url: files.song('waiting'), status: 'pending' })
    const gone = await insert({ audio_url: files.song('gone'), deleted_at: new Date() })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await sql('select 1 from reprise.archivals where track_id = any ($1)', [[waiting, gone]])).toEqual([])
    await sql(`update public.tracks set status = 'completed' where id = $1`, [waiting])
    await archived(waiting)
  })

  it('keeps the clock of its provider: an hour at Replicate, 14 days at Suno, 15 where nobody knows', async () => {
    const created = new Date('2020-01-01T00:00:00Z')
    const hours = async (url: string) => {
      const id = await insert({ audio_url: url, created_at: created, status: 'pending' })
      return ((await track(id)).expires_at.getTime() - created.getTime()) / 3_600_000
    }
    expect(await hours('https://replicate.delivery/x/out.mp3')).toBe(1)
    expect(await hours('https://cdn1.suno.ai/x.mp3')).toBe(14 * 24)
    expect(await hours('https://evil-suno.ai/x.mp3')).toBe(15 * 24)
    expect(await hours('https://cdn.mureka.ai/x.mp3')).toBe(15 * 24)
  })

  it('a missing cover does not hold back the song: it is ours and plays, the cover is tried apart', async () => {
    files.break('/bare.png', 'missing')
    const id = await insert({ audio_url: files.song('bare'), cover_url: files.cover('bare') })
    await until(async () => (await track(id)).storage_audio_url, 'the song is stored')
    await skipTries(id)
    const row = await track(id)
    expect(row).toMatchObject({ archived_to_storage: false, audio_url: row.storage_audio_url, cover_url: files.cover('bare') })
    expect(await jobs(id)).toMatchObject([{ status: 'failed', error_message: expect.stringMatching(/^cover: /) }])
    expect(files.asked.get('/bare.mp3')).toBe(1)
    expect(files.asked.get('/bare.png')).toBe(3)
    files.heal('/bare.png')
    await reprise.wired.archive.request([id], 'test')
    await archived(id)
    expect(files.asked.get('/bare.mp3')).toBe(1)
  })

  it('who writes the provider’s address over ours again changes nothing; another song is archived under a name of its own', async () => {
    const id = await insert({ audio_url: files.song('old') })
    const before = await archived(id)
    await sql('update public.tracks set audio_url = $2 where id = $1', [id, files.song('old')])
    expect(await track(id)).toMatchObject({ audio_url: before.storage_audio_url, archived_to_storage: true })
    await sql('update public.tracks set audio_url = $2 where id = $1', [id, files.song('new')])
    expect((await track(id)).archived_to_storage).toBe(false)
    const after = await archived(id)
    expect(after.sha256).toBe(files.sha256(files.song('new')))
    expect(after.storage_audio_url).not.toBe(before.storage_audio_url)
    expect(after.metadata.provider_url).toBe(files.song('new'))
    expect((await reprise.call('GET', `/api/tracks/${id}/audio`, { token: owner.token, headers: { accept: '*/*' } })).headers.get('etag')).toContain(after.sha256.slice(0, 8))
  })
})

describe('a track that cannot be fetched', () => {
  it('from the team’s own address is fetched from the provider, and that is where it is mended from', async () => {
    files.break('/own-address.mp3', 'missing')
    const id = await insert({ audio_url: files.song('own-address'), metadata: { provider_url: files.song('at-the-provider') } })
    const row = await archived(id)
    expect(row).toMatchObject({ sha256: files.sha256(files.song('at-the-provider')), metadata: { provider_url: files.song('at-the-provider') } })
    expect(await sql('select source_url from reprise.files where track_id = $1', [id])).toEqual([{ source_url: files.song('at-the-provider') }])
  })

  it.each(['/storage/v1/object/public/tracks-audio/50%.mp3', '/storage/v1/object/public/tracks-audio/..%2f..%2fpostgres.json', '/storage/v1/object/public/tracks-audio/%00.mp3'])(
    'because its address %s is none of our files ends like any other', async (path) => {
      const id = await insert({ audio_url: `${reprise.url}${path}` })
      await until(async () => (await jobs(id))[0]?.status === 'failed', 'it is refused')
      expect(await track(id)).toMatchObject({ archived_to_storage: false, storage_audio_url: null })
    })


  it('is tried three times, 5 and 10 s apart; then the job has failed, the owner is told once, and it goes on tomorrow', async () => {
    files.break('/lost.mp3', 'missing')
    const id = await insert({ audio_url: files.song('lost'), title: 'Ночь' })
    const waits: number[] = []
    for (let tries = 1; tries < 3; tries++) {
      const row = await until(async () => { const now = await archival(id); return now?.tries === tries && !now.lease_owner && now }, `try ${tries}`)
      waits.push(Math.round(row.wait))
      expect(await jobs(id)).toMatchObject([{ status: 'processing' }])
      await advance(row.wait * 1000)
    }
    expect(waits).toEqual([5, 10])
    await until(async () => (await jobs(id))[0].status === 'failed', 'the job has failed')
    expect(files.asked.get('/lost.mp3')).toBe(3)
    expect(await notices(id)).toMatchObject([{
      user_id: owner.id, type: 'warning', title: 'Не удалось архивировать трек', message: 'Трек "Ночь" не был сохранен. Он может стать недоступен.',
      link: `https://app.example/workspace/library?track=${id}`,
    }])
    const row = await archival(id)
    const [{ next, now }] = await sql('select next_at as next, reprise.now() as now from reprise.archivals where track_id = $1', [id])
    expect(next.toISOString()).toMatch(/T03:00:00.000Z$/)
    expect(next.getTime() - now.getTime()).toBeLessThanOrEqual(86_400_000)
    expect(row.tries).toBe(0)
    // Tomorrow it fails again: another job, no other notice. Then the host has it again.
    await advance(row.wait * 1000)
    await until(async () => (await jobs(id)).length === 2, 'tomorrow’s run')
    await skipTries(id)
    expect(await notices(id)).toHaveLength(1)
    files.heal('/lost.mp3')
    await advance((await archival(id)).wait * 1000)
    await archived(id)
    expect((await jobs(id)).map((job) => job.status)).toEqual(['failed', 'failed', 'completed'])
  })

  it.each(['page', 'cut', 'down'] as const)('a bad answer (%s) is never stored', async (kind) => {
    files.break(`/bad-${kind}.mp3`, kind)
    const id = await insert({ audio_url: files.song(`bad-${kind}`) })
    await until(async () => (await archival(id))?.tries === 1, 'the first try is over')
    expect(await track(id)).toMatchObject({ archived_to_storage: false, storage_audio_url: null, audio_url: files.song(`bad-${kind}`) })
    files.heal(`/bad-${kind}.mp3`)
    await skipTries(id)
    expect((await archived(id)).sha256).toBe(files.sha256(files.song(`bad-${kind}`)))
  })

  it('from a provider that deletes within the hour it is tried again within the hour, not tomorrow', async () => {
    await sql(`insert into reprise.retentions (host, keeps) values ('127.0.0.1', '1 hour')`)
    try {
      files.break('/hour.mp3', 'down')
      const id = await insert({ audio_url: files.song('hour') })
      await until(async () => (await archival(id))?.tries === 1, 'the first try is over')
      await skipTries(id)
      const { wait } = await archival(id)
      expect(wait).toBeGreaterThan(5 * 60)
      expect(wait).toBeLessThan(16 * 60)
    } finally {
      await sql(`delete from reprise.retentions where host = '127.0.0.1'`)
    }
  })

  it('an address inside our own network is refused, and nothing is fetched', async () => {
    const id = await insert({ audio_url: 'http://169.254.169.254/latest/meta-data.mp3' })
    await until(async () => (await jobs(id))[0]?.status === 'failed', 'it is refused')
    expect((await track(id)).storage_audio_url).toBeNull()
  })
})

describe('`mark_track_archived`, as the seed calls it after a manual upload', () => {
  it('sets addresses, flag and time at once; bytes that are there keep it', async () => {
    const other = await archived(await insert({ audio_url: files.song('uploaded') }))
    const id = await insert({ audio_url: files.song('by-hand'), status: 'pending' })
    await reprise.database.asUser(null, 'service_role').query('select mark_track_archived($1, $2, null, null)', [id, other.storage_audio_url])
    const row = await track(id)
    expect(row).toMatchObject({ archived_to_storage: true, storage_audio_url: other.storage_audio_url, audio_url: other.storage_audio_url, metadata: { provider_url: files.song('by-hand') } })
    expect(row.archived_at).toBeInstanceOf(Date)
    await sql(`update public.tracks set status = 'completed' where id = $1`, [id])
    await until(async () => (await jobs(id))[0]?.status === 'completed', 'it is verified')
    expect(await archival(id)).toBeUndefined()
    expect((await track(id)).archived_to_storage).toBe(true)
  })

  it('bytes in the team’s own store are looked at there', async () => {
    const id = await insert({ audio_url: files.song('provider'), status: 'completed', archived_to_storage: true, storage_audio_url: files.song('own-store') })
    await until(async () => !(await archival(id)), 'it is verified')
    expect(await track(id)).toMatchObject({ archived_to_storage: true, storage_audio_url: files.song('own-store'), audio_url: files.song('own-store') })
    expect(files.asked.get('/own-store.mp3')).toBe(1)
    expect(files.asked.has('/provider.mp3')).toBe(false)
  })

  it('when the bytes are not there the flag is taken back, the owner is told, and what the provider has is fetched', async () => {
    const id = await insert({ audio_url: files.song('claimed'), archived_to_storage: false, status: 'pending' })
    await sql(`select mark_track_archived($1, $2, null, null)`, [id, `${reprise.url}/storage/v1/object/public/tracks-audio/nobody/nothing.mp3`])
    await sql(`update public.tracks set status = 'completed' where id = $1`, [id])
    const row = await until(async () => { const now = await track(id); return now.storage_audio_url?.includes(id) && now }, 'it is fetched from the provider')
    await archived(id)
    expect(row.metadata.provider_url).toBe(files.song('claimed'))
    expect(await notices(id)).toHaveLength(1)
    expect((await jobs(id)).map((job) => job.status)).toEqual(['failed', 'completed'])
  })

  it('an address that the row already calls stored is looked at all the same', async () => {
    const nowhere = `${reprise.url}/storage/v1/object/public/tracks-audio/nobody/nothing.mp3`
    const id = await insert({ audio_url: nowhere, storage_audio_url: nowhere })
    await until(async () => (await jobs(id))[0]?.status === 'failed', 'it is found missing')
    expect(await track(id)).toMatchObject({ archived_to_storage: false, storage_audio_url: null })
    const there = await archived(await insert({ audio_url: files.song('really-there') }))
    const again = await insert({ audio_url: there.storage_audio_url, storage_audio_url: there.storage_audio_url })
    await archived(again)
  })

  it('a mark that comes while the file is being fetched is verified too', async () => {
    await reprise.wired.archive.stop()
    try {
      const id = await insert({ audio_url: files.song('marked-meanwhile') })
      const records = createArchiveRecords({ db: reprise.wired.db, schema: 'public', node: 'one', leaseMs: 60_000, linkBase: '' })
      const [claim] = await records.claim(1)
      const work = (await records.begin(claim!))!
      const nowhere = `${reprise.url}/storage/v1/object/public/tracks-audio/nobody/nothing.mp3`
      await sql('select mark_track_archived($1, $2, null, null)', [id, nowhere])
      expect(await records.keep(work, 'audio', files.song('marked-meanwhile'), null)).toBe(false)
      expect(await records.finish(work, new Map([['audio', files.song('marked-meanwhile')]]))).toBe('more')
      reprise.wired.archive.start()
      const row = await until(async () => { const now = await track(id); return now.storage_audio_url?.includes(id) && now }, 'it is found missing, and fetched')
      await archived(id)
      expect(row.sha256).toBe(files.sha256(files.song('marked-meanwhile')))
    } finally {
      reprise.wired.archive.start()
    }
  })

  it('of a track whose cover is still missing the flag is taken back, and its owner is not told that the song is lost', async () => {
    const other = await archived(await insert({ audio_url: files.song('half-done') }))
    files.break('/half-done.png', 'missing')
    const id = await insert({ status: 'pending', audio_url: files.song('x'), cover_url: files.cover('half-done') })
    await sql('select mark_track_archived($1, $2, null, null)', [id, other.storage_audio_url])
    await sql(`update public.tracks set status = 'completed' where id = $1`, [id])
    await skipTries(id)
    expect(await track(id)).toMatchObject({ archived_to_storage: false, archived_at: null, storage_audio_url: other.storage_audio_url, cover_url: files.cover('half-done') })
    expect(await jobs(id)).toMatchObject([{ status: 'failed', error_message: expect.stringMatching(/^cover: /) }])
    expect(await notices(id)).toEqual([])
  })

  it('a copy of ours that is lost, here and at the provider, keeps its address for whoever restores it', async () => {
    const id = await insert({ audio_url: files.song('store-away'), created_at: new Date(Date.now() - 100 * 86_400_000) })
    const row = await archived(id)
    const { rows: [file] } = await reprise.database.db.query<{ key: string }>('select blob_key as key from reprise.files where track_id = $1', [id])
    const bytes = await buffer((await reprise.blobs.get(file!.key))!)
    await reprise.blobs.delete(file!.key)
    files.break('/store-away.mp3', 'missing')
    await reprise.wired.archive.request([id], 'test')
    await skipTries(id)
    expect(await track(id)).toMatchObject({ storage_audio_url: row.storage_audio_url, audio_url: row.audio_url, archived_to_storage: false })
    expect((await archival(id)).wait).toBeLessThanOrEqual(86_400) // however long ago its provider forgot it
    const staged = await reprise.blobs.stage([bytes] as never, { maxBytes: bytes.length })
    await reprise.blobs.publish(staged, file!.key, { mime: 'audio/mpeg' })
    await reprise.wired.archive.request([id], 'test')
    await archived(id)
  })

  it('until it is looked at it counts as unverified, not as archived', async () => {
    await reprise.wired.archive.stop()
    try {
      const [before] = await sql('select * from archive_statistics')
      const id = await insert({ audio_url: files.song('unseen') })
      await sql('select mark_track_archived($1, $2, null, null)', [id, files.song('unseen')])
      const [after] = await sql('select * from archive_statistics')
      expect([Number(after.unverified_archived) - Number(before.unverified_archived), Number(after.total_archived) - Number(before.total_archived)]).toEqual([1, 0])
    } finally {
      reprise.wired.archive.start()
    }
  })
})

describe('the queue', () => {
  it('most urgent first; expired rows come last and never block, however many there are', async () => {
    await reprise.wired.archive.stop()
    try {
      const day = 86_400_000
      const at = (days: number) => new Date(Date.now() + days * day - 15 * day)
      const expired = await Promise.all(Array.from({ length: 30 }, (_, place) => insert({ title: `expired ${place}`, audio_url: files.song(`e${place}`), created_at: at(-1 - place) })))
      const [later, sooner] = [await insert({ audio_url: files.song('later'), created_at: at(3) }), await insert({ audio_url: files.song('sooner'), created_at: at(1.04) })]
      const needing = await sql('select * from get_tracks_needing_archiving(5)')
      expect(needing.slice(0, 2).map((row) => row.track_id)).toEqual([sooner, later])
      expect(Object.keys(needing[0])).toEqual(['track_id', 'user_id', 'title', 'audio_url', 'cover_url', 'video_url', 'created_at', 'archive_scheduled_at', 'days_until_expiry'])
      expect(needing.map((row) => Number(row.days_until_expiry))).toEqual([1, 3, -1, -2, -3])
      const claim = async () => (await sql(`select * from reprise.claim_archivals('other', 1, 60000)`)).map((row) => row.track_id)
      expect([await claim(), await claim()]).toEqual([[sooner], [later]])
      expect(expired).toContain((await claim())[0])
    } finally {
      reprise.wired.archive.start()
    }
  })

  it('two nodes never take the same track', async () => {
    await reprise.wired.archive.stop()
    try {
      await Promise.all(Array.from({ length: 60 }, (_, place) => insert({ audio_url: files.song(`two-${place}`) })))
      const taken = (await Promise.all(Array.from({ length: 12 }, (_, node) => sql('select track_id from reprise.claim_archivals($1, 5, 60000)', [`node ${node}`])))).flat().map((row) => row.track_id)
      expect(taken).toHaveLength(60)
      expect(new Set(taken).size).toBe(60)
    } finally {
      reprise.wired.archive.start()
    }
  })

  it('a claim that has lapsed is taken over, and its old owner writes nothing any more', async () => {
    await reprise.wired.archive.stop()
    try {
      const id = await insert({ audio_url: files.song('taken-over') })
      const as = (node: string) => createArchiveRecords({ db: reprise.wired.db, schema: 'public', node, leaseMs: 60_000, linkBase: '' })
      const [stale] = await sql(`select track_id as "trackId", fence from reprise.claim_archivals('one', 1, 0)`)
      const work = (await as('one').begin(stale))!
      const [fresh] = await as('two').claim(1)
      expect(fresh).toEqual({ trackId: id, fence: stale.fence + 1 })
      const before = [await track(id), await archival(id)].map(withoutWait)
      expect(await as('one').begin(stale)).toBeNull()
      expect(await as('one').keep(work, 'audio', 'https://stale.example/x.mp3', null)).toBe(false)
      expect(await as('one').finish(work, new Map([['audio', files.song('taken-over')]]))).toBe('lost')
      expect(await as('one').retry(work, 'stale')).toBeNull()
      await as('one').fail(work, 'stale', ['audio'])
      await as('one').wait(work, 999)
      expect([await track(id), await archival(id)].map(withoutWait)).toEqual(before)
      await sql(`update reprise.archivals set lease_until = reprise.now() where track_id = $1`, [id])
      reprise.wired.archive.start()
      await archived(id)
      expect(files.asked.get('/taken-over.mp3')).toBe(1)
    } finally {
      reprise.wired.archive.start()
    }
  })

  it('finds what the triggers missed, in the daily run', async () => {
    await reprise.wired.db.transaction(async (tx) => {
      await tx.query(`select set_config('reprise.vouched', 'on', true)`)
      await tx.query(`insert into public.tracks (id, user_id, status, audio_url) values ($1, $2, 'completed', $3)`, ['11111111-2222-4333-8444-555555555555', owner.id, files.song('missed')])
    })
    expect(await reprise.wired.archive.daily()).toBe(1)
    await archived('11111111-2222-4333-8444-555555555555')
  })
})

describe('a deleted track', () => {
  it.each(['soft', 'hard'] as const)('(%s, by the team’s own hand) leaves queue, list and statistics, its job ends, and its addresses answer no more', async (how) => {
    const stored = await archived(await insert({ audio_url: files.song(`deleted-${how}`) }))
    files.break(`/deleted-open-${how}.mp3`, 'missing')
    const open = await insert({ audio_url: files.song(`deleted-open-${how}`) })
    await until(async () => (await archival(open))?.tries === 1, 'the first try is over')
    const service = reprise.database.asUser(null, 'service_role')
    const text = how === 'soft' ? 'update public.tracks set deleted_at = now() where id = any ($1)' : 'delete from public.tracks where id = any ($1)'
    await service.query(text, [[stored.id, open]])
    expect(await sql('select 1 from reprise.archivals where track_id = $1', [open])).toEqual([])
    expect((await sql('select * from get_tracks_needing_archiving(200)')).map((row) => row.track_id)).not.toContain(open)
    expect(await sql('select 1 from reprise.files where track_id = $1', [stored.id])).toEqual([])
    expect((await fetch(stored.storage_audio_url.replace('?', '?fresh&'))).status).toBe(404)
    if (how === 'soft') expect(await jobs(open)).toMatchObject([{ status: 'failed', error_message: 'the track was deleted' }])
  })
})

describe('who may do what', () => {
  const as = (who: TestUser | null, role?: 'anon' | 'authenticated' | 'service_role') => reprise.database.asUser(who?.id ?? null, role)
  const DENIED = /permission denied|row-level security/
  const ask = (who: TestUser, id: string, status = 'pending', userId = who.id) =>
    as(who).query('insert into public.track_archiving_jobs (track_id, user_id, status) values ($1, $2, $3)', [id, userId, status])

  it('an owner reads their jobs and asks for their own track, which is taken up within seconds; nobody else may', async () => {
    files.break('/asked.mp3', 'missing')
    const id = await insert({ audio_url: files.song('asked') })
    await skipTries(id)
    files.heal('/asked.mp3')
    await expect(ask(stranger, id)).rejects.toThrow(DENIED)
    await expect(ask(stranger, id, 'pending', owner.id)).rejects.toThrow(DENIED)
    await expect(ask(owner, id, 'completed')).rejects.toThrow(DENIED)
    await expect(as(null).query('select * from public.track_archiving_jobs')).rejects.toThrow(DENIED)
    await ask(owner, id)
    await archived(id)
    expect((await as(owner).query('select * from public.track_archiving_jobs where track_id = $1', [id])).rows).toHaveLength(2)
    expect((await as(stranger).query('select * from public.track_archiving_jobs')).rows).toEqual([])
    await expect(as(owner).query(`update public.track_archiving_jobs set status = 'failed'`)).rejects.toThrow(DENIED)
    // What a job says is the operator's figures: an owner's wish has no say in them.
    const { rows: [asked] } = await as(owner).query<any>(
      `insert into public.track_archiving_jobs (track_id, user_id, started_at, created_at, original_audio_url, error_message, metadata)
       values ($1, $2, '2000-01-01', '2000-01-01', 'https://x.example/y', 'mine', '{"a": 1}') returning *`, [id, owner.id])
    expect(asked).toMatchObject({ started_at: null, original_audio_url: null, error_message: null, metadata: { cause: 'owner' } })
    expect(asked.created_at.getFullYear()).toBeGreaterThan(2020)
  })

  it('a user reads their own notices and marks them read, and can write no others', async () => {
    await sql(`insert into public.notifications (user_id, title, message) values ($1, 'a', 'b')`, [owner.id])
    expect((await as(owner).query('select * from public.notifications')).rows.length).toBeGreaterThan(0)
    expect((await as(stranger).query('select * from public.notifications')).rows).toEqual([])
    await as(owner).query('update public.notifications set read_at = now()')
    await expect(as(owner).query(`update public.notifications set title = 'x'`)).rejects.toThrow(DENIED)
    await expect(as(owner).query(`insert into public.notifications (user_id, title, message) values ($1, 'a', 'b')`, [stranger.id])).rejects.toThrow(DENIED)
  })

  it.each(['anon', 'authenticated'] as const)('statistics, the list and the mark are not for %s', async (role) => {
    for (const text of ['select * from archive_statistics', 'select * from get_tracks_needing_archiving(1)', `select mark_track_archived('${randomUUID()}', 'x', null, null)`]) {
      await expect(as(owner, role).query(text)).rejects.toThrow(DENIED)
    }
  })
})

describe('POST /functions/v1/archive-tracks', () => {
  const call = (body: unknown, token = SERVICE_KEY) => reprise.call('POST', '/functions/v1/archive-tracks', { token, body })

  it('is for the service role only', async () => {
    expect(await reprise.call('POST', '/functions/v1/archive-tracks', { body: {} })).toMatchObject({ status: 401, body: { success: false, code: 'UNAUTHORIZED' } })
    expect(await call({}, owner.token)).toMatchObject({ status: 403, body: { success: false, code: 'FORBIDDEN' } })
  })

  it('answers as the seed says, also when some tracks fail', async () => {
    await reprise.wired.archive.stop()
    const ids = [await insert({ audio_url: files.song('run-1') }), await insert({ audio_url: files.song('run-2') }), await insert({ title: 'Gone', audio_url: 'http://10.0.0.1/gone.mp3' })]
    const answer = call({ limit: 10_000 })
    await until(async () => (await sql(`select 1 from public.track_archiving_jobs where status = 'pending' and track_id = any ($1)`, [ids])).length === 3, 'all are asked for')
    reprise.wired.archive.start()
    const { status, body } = await answer
    expect(status).toBe(200)
    expect(body).toEqual({
      success: true, message: 'Archived 2/3 tracks',
      results: { total: 3, succeeded: 2, failed: 1, errors: [{ trackId: ids[2], title: 'Gone', error: expect.stringMatching(/^audio: /) }] },
    })
  })

  it('one track by its id: archived already counts as succeeded, an unknown one is 404', async () => {
    const id = await insert({ audio_url: files.song('single') })
    await archived(id)
    expect((await call({ trackId: id })).body).toEqual({ success: true, message: 'Archived 1/1 tracks', results: { total: 1, succeeded: 1, failed: 0, errors: [] } })
    for (const trackId of [randomUUID(), 'nonsense', 7]) expect(await call({ trackId })).toMatchObject({ status: 404, body: { success: false, code: 'NOT_FOUND' } })
    expect(await call({ limit: 0 })).toMatchObject({ status: 400, body: { success: false, code: 'VALIDATION_FAILED' } })
  })

  it('with nothing to do it says so', async () => {
    expect((await call({})).body).toEqual({ success: true, message: 'Archived 0/0 tracks', results: { total: 0, succeeded: 0, failed: 0, errors: [] } })
  })
})

describe('our own songs', () => {
  it('arrive archived, with the attempt on record', async () => {
    const asked = await reprise.call('POST', '/api/generations', { token: owner.token, body: { provider: 'suno', kind: 'song', prompt: 'mine' } })
    const { tracks } = await reprise.settled(asked.body.id, owner)
    for (const { id } of tracks) {
      expect((await track(id)).archived_to_storage).toBe(true)
      expect(await jobs(id)).toMatchObject([{ status: 'completed', metadata: { cause: 'completion' } }])
      expect(await archival(id)).toBeUndefined()
    }
  })
})

describe('the operator’s board', () => {
  it('tells targets, counts, what expires and what failed, and archives a track now', async () => {
    files.break('/board.mp3', 'missing')
    const id = await insert({ title: 'Urgent', audio_url: files.song('board'), created_at: new Date(Date.now() + offset - 14.5 * 86_400_000) })
    await skipTries(id)
    expect((await reprise.call('GET', '/api/archive', { token: owner.token })).status).toBe(403)
    const { body } = await reprise.call('GET', '/api/archive', { token: SERVICE_KEY })
    expect(body.counts).toMatchObject({ urgent: 1, pending: 1 })
    expect(body.expiringSoon).toMatchObject([{ trackId: id, title: 'Urgent', audioStored: false, lastError: expect.stringMatching(/^audio: /) }])
    expect(body.failures[0]).toMatchObject({ trackId: id, title: 'Urgent' })
    expect(body.targets).toMatchObject({ lost: { count: 0, target: 0 }, averageSeconds: { target: 300 } })
    expect(new Date(body.runs.nextAt).toISOString()).toMatch(/T03:00:00.000Z$/)
    files.heal('/board.mp3')
    expect(await reprise.call('POST', `/api/archive/${id}`, { token: SERVICE_KEY })).toMatchObject({ status: 202 })
    await archived(id)
    expect((await reprise.call('POST', `/api/archive/${randomUUID()}`, { token: SERVICE_KEY })).status).toBe(404)
  })
})
