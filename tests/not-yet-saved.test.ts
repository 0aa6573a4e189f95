import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHarness, type Harness, type TestUser } from './harness.ts'

const SONG = 'https://cdn.example/song.mp3'
const OURS = 'https://elsewhere.example/storage/v1/object/public/tracks-audio/one.mp3'

let reprise: Harness
let user: TestUser
beforeAll(async () => {
  reprise = await startHarness()
  user = await reprise.user('early bird')
})
afterAll(() => reprise.close())

/** Rows as an app writes them; the queue's row is held by a worker of ours that never comes, or as `queue` says. */
describe('a song that is not yet with us', () => {
  async function read(columns: Record<string, unknown>, queue = `lease_until = reprise.now() + interval '1 hour'`): Promise<any> {
    const row: Record<string, unknown> = { id: randomUUID(), user_id: user.id, title: 'Early', status: 'completed', ...columns }
    const names = Object.keys(row)
    await reprise.database.db.transaction(async (tx) => {
      await tx.query(`insert into public.tracks (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')})`, Object.values(row))
      await tx.query(`update reprise.archivals set ${queue} where track_id = $1`, [row.id])
    })
    const answer = await reprise.call('GET', `/api/tracks/${row.id}`, { token: user.token })
    expect(answer.status).toBe(200)
    return answer.body
  }

  it('is played from the provider until then, and says how long the provider keeps it', async () => {
    const track = await read({ audio_url: SONG, cover_url: 'https://cdn.example/cover.jpg', created_at: '2026-11-01T00:00:00Z' })
    expect(track).toMatchObject({ archived: false, audioUrl: SONG, providerUrl: SONG, coverUrl: 'https://cdn.example/cover.jpg', saving: 'working', nextTryAt: null })
    expect(track.expiresAt).toBe('2026-11-16T00:00:00.000Z')
    const { body } = await reprise.call('GET', '/api/tracks', { token: user.token })
    expect(body.items.find((item: any) => item.id === track.id)).toEqual(track)
  })

  it('tells how the archive stands with it: waiting, at rest until the next try, or gone', async () => {
    expect(await read({ audio_url: SONG }, `tries = 1, last_error = 'x', next_at = reprise.now() + interval '1 hour'`)).toMatchObject({ saving: 'waiting', nextTryAt: null })
    const resting = await read({ audio_url: SONG }, `last_error = 'x', next_at = '2099-01-01T03:00:00Z'`)
    expect(resting).toMatchObject({ saving: 'resting', nextTryAt: '2099-01-01T03:00:00.000Z' })
    expect(await read({ audio_url: SONG }, `last_error = 'x', next_at = 'infinity'`)).toMatchObject({ saving: 'gone', nextTryAt: null })
  })

  it('with a copy that somebody else keeps, that copy comes first and the provider stays behind it', async () => {
    const track = await read({ audio_url: OURS, storage_audio_url: OURS, archived_to_storage: true, metadata: { provider_url: SONG } })
    expect(track).toMatchObject({ archived: true, audioUrl: OURS, providerUrl: SONG, expiresAt: null, saving: null })
  })

  it('never hands the page an address that is not one of the web', async () => {
    expect(await read({ audio_url: 'javascript:alert(1)', cover_url: 'file:///etc/passwd', metadata: { provider_url: 'data:audio/mpeg,x' } }))
      .toMatchObject({ audioUrl: null, providerUrl: null, coverUrl: null })
  })
})

describe('a song that is ours', () => {
  it('is played from us and still tells where its provider keeps it', async () => {
    const asked = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'ours' } })
    for (const track of (await reprise.settled(asked.body.id, user)).tracks) {
      expect(track).toMatchObject({ archived: true, saving: null, expiresAt: null })
      expect(track.audioUrl.startsWith(reprise.url)).toBe(true)
      expect(track.providerUrl.startsWith(reprise.simulator.url)).toBe(true)
    }
  })
})
