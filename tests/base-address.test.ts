import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHarness, type Harness, type TestUser } from './harness.ts'

/** Columns hold whole addresses; the process that writes them is not always the one that is reached. */
describe('addresses in columns', () => {
  let reprise: Harness
  let user: TestUser
  beforeAll(async () => {
    reprise = await startHarness()
    user = await reprise.user('who moves')
  })
  afterAll(() => reprise.close())

  const song = async () => {
    const { body } = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'a moving song' } })
    await reprise.settled(body.id, user)
    return body.id as string
  }
  const columns = async (id: string) =>
    (await reprise.database.db.query('select audio_url, storage_audio_url, storage_cover_url from public.tracks where generation_id = $1', [id])).rows.flatMap((row) => Object.values(row))
  const allBegin = async (id: string, base: string) => {
    const urls = (await columns(id)).filter((url) => url !== null) as string[]
    expect(urls.length).toBeGreaterThanOrEqual(4)
    for (const url of urls) expect(url).toMatch(new RegExp(`^${base.replaceAll('.', '\\.')}/storage/v1/object/public/tracks-`))
  }

  it('written before anybody knew better, they follow when the public address becomes known; foreign ones stay', async () => {
    const id = await song()
    await allBegin(id, reprise.url)
    const foreign = ['https://cdn.example/own.mp4', `${reprise.url}.evil.example/storage/v1/object/x`]
    await reprise.database.db.query('update public.tracks set video_url = $2, storage_video_url = $3 where generation_id = $1', [id, ...foreign])
    await reprise.wired.rememberBase('https://songs.example')
    await allBegin(id, 'https://songs.example')
    expect((await reprise.database.db.query('select distinct video_url, storage_video_url from public.tracks where generation_id = $1', [id])).rows)
      .toEqual([{ video_url: foreign[0], storage_video_url: foreign[1] }])
  })

  it('a worker that does not know the address writes the one that is remembered, and a second move takes all along', async () => {
    const id = await song()
    await allBegin(id, 'https://songs.example')
    await reprise.wired.rememberBase('https://new.example/under/a/path')
    await allBegin(id, 'https://new.example/under/a/path')
  })

  it('the API answers addresses under which it is reached itself, whatever the columns say', async () => {
    const { body } = await reprise.call('GET', '/api/tracks', { token: user.token })
    for (const { audioUrl } of body.items) expect((await fetch(audioUrl)).status).toBe(200)
  })
})
