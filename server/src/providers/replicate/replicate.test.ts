import { createHmac } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { readSettings } from '../../config/setting.ts'
import type { GenerationRequest, RawCallback, Snapshot } from '../provider.ts'
import { createProviderFetch, type ProviderHttp } from '../provider-fetch.ts'
import { startFakeServer, type Answer, type FakeServer } from '../testing/fake-server.ts'
import { FILE, prediction } from './fixtures.ts'
import { replicateSettings } from './replicate.config.ts'
import { createReplicate, type ReplicateOptions } from './replicate.ts'

const SECRET = `whsec_${Buffer.from('a secret of the suite, 24 b').toString('base64')}`
const NOW = Date.now()

/** Signed as the specification says, by hand: the library must agree with it. */
function signed(body: unknown, { secret = SECRET, at = NOW, id = 'msg_1', sent = body }: { secret?: string; at?: number; id?: string; sent?: unknown } = {}): RawCallback {
  const timestamp = String(Math.floor(at / 1000))
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${JSON.stringify(body)}`).digest('base64')
  return {
    body: Buffer.from(JSON.stringify(sent)), now: NOW,
    headers: { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` },
  }
}

describe('Replicate', () => {
  let server: FakeServer
  let http: ProviderHttp
  const make = (more: Partial<ReplicateOptions> = {}) => createReplicate({ apiKey: 'r8_a-token-of-the-suite', baseUrl: server.url, fetch: http.fetch, webhookSecret: SECRET, ...more })
  const context = (callbackUrl: string | null = 'https://reprise.example.com/hook?token=t') => ({ attemptId: 'a', callbackUrl, signal: new AbortController().signal })
  const song = (more: Partial<GenerationRequest> = {}): GenerationRequest => ({ kind: 'song', prompt: 'a night bus', ...more })
  const check = async (answer: Answer): Promise<Snapshot> => {
    server.next(answer)
    const outcome = await make().check('p1', context().signal)
    if (outcome.kind !== 'snapshot') throw new Error(JSON.stringify(outcome))
    return outcome.snapshot
  }

  beforeAll(() => {
    http = createProviderFetch()
  })
  afterAll(() => http.close())
  beforeEach(async () => {
    server = await startFakeServer()
    server.usually({ status: 201, json: prediction('starting') })
  })
  afterEach(() => server.close())

  describe('asks each model in its own words', () => {
    const asked = async (request: GenerationRequest, more: Partial<ReplicateOptions> = {}, callbackUrl?: null) => {
      const provider = make(more)
      expect(provider.validate(request)).toEqual([])
      await provider.submit(request, context(callbackUrl))
      return server.requests.at(-1)!
    }

    it('an official model is asked under its own address, with its own names for lyrics and voice', async () => {
      const { path, json, headers } = await asked(song({ style: 'slow', lyrics: '[Verse]\nRain', options: { audio_format: 'wav' } }))
      expect(path).toBe('/v1/models/minimax/music-2.6/predictions')
      expect(json).toEqual({
        input: { prompt: 'a night bus\nslow', lyrics: '[Verse]\nRain', is_instrumental: false, audio_format: 'wav' },
        webhook: 'https://reprise.example.com/hook?token=t', webhook_events_filter: ['start', 'completed'],
      })
      expect(headers.authorization).toBe('Bearer r8_a-token-of-the-suite')
    })

    it('a song without lyrics has them written, an instrumental has none', async () => {
      expect((await asked(song())).json.input).toMatchObject({ is_instrumental: false, lyrics_optimizer: true })
      const { input } = (await asked(song({ instrumental: true }))).json
      expect(input).toMatchObject({ is_instrumental: true })
      expect(input).not.toHaveProperty('lyrics_optimizer')
    })

    it('a model with a version is asked through /v1/predictions with that version', async () => {
      const { path, json } = await asked(song({ model: 'meta/musicgen', options: { duration: 12, output_format: 'wav' } }))
      expect(path).toBe('/v1/predictions')
      expect(json).toMatchObject({ version: expect.stringMatching(/^[0-9a-f]{64}$/), input: { prompt: 'a night bus', duration: 12, output_format: 'wav', model_version: 'stereo-large' } })
    })

    it("the operator's own model and version are used, with nothing but the prompt", async () => {
      const version = 'ab'.repeat(32)
      const { path, json } = await asked(song({ style: 'slow' }), { model: `someone/tunes:${version}` })
      expect(path).toBe('/v1/predictions')
      expect(json).toMatchObject({ version, input: { prompt: 'a night bus\nslow' } })
      expect(make({ model: `meta/musicgen:${version}` }).descriptor.defaultModel).toBe('meta/musicgen')
    })

    it('without an address of ours no callback is asked for', async () => {
      expect((await asked(song(), {}, null)).json).not.toHaveProperty('webhook')
    })

    it('what a model cannot do is refused before anything is sent or charged', () => {
      const paths = (request: GenerationRequest) => make().validate(request).map((error) => `${error.path} ${error.rule}`)
      expect(paths(song({ model: 'meta/musicgen', lyrics: 'la' }))).toEqual(['lyrics conflict'])
      expect(paths(song({ model: 'stability-ai/stable-audio-2.5', options: { duration: 191, steps: 4.5 } }))).toEqual(['options.duration invalid', 'options.steps invalid'])
      expect(paths(song({ lyrics: 'la', instrumental: true }))).toEqual(['lyrics conflict'])
      expect(paths(song({ prompt: 'x'.repeat(1999), style: 'yy' }))).toEqual(['prompt max_length'])
      expect(paths(song({ model: 'no/body' }))).toEqual(['model one_of'])
      expect(paths({ ...song(), kind: 'video' })).toEqual(['kind one_of'])
      expect(paths(song({ options: { constructor: 1 } }))).toEqual(['options.constructor unknown'])
    })
  })

  describe('reads answers', () => {
    it('the wait that a throttled answer names in its text is obeyed', async () => {
      server.next({ status: 429, json: { detail: 'Request was throttled. Your rate limit resets in ~30s.' } })
      expect(await make().submit(song(), context())).toMatchObject({ kind: 'refused', error: { code: 'rate_limited', retryAfterMs: 30_000 } })
      server.next({ status: 429, json: { detail: 'Your rate limit resets in ~500ms.' } })
      expect(await make().check('p1', context().signal)).toMatchObject({ kind: 'unreachable', error: { code: 'rate_limited', retryAfterMs: 500 } })
    })

    it('output is one address, the first of a list, or nothing where it is text', async () => {
      const urls = async (output: unknown) => (await check({ json: prediction('succeeded', { output }) })).results.map(({ final }) => final)
      expect(await urls(FILE)).toEqual([{ url: FILE }])
      expect(await urls(['not an address', FILE, 'https://replicate.delivery/second.mp3'])).toEqual([{ url: FILE }])
      for (const nothing of ['la la la', '', null, { text: 'x' }, ['javascript:alert(1)', 'file:///etc/passwd'], 7]) expect(await urls(nothing)).toEqual([])
    })

    it('a plain http address is a result only where the provider is on this machine', async () => {
      const provider = make({ baseUrl: 'https://api.replicate.example' })
      const body = prediction('succeeded', { output: 'http://replicate.delivery/a.mp3' })
      expect(provider.readCallback(signed(body))?.snapshot?.results).toEqual([])
      expect(make().readCallback(signed(body))?.snapshot?.results).toHaveLength(1)
    })

    it('a success whose files were removed is a failure that says so', async () => {
      expect(await check({ json: prediction('succeeded', { data_removed: true, input: {} }) })).toMatchObject({ status: 'failed', results: [], error: { code: 'provider_task_gone' } })
    })

    it('ends are told apart: canceled, not started in time, refused by the model, unknown id', async () => {
      expect(await check({ json: prediction('canceled') })).toMatchObject({ status: 'cancelled' })
      expect(await check({ json: prediction('aborted') })).toMatchObject({ status: 'cancelled', error: { detail: expect.stringContaining('in time') } })
      expect(await check({ json: prediction('failed', { error: 'NSFW content detected' }) })).toMatchObject({ status: 'failed', error: { code: 'content_policy' } })
      server.next({ status: 404, json: { detail: 'not found' } })
      expect(await make().check('p1', context().signal)).toMatchObject({ kind: 'unreachable', error: { code: 'provider_task_gone' } })
    })

    it('cancelling says whether it came in time', async () => {
      const cancel = async (answer: Answer) => {
        server.next(answer)
        return make().cancel!('p/1', context().signal)
      }
      expect(await cancel({ json: prediction('canceled') })).toBe('cancelled')
      expect(server.requests.at(-1)).toMatchObject({ method: 'POST', path: '/v1/predictions/p%2F1/cancel' })
      expect(await cancel({ json: prediction('succeeded') })).toBe('too_late')
      expect(await cancel({ status: 404, json: {} })).toBe('too_late')
      expect(await cancel({ status: 500, text: '' })).toBe('unreachable')
      expect(await cancel({ reset: true })).toBe('unreachable')
    })
  })

  it('a setting that cannot be right is named at the start, and no secret is shown', () => {
    const read = (env: Record<string, string>) => () => readSettings(replicateSettings, env)
    expect(read({})()).toMatchObject({ replicateModel: 'minimax/music-2.6', replicateBaseUrl: 'https://api.replicate.com' })
    expect(read({ REPLICATE_WEBHOOK_SECRET: 'my-own-words' })).toThrow('REPLICATE_WEBHOOK_SECRET: expected a secret that begins with whsec_')
    expect(read({ REPLICATE_WEBHOOK_SECRET: 'my-own-words' })).not.toThrow('my-own-words')
    for (const model of ['musicgen', 'meta/musicgen:latest', 'a/b/c']) expect(read({ REPLICATE_MODEL: model })).toThrow('REPLICATE_MODEL: expected owner/name')
  })

  describe('judges callbacks by their signature', () => {
    const body = prediction('succeeded', { output: FILE })

    it('a callback signed with our secret within five minutes is trusted', () => {
      expect(make().readCallback(signed(body))).toMatchObject({ trust: 'signed', taskId: body.id, snapshot: { status: 'succeeded', results: [{ final: { url: FILE } }] } })
      expect(make().readCallback(signed(body, { at: NOW - 290_000 }))).toMatchObject({ trust: 'signed' })
    })

    it('one of several signatures is enough, as while a secret is replaced', () => {
      const good = signed(body)
      good.headers['webhook-signature'] = `v1,${Buffer.alloc(32).toString('base64')} v1a,ignored ${good.headers['webhook-signature']}`
      expect(make().readCallback(good)).toMatchObject({ trust: 'signed' })
    })

    it('altered, old, future, foreign, half or unsigned ones are forged', () => {
      const other = `whsec_${Buffer.from('another secret of 24 by').toString('base64')}`
      const half = signed(body)
      half.headers['webhook-signature'] = half.headers['webhook-signature']!.slice(0, -4)
      const renamed = signed(body)
      renamed.headers['webhook-id'] = 'msg_2'
      const undated = signed(body)
      delete undated.headers['webhook-timestamp']
      const forged: Record<string, RawCallback> = {
        altered: signed(body, { sent: { ...body, output: 'https://evil.example/a.mp3' } }),
        old: signed(body, { at: NOW - 302_000 }),
        future: signed(body, { at: NOW + 302_000 }),
        foreign: signed(body, { secret: other }),
        half, renamed, undated,
        unsigned: { ...signed(body), headers: {} },
        spaced: { ...signed(body), body: Buffer.from(` ${JSON.stringify(body)}`) },
      }
      for (const [name, callback] of Object.entries(forged)) expect(make().readCallback(callback), name).toMatchObject({ trust: 'forged' })
    })

    it('other bytes that read as the same text do not pass for the signed ones', () => {
      const callback = signed({ ...body, logs: 'torn \ufffd' })
      const at = Buffer.from(callback.body).indexOf(Buffer.from('\ufffd'))
      callback.body = Buffer.concat([callback.body.subarray(0, at), Buffer.from([0xff]), callback.body.subarray(at + 3)])
      expect(make().readCallback(callback)).toMatchObject({ trust: 'forged' })
    })

    it('without a configured secret the provider is asked for it once', async () => {
      const provider = make({ webhookSecret: undefined })
      server.usually({ json: { key: SECRET } })
      // Nothing can be judged yet: not believed, and not called forged.
      expect(provider.readCallback(signed(body))).toMatchObject({ trust: 'none' })
      await provider.prepare()
      expect(provider.readCallback(signed(body))).toMatchObject({ trust: 'signed' })
      await provider.prepare()
      expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /v1/webhooks/default/secret'])
    })

    it('a secret that could not be read is asked for again a minute later, a replaced one after ten', async () => {
      let now = NOW
      const provider = make({ webhookSecret: undefined, now: () => now })
      const replaced = `whsec_${Buffer.from('the next secret of 24 by').toString('base64')}`
      server.next({ status: 500, text: '' }, { json: { key: SECRET } }, { json: { key: replaced } })
      await provider.prepare()
      await provider.prepare()
      expect(server.requests).toHaveLength(1)
      now += 60_000
      await provider.prepare()
      expect(provider.readCallback(signed(body))).toMatchObject({ trust: 'signed' })
      now += 600_000
      await provider.prepare()
      expect(provider.readCallback(signed(body, { secret: replaced }))).toMatchObject({ trust: 'signed' })
      expect(server.requests).toHaveLength(3)
    })
  })
})
