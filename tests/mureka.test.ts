import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createProviderFetch, type ProviderHttp } from '../server/src/providers/provider-fetch.ts'
import { createMureka } from '../server/src/providers/mureka/mureka.ts'
import { createSimulator } from '../simulator/src/simulator.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

const LIMIT = 2

describe('songs made with Mureka', () => {
  let reprise: Harness
  let http: ProviderHttp
  /** The provider of this file; the harness has one of its own for Suno. */
  let simulator: Awaited<ReturnType<typeof createSimulator>>
  let user: TestUser

  beforeAll(async () => {
    http = createProviderFetch()
    simulator = await createSimulator({ speed: 0, songSeconds: [2, 2], songPool: 4, murekaConcurrent: LIMIT, data: null })
    const mureka = createMureka({ apiKey: 'demo', baseUrl: simulator.url, fetch: http.fetch, timeScale: 1 / 1000 })
    reprise = await startHarness({ providers: [mureka], providerBases: { mureka: simulator.url }, downloadAllowHosts: [new URL(simulator.url).host] })
    user = await reprise.user('of Mureka', 10_000)
  })
  afterAll(async () => {
    await reprise.close()
    await http.close()
    await simulator.close()
  })
  beforeEach(() => simulator.control.setSpeed(0))

  const post = (body: object) => reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'mureka', kind: 'song', prompt: 'a night bus', ...body } })
  const ask = async (body: object): Promise<string> => {
    const answer = await post(body)
    expect(answer.status, JSON.stringify(answer.body)).toBe(202)
    return answer.body.id
  }
  const balance = async () => (await reprise.call('GET', '/api/balance', { token: user.token })).body
  const bytesOf = async (url: string) => Buffer.from(await (await fetch(url)).arrayBuffer())
  const withCovers = ({ tracks }: any) => tracks.length > 0 && tracks.every((track: any) => track.coverUrl)
  const lyricsOf = async (id: string) => (await reprise.database.db.query<{ lyrics: string | null }>('select lyrics from public.tracks where generation_id = $1', [id])).rows.map(({ lyrics }) => lyrics)
  const violations = async () => (await reprise.database.db.query('select * from reprise.ledger_violations')).rows

  it('three songs asked for are three tracks, each the provider’s own file, each with a cover of ours, each paid once', async () => {
    const before = await balance()
    const lyrics = '[Verse]\nRain on the roof\nand on me\n\n[Chorus]\nStay'
    const id = await ask({ prompt: 'slow indie folk', title: 'Night Bus', lyrics, options: { n: 3 } })
    const done = await reprise.settled(id, user, (generation) => generation.state === 'complete' && withCovers(generation))
    expect(done).toMatchObject({ provider: 'mureka', missing: 0, error: null, receipt: { cost: 15, held: 0, captured: 15, released: 0 } })
    expect(done.tracks.map((track: any) => track.variant)).toEqual([1, 2, 3])
    const covers = new Set<string>()
    for (const track of done.tracks) {
      const truth = await simulator.control.file(done.providerTaskId, track.variant - 1)
      expect(createHash('sha256').update(await bytesOf(track.audioUrl)).digest('hex')).toBe(truth!.sha256)
      expect(track).toMatchObject({ title: 'Night Bus', archived: true })
      expect(track.durationMs).toBeGreaterThan(1_500)
      const cover = await bytesOf(track.coverUrl)
      expect(cover.subarray(0, 3).toString('hex')).toBe('ffd8ff')
      covers.add(cover.toString('base64'))
    }
    expect(covers.size).toBe(3)
    expect(await lyricsOf(id)).toEqual([lyrics, lyrics, lyrics])
    expect(await balance()).toEqual({ available: before.available - 15, held: 0 })
    expect(await violations()).toEqual([])
  })

  it('a description alone becomes a song with words, and one paid request', async () => {
    const done = await reprise.settled(await ask({ prompt: 'a lullaby for trams' }), user)
    expect(done).toMatchObject({ state: 'complete', receipt: { captured: 10 } })
    expect(done.tracks).toHaveLength(2)
    for (const lyrics of await lyricsOf(done.id)) expect(lyrics).toMatch(/\[Verse\]\n.*trams/)
    expect(simulator.control.tasks().filter(({ prompt }) => prompt === 'a lullaby for trams')).toHaveLength(1)
  })

  it('an instrumental is found too', async () => {
    const done = await reprise.settled(await ask({ prompt: 'solo piano', instrumental: true, options: { n: 1 } }), user)
    expect(done).toMatchObject({ state: 'complete', receipt: { captured: 5 } })
    expect(await lyricsOf(done.id)).toEqual([null])
  })

  it('a model with a price of its own is paid at it, song by song', async () => {
    await reprise.database.db.query(`insert into reprise.prices (kind, provider, model, tokens) values ('song', 'mureka', 'mureka-o2', 7)`)
    const { items } = (await reprise.call('GET', '/api/prices')).body
    expect(items).toContainEqual({ kind: 'song', provider: 'mureka', model: 'mureka-o2', tokensPerResult: 7, results: 2 })
    const done = await reprise.settled(await ask({ model: 'mureka-o2', options: { n: 3 } }), user)
    expect(done.receipt).toEqual({ cost: 21, held: 0, captured: 21, released: 0 })
  })

  it('what cannot be made is refused and costs nothing', async () => {
    const before = await balance()
    for (const [wrong, path] of [[{ options: { n: 4 } }, 'options.n'], [{ model: 'V6' }, 'model'], [{ lyrics: 'x'.repeat(3001) }, 'lyrics']] as const) {
      expect(await post(wrong)).toMatchObject({ status: 422, body: { code: 'validation_failed', errors: [{ path }] } })
    }
    expect(await balance()).toEqual(before)
  })

  it('a song that the provider does not bring is given back, the others are kept', async () => {
    const done = await reprise.settled(await ask({ prompt: 'two go missing [[fault:one-song]]', options: { n: 3 } }), user)
    expect(done).toMatchObject({ state: 'complete', missing: 2, receipt: { captured: 5, released: 10, held: 0 } })
    expect(done.tracks).toHaveLength(1)
  })

  it.each([['timed-out', 'provider_failed'], ['cancelled', 'provider_failed'], ['sensitive', 'content_policy'], ['code-403', 'provider_auth'], ['code-429', 'no_credits']])(
    'ended by %s, it fails as %s and every token comes back', async (fault, code) => {
      const done = await reprise.settled(await ask({ prompt: `in vain [[fault:${fault}]]` }), user)
      expect(done).toMatchObject({ state: 'failed', error: { code, charged: false }, receipt: { captured: 0, released: 10, held: 0 } })
      await reprise.database.db.query('update reprise.provider_accounts set breaker_until = null, breaker_reason = null')
      await new Promise((resolve) => setTimeout(resolve, 1_100))
    })

  it('a submit that may have been taken is never sent twice', async () => {
    const done = await reprise.settled(await ask({ prompt: 'who knows [[fault:submit-drop]]' }), user)
    expect(done).toMatchObject({ state: 'failed', error: { code: 'submit_unknown' }, receipt: { captured: 0, held: 0 } })
    expect(simulator.control.tasks().filter(({ prompt }) => prompt === 'who knows')).toHaveLength(1)
  })

  it('no more tasks run at once than its billing allows, so that none is ever told that it came too quickly', async () => {
    simulator.control.setSpeed(60)
    const from = simulator.control.log().length
    const ids = await Promise.all(Array.from({ length: 3 * LIMIT }, (_, place) => ask({ prompt: `in turn ${place}`, lyrics: 'la', options: { n: 1 } })))
    for (const id of ids) expect(await reprise.settled(id, user)).toMatchObject({ state: 'complete' })
    const submits = simulator.control.log().slice(from).filter(({ path }) => path === '/v1/song/generate')
    expect(submits.map(({ status }) => status)).toEqual(ids.map(() => 200))
    const { rows } = await reprise.database.db.query<{ concurrency: number }>(`select concurrency from reprise.provider_accounts where provider = 'mureka'`)
    expect(rows).toEqual([{ concurrency: LIMIT }])
  })
})
