import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createProviderFetch, type ProviderHttp } from '../provider-fetch.ts'
import type { GenerationRequest } from '../provider.ts'
import { startFakeServer, type Answer, type FakeServer } from '../testing/fake-server.ts'
import { answered, candidate, failure, picture, PIXEL } from './fixtures.ts'
import { googleSettings, keysOf } from './google.config.ts'
import { createGoogle, type GoogleOptions } from './google.ts'
import { servedModels } from './served-models.ts'

const KEYS = ['first-key-0123456789', 'second-key-0123456789']
const good: Answer = { json: answered }
const busy = failure(503, 'UNAVAILABLE', 'The model is overloaded. Please try again later.')
const SMALL = { bytes: Buffer.alloc(60, 1), mime: 'image/png' }
const ref = (path: string) => ({ bucket: 'image-uploads', path })
const image = (more: Partial<GenerationRequest> = {}): GenerationRequest => ({ kind: 'image', prompt: 'a red kettle', ...more })

describe('Google pictures', () => {
  let server: FakeServer
  let http: ProviderHttp
  beforeEach(async () => {
    server = await startFakeServer()
    http = createProviderFetch()
  })
  afterEach(async () => {
    await http.close()
    await server.close()
  })

  const stored = new Map([['photo.png', { bytes: Buffer.from(PIXEL, 'base64'), mime: 'image/png' }]])
  const make = (more: Partial<GoogleOptions> = {}) =>
    createGoogle({
      apiKeys: KEYS, baseUrl: server.url, fetch: http.fetch, timeScale: 0.001,
      readImage: async (ref) => stored.get(ref.path) ?? null, ...more,
    })
  const submit = (request = image(), attempt = 1, provider = make(), signal = new AbortController().signal) =>
    provider.submit(request, { attemptId: 'a', attempt, callbackUrl: null, signal })
  const keys = () => server.requests.map(({ headers }) => headers['x-goog-api-key'])
  const models = () => server.requests.map(({ path }) => /^\/v1beta\/models\/(.+):generateContent$/.exec(path)?.[1])
  const parts = (index = 0) => server.requests[index]!.json.contents[0].parts

  describe('what is asked', () => {
    it('prompt, style, ratio and size are all in the request, under the names that Google knows', async () => {
      server.next(good)
      await submit(image({ style: 'watercolour', options: { aspectRatio: '9:16', imageSize: '2K' } }))
      expect(server.requests[0]!.json).toEqual({
        contents: [{ role: 'user', parts: [{ text: 'a red kettle\nStyle: watercolour' }] }],
        generationConfig: { responseModalities: ['TEXT', 'IMAGE'], imageConfig: { aspectRatio: '9:16', imageSize: '2K' } },
      })
      expect(server.requests[0]!.query.size).toBe(0)
    })

    it('pictures of ours travel inside the request; nothing is fetched', async () => {
      server.next(good)
      await submit(image({ options: { images: [{ bucket: 'generated-images', path: 'photo.png' }, { bucket: 'image-uploads', path: 'photo.png' }] } }))
      expect(parts().slice(1)).toEqual([picture(), picture()])
      expect(server.requests).toHaveLength(1)
    })

    it('pictures of any size arrive byte for byte, wherever they lie in memory, and the length is told before', async () => {
      const odd = [1, 2, 3, 4, 196_607, 196_608, 196_609, 500_000].map((size) => Buffer.from(Array.from({ length: size + 5 }, (_, place) => (place * 7919) & 255)).subarray(5))
      const provider = make({ readImage: async ({ path }) => ({ bytes: odd[Number(path)]!, mime: 'image/webp' }) })
      server.next(good)
      await submit(image({ prompt: 'a kettle with "data":"" on it', options: { images: odd.map((_, index) => ref(String(index))) } }), 1, provider)
      expect(parts()[0]).toEqual({ text: 'a kettle with "data":"" on it' })
      expect(parts().slice(1).map(({ inlineData }: any, index: number) => odd[index]!.equals(Buffer.from(inlineData.data, 'base64')))).toEqual(odd.map(() => true))
      expect(server.requests[0]!.headers).toMatchObject({ 'content-length': String(server.requests[0]!.text.length), 'content-type': 'application/json' })
    })

    it('a picture that waits for room has its whole time to be answered, and one without pictures does not wait', async () => {
      let read: () => void = () => undefined
      const held = new Promise<void>((resolve) => (read = resolve))
      const provider = make({ sendingBytes: 100, timeoutMs: 2_000, readImage: ({ path }) => (path === 'first' ? held.then(() => SMALL) : Promise.resolve(SMALL)) })
      server.usually(good)
      const first = submit(image({ options: { images: [ref('first')] } }), 1, provider)
      const second = submit(image({ options: { images: [ref('second')] } }), 1, provider)
      expect(await submit(image(), 1, provider)).toMatchObject({ kind: 'finished' })
      await new Promise((resolve) => setTimeout(resolve, 2_100))
      expect(server.requests).toHaveLength(1)
      read()
      expect(await Promise.all([first, second])).toMatchObject([{ kind: 'finished' }, { kind: 'finished' }])
      expect(server.requests).toHaveLength(3)
    })

    it('a stop while it waits for room ends it unsent, is not held against it, and lets the next one in', async () => {
      let read: () => void = () => undefined
      const held = new Promise<void>((resolve) => (read = resolve))
      const provider = make({ sendingBytes: 100, readImage: () => held.then(() => SMALL) })
      server.usually(good)
      const asked = image({ options: { images: [ref('a')] } })
      const first = submit(asked, 1, provider)
      const stop = new AbortController()
      const stopped = submit(asked, 4, provider, stop.signal)
      const next = submit(asked, 1, provider)
      stop.abort()
      expect(await stopped).toMatchObject({ kind: 'refused', sent: false, error: { code: 'transient' } })
      expect(await stopped).not.toHaveProperty('error.final')
      read()
      expect(await Promise.all([first, next])).toMatchObject([{ kind: 'finished' }, { kind: 'finished' }])
      expect(server.requests).toHaveLength(2)
    })

    it('room is given back whatever becomes of a request', async () => {
      const provider = make({ apiKeys: [KEYS[0]!], waits: { otherKey: 0, firstKey: null, attempts: [] }, sendingBytes: 100, timeoutMs: 1_000, readImage: async ({ path }) => (path === 'gone' ? null : path === 'broken' ? Promise.reject(new Error('disk')) : SMALL) })
      server.next({ hang: true }, { reset: true }, busy, good)
      const ends = []
      for (const path of ['gone', 'broken', 'a', 'a', 'a', 'a']) ends.push((await submit(image({ options: { images: [ref(path)] } }), 1, provider)).kind)
      expect(ends).toEqual(['refused', 'refused', 'refused', 'refused', 'refused', 'finished'])
    })

    it('a picture that is gone, or pictures too large for a request, end it before anything is sent', async () => {
      const gone = image({ options: { images: [ref('none.png')] } })
      expect(await submit(gone)).toMatchObject({ kind: 'refused', sent: false, error: { code: 'invalid_request', final: true } })
      const large = make({ readImage: async () => ({ bytes: new Uint8Array(8 * 1024 * 1024), mime: 'image/png' }) })
      const two = image({ options: { images: [ref('a'), ref('b')] } })
      expect(await submit(two, 1, large)).toMatchObject({ kind: 'refused', sent: false, error: { code: 'invalid_request', final: true } })
      expect(server.requests).toEqual([])
    })

    it('a store that cannot be read just now is no refusal for good', async () => {
      const broken = make({ readImage: async () => Promise.reject(new Error('disk')) })
      const outcome = await submit(image({ options: { images: [ref('a')] } }), 4, broken)
      expect(outcome).toMatchObject({ kind: 'refused', sent: false, error: { code: 'transient' } })
      expect(outcome).not.toHaveProperty('error.final')
    })

    it.each(['3:4', '1:1', '4:5', '9:16', '16:9', '4:3', '2:3', '3:2', '5:4', '21:9', '1:8'])('ratio %s can be asked for', (aspectRatio) => {
      expect(make().validate(image({ options: { aspectRatio } }))).toEqual([])
    })

    it.each<[string, Partial<GenerationRequest>, string]>([
      ['a ratio nobody knows', { options: { aspectRatio: '7:5' } }, 'options.aspectRatio'],
      ['a size in small letters', { options: { imageSize: '1k' } }, 'options.imageSize'],
      ['a ratio that this model cannot', { model: 'gemini-3-pro-image', options: { aspectRatio: '1:8' } }, 'options.aspectRatio'],
      ['an address as a picture', { options: { images: [{ url: 'http://169.254.169.254/' }] } }, 'options.images.0'],
      ['too many pictures', { options: { images: Array.from({ length: 9 }, () => ref('a')) } }, 'options.images'],
      ['a model that is not listed', { model: 'gemini-2.5-flash-image' }, 'model'],
      ['a song', { kind: 'song' }, 'kind'],
      ['no prompt', { prompt: ' ' }, 'prompt'],
    ])('%s is a wrong field', (_, request, path) => {
      expect(make().validate(image(request)).map((error) => error.path)).toEqual([path])
    })
  })

  describe('what comes back', () => {
    it('is the picture byte for byte; the timeline keeps the words, not the bytes', async () => {
      const large = Buffer.alloc(3_000_000, 7)
      server.next({ json: candidate('STOP', [{ text: 'Here.' }, picture(large.toString('base64'), 'image/jpeg')]) })
      const outcome = await submit()
      expect(outcome).toMatchObject({ kind: 'finished', results: [{ final: { mime: 'image/jpeg' } }] })
      if (outcome.kind !== 'finished' || !outcome.results[0]!.final || !('bytes' in outcome.results[0]!.final)) throw new Error('no bytes')
      expect(large.equals(outcome.results[0]!.final.bytes)).toBe(true)
      expect(JSON.stringify(outcome.raw).length).toBeLessThan(1_000)
      expect(JSON.stringify(outcome.raw)).toContain('Here.')
    })

    it('sketches of a model that thinks first are not the answer', async () => {
      server.next({ json: candidate('STOP', [{ ...picture('AAAA'), thought: true }, picture()]) })
      expect(await submit()).toMatchObject({ kind: 'finished', results: [{ final: { bytes: Buffer.from(PIXEL, 'base64') } }] })
    })

    it.each<[string, unknown]>([
      ['a blocked prompt', { promptFeedback: { blockReason: 'PROHIBITED_CONTENT' } }],
      ['a blocked prompt with no candidates', { candidates: [], promptFeedback: { blockReason: 'OTHER' } }],
      ...['SAFETY', 'RECITATION', 'LANGUAGE', 'BLOCKLIST', 'PROHIBITED_CONTENT', 'SPII', 'IMAGE_SAFETY', 'IMAGE_PROHIBITED_CONTENT', 'IMAGE_RECITATION'].map((reason): [string, unknown] => [reason, candidate(reason)]),
    ])('%s is a matter of policy, asked once', async (_, json) => {
      server.usually({ json })
      expect(await submit()).toMatchObject({ kind: 'refused', sent: true, error: { code: 'content_policy' } })
      expect(server.requests).toHaveLength(1)
    })

    it.each([
      ['an invalid argument', failure(400, 'INVALID_ARGUMENT', 'Unable to process input image.'), 'invalid_request'],
      ['too large', failure(413, 'INVALID_ARGUMENT', 'Request payload size exceeds the limit.'), 'invalid_request'],
      ['policy as an invalid argument', failure(400, 'INVALID_ARGUMENT', 'The prompt was blocked by our safety filters.'), 'content_policy'],
    ])('%s fails at once, as what it is', async (_, answer, code) => {
      server.usually(answer)
      expect(await submit()).toMatchObject({ kind: 'refused', sent: true, error: { code } })
      expect(server.requests).toHaveLength(1)
    })

    it.each(['STOP', 'NO_IMAGE', 'IMAGE_OTHER', 'OTHER', 'MAX_TOKENS'])('words without a picture (%s) are asked again in other words, twice, and have a class of their own', async (reason) => {
      server.usually({ json: candidate(reason, [{ text: 'I would rather describe it.' }]) })
      expect(await submit()).toMatchObject({ kind: 'refused', sent: true, error: { code: 'no_image' } })
      expect(server.requests).toHaveLength(3)
      expect(parts(0)).toHaveLength(1)
      expect(parts(2)[0]).toEqual(parts(0)[0])
      expect(parts(2)[1].text).toContain('picture')
    })

    it('a picture after words is a picture', async () => {
      server.next({ json: candidate('NO_IMAGE') }, good)
      expect(await submit()).toMatchObject({ kind: 'finished' })
    })
  })

  describe('keys and waits', () => {
    it.each([
      ['429', failure(429, 'RESOURCE_EXHAUSTED')], ['403', failure(403, 'PERMISSION_DENIED')], ['503', busy], ['500', failure(500, 'INTERNAL')],
      ['504', failure(504, 'DEADLINE_EXCEEDED')], ['a broken connection', { reset: true } as Answer], ['half an answer', { truncated: '{"candidates":[' } as Answer],
      ['a key that is none', failure(400, 'INVALID_ARGUMENT', 'API key not valid.', [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'API_KEY_INVALID' }])],
    ])('%s is tried with the other key, then with the first again', async (_, answer) => {
      server.next(answer, answer, good)
      expect(await submit()).toMatchObject({ kind: 'finished' })
      expect(keys()).toEqual([KEYS[0], KEYS[1], KEYS[0]])
    })

    it('no answer in time is tried with the other key too', async () => {
      server.next({ hang: true }, good)
      expect(await submit(image(), 1, make({ timeoutMs: 1_000 }))).toMatchObject({ kind: 'finished' })
      expect(keys()).toEqual(KEYS)
    })

    it('the other key waits two seconds, the first one ten', async () => {
      server.usually(busy)
      const at: number[] = []
      const times = make({ timeScale: 0.02, fetch: (url, init) => (at.push(performance.now()), http.fetch(url, init)) })
      await submit(image(), 1, times)
      expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(39)
      expect(at[2]! - at[1]!).toBeGreaterThanOrEqual(199)
      expect(at).toHaveLength(3)
    })

    it('a single key is its own successor', async () => {
      server.next(busy, good)
      expect(await submit(image(), 1, make({ apiKeys: [KEYS[0]!] }))).toMatchObject({ kind: 'finished' })
      expect(keys()).toEqual([KEYS[0], KEYS[0]])
    })

    it('when all keys met trouble the attempts come after 10, 20 and 25 seconds, and the fourth is the last', async () => {
      server.usually(busy)
      const provider = make({ waits: { otherKey: 0, firstKey: 0, attempts: [10_000, 20_000, 25_000] }, timeScale: 1 })
      const errors = []
      for (const attempt of [1, 2, 3, 4]) {
        const outcome = await submit(image(), attempt, provider)
        errors.push(outcome.kind === 'refused' ? outcome.error : outcome)
      }
      expect(errors).toMatchObject([10_000, 20_000, 25_000].map((retryAfterMs) => ({ code: 'unavailable', retryAfterMs })).concat([{ code: 'unavailable', final: true } as never]))
      expect(errors[0]).not.toHaveProperty('final')
      expect(errors[3]).not.toHaveProperty('retryAfterMs')
    })

    it('a longer wait that Google asks for is kept', async () => {
      server.usually(failure(429, 'RESOURCE_EXHAUSTED', 'quota', [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '17s' }]))
      expect(await submit()).toMatchObject({ error: { code: 'rate_limited', retryAfterMs: 17_000 } })
    })

    it('a forbidden key is trouble that passes, and the operator hears of it when it does not', async () => {
      server.usually(failure(403, 'PERMISSION_DENIED'))
      expect(await submit()).toMatchObject({ error: { code: 'unavailable', detail: expect.stringContaining('403') } })
      expect(await submit(image(), 4)).toMatchObject({ error: { code: 'provider_auth', final: true } })
    })

    const QUOTA = 'You exceeded your current quota, please check your plan and billing details.'
    const limit = (quotaId: string) => [{ '@type': 'type.googleapis.com/google.rpc.QuotaFailure', violations: [{ quotaId }] }]
    const noBilling = failure(400, 'FAILED_PRECONDITION', 'Enable billing.')
    const usedUp = failure(429, 'RESOURCE_EXHAUSTED', QUOTA)
    const wrongKey = failure(400, 'INVALID_ARGUMENT', 'API key not valid.', [{ reason: 'API_KEY_INVALID' }])
    const errorOf = async (attempt: number, ...answers: Answer[]) => {
      if (answers.length) server.next(...answers)
      const outcome = await submit(image(), attempt)
      if (outcome.kind !== 'refused') throw new Error(outcome.kind)
      return outcome.error
    }

    it.each([['billing is off', noBilling], ['quota is used up', usedUp], ['money is used up', failure(429, 'RESOURCE_EXHAUSTED', 'Your prepayment credits are depleted.')], ['is none', wrongKey]])('a key whose %s costs no picture while another one works', async (_, answer) => {
      server.next(answer, good)
      expect(await submit()).toMatchObject({ kind: 'finished' })
      expect(keys()).toEqual(KEYS)
    })

    it('billing off with every key is said at once, as no credits, and no key is asked twice', async () => {
      server.usually(noBilling)
      expect(await errorOf(1)).toMatchObject({ code: 'no_credits', final: true })
      expect(keys()).toEqual(KEYS)
    })

    it('a quota that is used up with every key is waited for like any 429, and is no credits when it stays so', async () => {
      server.usually(usedUp)
      expect(await errorOf(1)).toMatchObject({ code: 'rate_limited' })
      expect(await errorOf(1)).not.toHaveProperty('final')
      expect(await errorOf(3)).toMatchObject({ code: 'rate_limited' })
      expect(await errorOf(4)).toMatchObject({ code: 'no_credits', final: true })
    })

    it.each([
      ['a limit per minute in the same words', failure(429, 'RESOURCE_EXHAUSTED', QUOTA, limit('GenerateRequestsPerMinutePerProjectPerModel')), 'rate_limited'],
      ['a limit per day', failure(429, 'RESOURCE_EXHAUSTED', QUOTA, limit('GenerateRequestsPerDayPerProjectPerModel')), 'no_credits'],
      ['too many at once', failure(429, 'RESOURCE_EXHAUSTED', 'Resource has been exhausted (e.g. check quota).'), 'rate_limited'],
    ])('%s is, in the end, what it is', async (_, answer, code) => {
      server.usually(answer)
      expect(await errorOf(4)).toMatchObject({ code, final: true })
    })

    it.each([['used up', usedUp], ['without billing', noBilling], ['forbidden', failure(403, 'PERMISSION_DENIED')]])('the account is not to blame when one key is %s and the other only busy', async (_, answer) => {
      server.usually(({ headers }) => (headers['x-goog-api-key'] === KEYS[0] ? answer : busy))
      expect(await errorOf(4)).toMatchObject({ code: 'unavailable', final: true })
    })

    it('a stop before every key was asked says nothing of the account', async () => {
      server.usually(noBilling)
      const stop = new AbortController()
      const outcome = submit(image(), 4, make({ timeScale: 1 }), stop.signal)
      while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 2))
      stop.abort()
      expect(await outcome).toMatchObject({ error: { code: expect.stringMatching(/^(unavailable|transient)$/) } })
      expect(await outcome).not.toHaveProperty('error.final')
    })

    it.each([['none', wrongKey], ['used up', usedUp], ['without billing', noBilling]])('a key that is %s is asked last for a minute: only one picture pays for it', async (_, answer) => {
      let at = 1_000_000
      const provider = make({ now: () => at })
      server.usually(({ headers }) => (headers['x-goog-api-key'] === KEYS[0] ? answer : good))
      await submit(image(), 1, provider)
      await submit(image(), 1, provider)
      expect(keys()).toEqual([...KEYS, KEYS[1]])
      at += 60_001
      server.usually(good)
      await submit(image(), 1, provider)
      await submit(image(), 1, provider)
      expect(keys().slice(3)).toEqual([KEYS[0], KEYS[0]])
    })

    it('a refused key is still asked when the others meet trouble', async () => {
      const provider = make({ now: () => 1_000_000 })
      server.next(wrongKey, good)
      await submit(image(), 1, provider)
      server.next(busy, good)
      expect(await submit(image(), 1, provider)).toMatchObject({ kind: 'finished' })
      expect(keys().slice(2)).toEqual([KEYS[1], KEYS[0]])
    })

    it('a stop ends the waits at once and is not held against the picture', async () => {
      server.usually(busy)
      const stop = new AbortController()
      const outcome = submit(image(), 4, make({ timeScale: 1 }), stop.signal)
      while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 2))
      stop.abort()
      expect(await outcome).toMatchObject({ kind: 'refused', sent: true, error: { code: expect.stringMatching(/^(unavailable|transient)$/) } })
      expect(await outcome).not.toHaveProperty('error.final')
      expect(server.requests).toHaveLength(1)
    })

    it('no key is in any outcome, nor is the account made of one', async () => {
      server.usually((request) => ({ ...failure(503, 'UNAVAILABLE', `for ${request.headers['x-goog-api-key']}`) }))
      const said = JSON.stringify([await submit(), make().account, make().descriptor])
      for (const key of KEYS) expect(said).not.toContain(key)
    })
  })

  it('doctor is told which models are served to a key, and that a wrong key tells nothing', async () => {
    const ask = (key: string) => servedModels({ key, baseUrl: server.url, models: ['new', 'gone'], fetch: http.fetch })
    server.usually(({ headers, path }) => (headers['x-goog-api-key'] !== 'good' ? failure(400, 'INVALID_ARGUMENT') : path.endsWith('/new') ? { json: { name: 'models/new' } } : failure(404, 'NOT_FOUND')))
    expect(await ask('good')).toEqual(['new'])
    expect(await ask('wrong')).toBeNull()
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toContain('GET /v1beta/models/new')
  })

  describe('models', () => {
    const gone = failure(404, 'NOT_FOUND', 'models/x is not found for API version v1beta')

    it('one that Google has retired is followed by the next of the list, with the same key', async () => {
      server.next(gone, good)
      expect(await submit()).toMatchObject({ kind: 'finished' })
      expect(models()).toEqual(['gemini-3.1-flash-image', 'gemini-3-pro-image'])
      expect(new Set(keys()).size).toBe(1)
    })

    it('none left is said as it is', async () => {
      server.usually(gone)
      expect(await submit()).toMatchObject({ kind: 'refused', sent: true, error: { code: 'provider_failed', detail: expect.stringContaining('no model') } })
    })

    it('one that was asked for by name is not replaced', async () => {
      server.usually(gone)
      expect(await submit(image({ model: 'gemini-3-pro-image' }))).toMatchObject({ kind: 'refused' })
      expect(models()).toEqual(['gemini-3-pro-image'])
    })

    it('are named by the configuration, which knows the dead ones', () => {
      const { schema } = googleSettings.geminiModels
      expect(schema.parse(' gemini-3-pro-image , gemini-nano-banana-2.1')).toEqual(['gemini-3-pro-image', 'gemini-nano-banana-2.1'])
      expect(schema.safeParse('gemini-2.5-flash-image').error!.issues[0]!.message).toContain('shut down')
      expect(schema.safeParse('../x').success).toBe(false)
      expect(keysOf(' a, b,a ,')).toEqual(['a', 'b'])
    })
  })
})
