import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createProviderFetch, type ProviderHttp } from '../server/src/providers/provider-fetch.ts'
import { createReplicate } from '../server/src/providers/replicate/replicate.ts'
import { createSimulator } from '../simulator/src/simulator.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

const DOOR = '/api/webhooks/replicate'
const DECOY = '/files/decoy.mp3'
type Simulator = Awaited<ReturnType<typeof createSimulator>>

/** Polls are hours away: whatever is found soon, a callback has told. */
const HARDLY_EVER = 100

describe('songs made with Replicate', () => {
  let reprise: Harness
  let http: ProviderHttp
  /** The provider of this file; the harness has one of its own for Suno. */
  let simulator: Simulator
  let user: TestUser

  beforeAll(async () => {
    http = createProviderFetch()
    simulator = await createSimulator({ speed: 0, songSeconds: [2, 2], songPool: 4, callbackRetryMs: [5, 5], data: null })
    const replicate = createReplicate({ apiKey: 'demo', baseUrl: simulator.url, fetch: http.fetch, timeScale: HARDLY_EVER })
    await replicate.prepare()
    reprise = await startHarness({ providers: [replicate], providerBases: { replicate: simulator.url }, downloadAllowHosts: [new URL(simulator.url).host] })
    user = await reprise.user('of predictions', 10_000)
  })
  afterAll(async () => {
    await reprise.close()
    await http.close()
    await simulator.close()
  })
  beforeEach(() => {
    simulator.control.setSpeed(0)
  })

  const ask = async (prompt: string, more: object = {}): Promise<string> => {
    const { status, body } = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'replicate', kind: 'song', prompt, ...more } })
    expect([status, body.provider]).toEqual([202, 'replicate'])
    return body.id
  }
  const state = (name: string) => (generation: any) => generation.state === name
  const taskOf = async (id: string): Promise<string> => (await reprise.settled(id, user, (generation) => generation.providerTaskId !== null)).providerTaskId
  const balance = async () => (await reprise.call('GET', '/api/balance', { token: user.token })).body
  const asked = (taskId: string) => simulator.control.log().filter(({ method, path }) => method === 'GET' && path === `/v1/predictions/${taskId}`).length
  const events = async (id: string) => (await reprise.database.db.query('select type, cause, data from reprise.events where generation_id = $1 order by id', [id])).rows as Record<string, any>[]
  /** Time for whatever a callback may have set off. */
  const settle = () => new Promise((resolve) => setTimeout(resolve, 300))
  /** A song under way whose provider has not said that it is done, and will not say so by itself. */
  const underWay = async (prompt: string) => {
    const id = await ask(`${prompt} [[fault:callback-never]]`)
    const taskId = await taskOf(id)
    return { id, taskId }
  }

  it('a signed callback brings the file at once, byte for byte, and it is paid once', async () => {
    const before = await balance()
    const id = await ask('a quiet waltz')
    const done = await reprise.settled(id, user)
    expect(done).toMatchObject({ state: 'complete', missing: 0, error: null, cost: 5, receipt: { held: 0, captured: 5, released: 0 } })
    const truth = (await simulator.control.file(done.providerTaskId, 0))!
    expect(done.tracks).toMatchObject([{ sha256: truth.sha256, bytes: truth.bytes, mime: 'audio/mpeg', archived: true, variant: 1 }])
    expect((await fetch(done.tracks[0].audioUrl)).status).toBe(200)
    expect((await balance()).available).toBe(before.available - 5)
    expect((await events(id)).filter(({ type, cause }) => type === 'hint' && cause === 'callback')).not.toEqual([])
  })

  it('neither our token nor the key is in the timeline, though the provider repeats its webhook address', async () => {
    const done = await reprise.settled(await ask('a secret song'), user)
    const kept = JSON.stringify(await events(done.id))
    expect(kept).toContain(DOOR)
    expect(kept).not.toMatch(/token=(?!\[redacted\])/)
  })

  it('a WAV is stored as it came, under its own name', async () => {
    const done = await reprise.settled(await ask('a waltz in waves', { options: { audio_format: 'wav' } }), user)
    const truth = (await simulator.control.file(done.providerTaskId, 0))!
    expect(truth.url).toMatch(/\.wav$/)
    expect(done.tracks).toMatchObject([{ sha256: truth.sha256, mime: 'audio/wav' }])
    expect(new URL(done.tracks[0].audioUrl).pathname).toMatch(/\/tracks-audio\/.+\.wav$/)
    const file = await fetch(done.tracks[0].audioUrl)
    expect(file.headers.get('content-type')).toBe('audio/wav')
    expect((await file.arrayBuffer()).byteLength).toBe(truth.bytes)
    expect(Math.abs(done.tracks[0].durationMs - 2_000)).toBeLessThan(100)
  })

  it('a community model is asked by version, and a list with one address is a file too', async () => {
    const done = await reprise.settled(await ask('drums [[fault:output-list]]', { model: 'meta/musicgen', options: { duration: 2 } }), user)
    expect(done).toMatchObject({ state: 'complete', tracks: [{ mime: 'audio/mpeg' }] })
    expect(simulator.control.log().filter(({ method, path }) => method === 'POST' && path === '/v1/predictions')).toHaveLength(1)
  })

  it.each(['callback-forged', 'callback-altered', 'callback-stale', 'callback-unsigned'])('with every callback %s nothing of it is believed, and the song is found by asking', async (fault) => {
    const id = await ask(`not to be believed [[fault:${fault}]]`)
    const done = await reprise.settled(id, user)
    expect(done).toMatchObject({ state: 'complete', tracks: [{ sha256: (await simulator.control.file(done.providerTaskId, 0))!.sha256 }] })
    // As a stranger's: it may wake us, but is no attempt's hint and adopts nothing.
    expect((await events(id)).filter(({ type }) => type === 'hint' || type === 'adopted')).toEqual([])
    expect(simulator.control.log().filter(({ path }) => path === DECOY)).toEqual([])
  })

  it('a forged failure ends nothing, and a forger is heard once in five seconds', async () => {
    simulator.control.setSpeed(1)
    const { id, taskId } = await underWay('made to fail')
    const before = asked(taskId)
    for (let n = 0; n < 10; n++) await simulator.control.sendWebhook({ taskId, secret: 'whsec_c3RyYW5nZXItc3RyYW5nZXI=', body: { id: taskId, status: 'failed', error: 'all lost' } })
    await settle()
    expect(await reprise.settled(id, user, () => true)).toMatchObject({ state: 'generating', error: null })
    expect(asked(taskId) - before).toBeLessThanOrEqual(1)
    await reprise.call('POST', `/api/generations/${id}/cancel`, { token: user.token })
  })

  it('a forged callback binds no attempt to a foreign task', async () => {
    simulator.control.setSpeed(1)
    const { id, taskId } = await underWay('not yours')
    await simulator.control.sendWebhook({ taskId, secret: null, body: { id: 'somebodyelses', status: 'succeeded', output: `${simulator.url}${DECOY}` } })
    await settle()
    expect(await reprise.settled(id, user, () => true)).toMatchObject({ state: 'generating', providerTaskId: taskId })
    expect((await reprise.database.db.query(`select task_id from reprise.parked_callbacks where provider = 'replicate'`)).rows).toContainEqual({ task_id: 'somebodyelses' })
    await reprise.call('POST', `/api/generations/${id}/cancel`, { token: user.token })
  })

  it('the same callback again and again changes nothing and asks nothing', async () => {
    const { id, taskId } = await underWay('told twenty times')
    await simulator.control.sendWebhook({ taskId, webhookId: 'msg_again' })
    // Its cover, which we draw, may come after the song.
    const done = await reprise.settled(id, user, (generation) => generation.state === 'complete' && generation.tracks[0]?.coverUrl)
    expect(done).toMatchObject({ state: 'complete', receipt: { captured: 5 } })
    const [before, tokens] = [asked(taskId), await balance()]
    const answers = await simulator.control.sendWebhook({ taskId, webhookId: 'msg_again', times: 20 })
    expect(answers!.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    await settle()
    const { updatedAt: _, ...after } = await reprise.settled(id, user)
    const { updatedAt: __, ...once } = done
    expect({ ...after, providerHeardAt: null }).toEqual({ ...once, providerHeardAt: null })
    expect(asked(taskId)).toBe(before)
    expect(await balance()).toEqual(tokens)
    expect((await reprise.database.db.query('select * from reprise.ledger_violations')).rows).toEqual([])
  })

  it('a submit whose answer was lost is found again by its first callback', async () => {
    const done = await reprise.settled(await ask('lost on the way back [[fault:submit-drop]]'), user)
    expect(done).toMatchObject({ state: 'complete', attempts: [{ number: 1 }] })
    expect((await events(done.id)).map(({ type }) => type)).toContain('adopted')
    expect(simulator.control.tasks().filter(({ prompt }) => prompt === 'lost on the way back')).toHaveLength(1)
  })

  it('a song that is cancelled is cancelled at the provider too, and its tokens come back by the deadline', async () => {
    simulator.control.setSpeed(1)
    const { available, held } = await balance()
    const id = await ask('never mind')
    const taskId = await taskOf(id)
    const answer = await reprise.call('POST', `/api/generations/${id}/cancel`, { token: user.token })
    expect(answer).toMatchObject({ status: 200, body: { state: 'cancelled' } })
    await expect.poll(() => simulator.control.tasks().find((task) => task.taskId === taskId)!.status, { timeout: 10_000 }).toBe('canceled')
    await reprise.wired.db.setClockOffset(61_000)
    const ended = await reprise.settled(id, user, (generation) => generation.receipt.held === 0)
    await reprise.wired.db.setClockOffset(0)
    expect(ended).toMatchObject({ state: 'cancelled', tracks: [], receipt: { captured: 0, released: 5 } })
    // Those of songs that were cancelled before, too.
    expect(await balance()).toEqual({ available: available + held, held: 0 })
  })

  it('output that was removed before we came ends in tokens given back, with a plain reason', async () => {
    const before = await balance()
    const done = await reprise.settled(await ask('too late [[fault:data-removed]]'), user)
    expect(done).toMatchObject({ state: 'failed', tracks: [], error: { code: 'provider_task_gone', charged: false }, receipt: { held: 0, captured: 0, released: 5 } })
    expect(done.error.message).not.toBe('')
    expect(await balance()).toEqual(before)
  })

  it('a file that cannot be had until it is removed ends in tokens given back', async () => {
    const before = await balance()
    const id = await ask('out of reach [[fault:file-503]]')
    const taskId = (await reprise.settled(id, user, state('saving'))).providerTaskId
    simulator.control.advance(3_700_000)
    await reprise.wired.db.setClockOffset(61_000)
    const done = await reprise.settled(id, user)
    await reprise.wired.db.setClockOffset(0)
    expect(done).toMatchObject({ state: expect.stringMatching(/^(failed|timed_out)$/), tracks: [], receipt: { held: 0, captured: 0, released: 5 } })
    expect(simulator.control.tasks().find((task) => task.taskId === taskId)!.status).toBe('succeeded')
    expect(await balance()).toEqual(before)
  })

  it.each([
    ['code-429', 'no_credits'], ['code-400', 'invalid_request'], ['sensitive', 'content_policy'], ['audio-failed', 'provider_failed'],
    ['timed-out', 'provider_failed'], ['cancelled', 'provider_failed'],
  ])('%s gives the tokens back as %s', async (fault, code) => {
    const before = await balance()
    const done = await reprise.settled(await ask(`no song [[fault:${fault}]]`), user)
    expect(done).toMatchObject({ state: 'failed', error: { code }, receipt: { captured: 0, released: 5 } })
    expect(await balance()).toEqual(before)
    // An account without credits refuses all work for a while; the next test's song is none of it.
    await reprise.database.db.query('update reprise.provider_accounts set breaker_until = null')
  })
})

describe('a house without a Replicate token', () => {
  it('answers 503 and names the provider; nothing is charged', async () => {
    const reprise = await startHarness({ workers: false })
    try {
      const user = await reprise.user('of no provider', 100)
      const answer = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'replicate', kind: 'song', prompt: 'x' } })
      expect(answer).toMatchObject({ status: 503, body: { code: 'provider_not_configured', provider: 'replicate', charged: false } })
      expect((await reprise.call('GET', '/api/balance', { token: user.token })).body).toEqual({ available: 100, held: 0 })
    } finally {
      await reprise.close()
    }
  })
})
