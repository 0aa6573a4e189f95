import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { sha256Hex } from '../server/src/kernel/ids.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

describe('pictures made with Google', () => {
  let reprise: Harness
  let user: TestUser
  beforeAll(async () => {
    reprise = await startHarness({ google: true })
    user = await reprise.user('of pictures', 1_000)
  })
  afterAll(() => reprise.close())
  afterEach(async () => {
    expect((await reprise.database.db.query('select * from reprise.ledger_violations')).rows).toEqual([])
    await closeBreaker()
  })

  const post = (prompt: string, more: object = {}, by = user) =>
    reprise.call('POST', '/api/generations', { token: by.token, body: { provider: 'google', kind: 'image', prompt, ...more } })
  const ask = async (prompt: string, more: object = {}): Promise<string> => {
    const { status, body } = await post(prompt, more)
    expect([status, body.cost]).toEqual([202, 1])
    return body.id
  }
  const made = async (prompt: string, more: object = {}) => reprise.settled(await ask(prompt, more), user)
  const balance = async () => (await reprise.call('GET', '/api/balance', { token: user.token })).body
  const posts = () => reprise.simulator.control.log().filter(({ method, path }) => method === 'POST' && path.endsWith(':generateContent')).length
  const pictures = (prompt: string) => reprise.simulator.control.tasks().filter((task) => task.provider === 'google' && task.prompt === prompt)
  const closeBreaker = () => reprise.database.db.query('update reprise.provider_accounts set breaker_until = null, breaker_failures = 0, breaker_reason = null')
  const fetched = async (generation: any) => {
    const answer = await fetch(generation.images[0].url)
    expect(answer.status).toBe(200)
    return { type: answer.headers.get('content-type'), bytes: Buffer.from(await answer.arrayBuffer()) }
  }
  const refOf = (generation: any) => ({ bucket: 'generated-images', path: new URL(generation.images[0].url).pathname.split('/generated-images/')[1] })

  it('one picture is stored byte for byte, in the ratio asked for, shown by its address and paid once', async () => {
    const before = await balance()
    const done = await made('a red kettle', { style: 'watercolour', options: { aspectRatio: '9:16' } })
    expect(done).toMatchObject({ state: 'complete', missing: 0, error: null, tracks: [], attempts: [{ number: 1 }], receipt: { cost: 1, held: 0, captured: 1, released: 0 } })
    expect(await balance()).toEqual({ available: before.available - 1, held: 0 })
    const { type, bytes } = await fetched(done)
    const [task] = pictures('a red kettle')
    expect(await reprise.simulator.control.file(task!.taskId, 0)).toMatchObject({ sha256: sha256Hex(bytes), bytes: bytes.length })
    expect(done.images).toEqual([expect.objectContaining({ index: 0, sha256: sha256Hex(bytes), bytes: bytes.length, mime: type })])
    const { width, height } = await sharp(bytes).metadata()
    expect(width / height).toBeCloseTo(9 / 16, 1)
    const incoming: string[] = []
    for await (const { key } of reprise.blobs.list('incoming/')) incoming.push(key)
    expect(incoming).toEqual([])
  })

  it('the timeline keeps what Google said, not the picture, and no key', async () => {
    const { id } = await made('a quiet kettle')
    const { body } = await reprise.call('GET', `/api/generations/${id}/events`, { token: user.token })
    const said = JSON.stringify((await reprise.database.db.query('select data from reprise.events where generation_id = $1', [id])).rows)
    expect(body.items.map(({ type }: any) => type)).toContain('finished')
    expect(said).toContain('responseId')
    expect(said.length).toBeLessThan(4_000)
    expect(said).not.toContain('demo')
  })

  it('a picture of mine goes along and is seen in the new one; a stranger\'s is refused before anything is spent', async () => {
    const first = await made('the first kettle')
    const second = await made('a kettle like the first', { options: { images: [refOf(first)] } })
    expect(second.state).toBe('complete')
    const alone = await made('a kettle like none', {})
    expect((await fetched(second)).bytes.length).not.toBe((await fetched(alone)).bytes.length)

    const stranger = await reprise.user('somebody else', 10)
    const before = posts()
    for (const path of [refOf(first).path, 'nobody/none.png', '../../etc/passwd']) {
      expect(await post('not mine', { options: { images: [{ bucket: 'generated-images', path }] } }, stranger)).toMatchObject({ status: 422, body: { code: 'validation_failed', errors: [{ path: 'options.images.0' }] } })
    }
    expect((await reprise.call('GET', '/api/balance', { token: stranger.token })).body).toEqual({ available: 10, held: 0 })
    expect(posts()).toBe(before)
  })

  it.each<[string, object]>([['a ratio that nobody knows', { aspectRatio: '7:5' }], ['an option that nobody knows', { colour: 'blue' }], ['an address from outside', { images: [{ url: 'http://169.254.169.254/' }] }]])('%s is refused, and nothing is spent', async (_, options) => {
    const before = await balance()
    expect(await post('a kettle', { options })).toMatchObject({ status: 422, body: { code: 'validation_failed' } })
    expect(await balance()).toEqual(before)
  })

  it.each([
    ['code-400', 'invalid_request', 1], ['code-413', 'invalid_request', 1], ['blocked', 'content_policy', 1], ['finish-reason=IMAGE_SAFETY', 'content_policy', 1],
    ['sensitive', 'content_policy', 1], ['no-image', 'no_image', 3], ['bad-picture', 'bad_file', 1], ['code-404', 'provider_failed', 2],
  ])('%s ends at once as %s, with its tokens given back', async (fault, code, asked) => {
    const [before, tokens] = [posts(), await balance()]
    const done = await made(`no kettle [[fault:${fault}]]`)
    expect(done).toMatchObject({ state: 'failed', images: [], attempts: [{ number: 1 }], error: { code, charged: false }, receipt: { held: 0, captured: 0, released: 1 } })
    expect(done.attempts).toHaveLength(1)
    expect(posts() - before).toBe(asked)
    expect(await balance()).toEqual(tokens)
  })

  it('an answer without a picture is told apart in the user\'s language', async () => {
    const { id } = await made('words only [[fault:no-image]]')
    const texts = await Promise.all(['en', 'ru', 'fr'].map(async (lang) => (await reprise.call('GET', `/api/generations/${id}?lang=${lang}`, { token: user.token })).body.error.message))
    expect(texts).toEqual([expect.stringContaining('words instead of a picture'), expect.stringContaining('словами'), expect.stringContaining('du texte au lieu')])
  })

  it.each(['code-455:1', 'code-403:2', 'code-429:1', 'code-500:2', 'code-504:1', 'submit-drop:1', 'submit-timeout:1', 'malformed-json:1', 'no-image:1', 'model-gone:1'])('%s is got over within one attempt, and the picture is paid once', async (fault) => {
    expect(await made(`at last a kettle [[fault:${fault}]]`)).toMatchObject({ state: 'complete', attempts: [{ number: 1, state: 'finished' }], receipt: { captured: 1 } })
  })

  it('trouble with every key waits for the next attempt, and the picture is paid once', async () => {
    const done = await made('the third time [[fault:code-500:7]]')
    expect(done).toMatchObject({ state: 'complete', attempts: [{ errorCode: 'transient' }, { errorCode: 'transient' }, { state: 'finished' }], receipt: { captured: 1, released: 0 } })
  })

  it('trouble that stays ends after four attempts as what it is, and all tokens come back', { timeout: 40_000 }, async () => {
    const before = await balance()
    // Many in trouble at once would rest the account; here each is to go its own way to the end.
    const rest = setInterval(() => void closeBreaker().catch(() => undefined), 50)
    try {
      const ends = { 'code-455': 'unavailable', 'code-403': 'provider_auth', 'code-429': 'no_credits', 'code-430': 'rate_limited', 'code-500': 'transient', 'code-504': 'transient', 'submit-drop-before': 'transient', 'html-502': 'transient', 'malformed-json': 'provider_malformed' }
      await Promise.all(Object.entries(ends).map(async ([fault, code]) => {
        const done = await reprise.settled(await ask(`never a kettle [[fault:${fault}]]`), user, undefined, 35_000)
        expect(done, fault).toMatchObject({ state: 'failed', images: [], error: { code, charged: false }, receipt: { held: 0, captured: 0, released: 1 } })
        expect(done.attempts, fault).toHaveLength(4)
      }))
    } finally {
      clearInterval(rest)
    }
    expect(await balance()).toEqual(before)
  })
})

describe('a picture that Google never gives', () => {
  it('is ended by its deadline, though it is still being asked for', async () => {
    const reprise = await startHarness({ google: true, deadlineSec: 1, googleTimeoutMs: 60_000 })
    try {
      const user = await reprise.user('who waits', 10)
      const { body } = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'google', kind: 'image', prompt: 'never [[fault:submit-timeout]]' } })
      expect(await reprise.settled(body.id, user)).toMatchObject({ state: 'timed_out', error: { code: 'deadline_exceeded', charged: false }, receipt: { held: 0, captured: 0, released: 1 } })
    } finally {
      await reprise.close()
    }
  }, 30_000)
})

describe('a house without a key of Google\'s', () => {
  it('answers 503 and names the provider; nothing is charged', async () => {
    const reprise = await startHarness({ workers: false })
    try {
      const user = await reprise.user('of no pictures', 10)
      const answer = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'google', kind: 'image', prompt: 'x' } })
      expect(answer).toMatchObject({ status: 503, body: { code: 'provider_not_configured', provider: 'google', charged: false } })
      expect((await reprise.call('GET', '/api/balance', { token: user.token })).body).toEqual({ available: 10, held: 0 })
    } finally {
      await reprise.close()
    }
  })
})
