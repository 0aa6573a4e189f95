import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readSettings } from '../../config/setting.ts'
import type { GenerationRequest, Snapshot } from '../provider.ts'
import { createProviderFetch } from '../provider-fetch.ts'
import { startFakeServer, type Answer, type FakeServer } from '../testing/fake-server.ts'
import { fakeSong, startFakeSuno } from '../testing/suno-server.ts'
import { callbackComplete, callbackError, record, songs } from './fixtures.ts'
import { createSuno } from './suno.ts'
import { sunoSettings } from './suno.config.ts'

const idea: GenerationRequest = { kind: 'song', prompt: 'a night bus through the rain' }
const signal = new AbortController().signal
const context = { attemptId: 'a1', callbackUrl: 'https://app.example.com/cb?token=t0', signal }

let server: FakeServer
let http: ReturnType<typeof createProviderFetch>
const suno = (more: Partial<Parameters<typeof createSuno>[0]> = {}) =>
  createSuno({ apiKey: 'k3y', baseUrl: server.url, fetch: http.fetch, ...more })

beforeEach(async () => {
  server = await startFakeServer()
  http = createProviderFetch()
})
afterEach(async () => {
  await http.close()
  await server.close()
})

const json = (code: unknown, data: unknown = null, msg = ''): Answer => ({ json: { code, msg, data } })

describe('what an answer to a submit means', () => {
  const rows: [string, Answer, Record<string, unknown>][] = [
    ['body 200 with a task', json(200, { taskId: 't' }), { kind: 'accepted', taskId: 't' }],
    ['body 200 with task_id', json(200, { task_id: 't' }), { kind: 'accepted', taskId: 't' }],
    ['body "200" as text', json('200', { taskId: 't' }), { kind: 'accepted', taskId: 't' }],
    ['a task without any code', { json: { data: { taskId: 't' } } }, { kind: 'accepted', taskId: 't' }],
    ['body 409 naming the task is adopted', json(409, { taskId: 't' }), { kind: 'accepted', taskId: 't' }],
    ['HTTP 409 naming the task', { ...json(409, { taskId: 't' }), status: 409 }, { kind: 'accepted', taskId: 't' }],
    ['body 500 that names a task began it', json(500, { taskId: 't' }), { kind: 'accepted', taskId: 't' }],
    ['body 200 without a task', json(200), { kind: 'unknown', error: { code: 'provider_malformed' } }],
    ['body 409 without a task', json(409), { kind: 'unknown', error: { code: 'provider_malformed' } }],
    ['body 400', json(400), { kind: 'refused', sent: true, error: { code: 'invalid_request' } }],
    ['body 400 about words', json(400, null, 'Sensitive word: x'), { error: { code: 'content_policy' } }],
    ['body 401', json(401), { kind: 'refused', error: { code: 'provider_auth' } }],
    ['body 404', json(404), { kind: 'refused', error: { code: 'invalid_request' } }],
    ['body 405', json(405), { kind: 'refused', error: { code: 'rate_limited' } }],
    ['body 413', json(413), { kind: 'refused', error: { code: 'invalid_request' } }],
    ['body 429 is no credits', json(429), { kind: 'refused', error: { code: 'no_credits' } }],
    ['body 429 without data', { json: { code: 429, msg: 'no' } }, { kind: 'refused', error: { code: 'no_credits' } }],
    ['body 430', json(430), { kind: 'refused', error: { code: 'rate_limited' } }],
    ['body 455', json(455), { kind: 'refused', error: { code: 'unavailable' } }],
    ['body 500 surely refused', json(500), { kind: 'refused', sent: true, error: { code: 'transient' } }],
    ['an unlisted 4xx', json(422), { kind: 'refused', error: { code: 'invalid_request' } }],
    ['an unlisted other code', json(599), { kind: 'unknown', error: { code: 'provider_malformed' } }],
    ['HTTP 401', { status: 401, text: '' }, { kind: 'refused', sent: true, error: { code: 'provider_auth' } }],
    ['HTTP 429 without a body', { status: 429, text: '' }, { kind: 'refused', error: { code: 'rate_limited' } }],
    ['HTTP 429 with body 429', { ...json(429), status: 429 }, { kind: 'refused', error: { code: 'no_credits' } }],
    ['HTTP 503', { status: 503, text: '' }, { kind: 'refused', error: { code: 'unavailable' } }],
    ['HTTP 503 with body 455', { ...json(455), status: 503 }, { kind: 'refused', error: { code: 'unavailable' } }],
    ['HTTP 500 with body 500', { ...json(500), status: 500 }, { kind: 'unknown', error: { code: 'transient' } }],
    ['HTTP 502', { status: 502, text: '<html>' }, { kind: 'unknown', error: { code: 'transient' } }],
    ['HTTP 504', { status: 504, text: '' }, { kind: 'unknown', error: { code: 'transient' } }],
    ['HTTP 408', { status: 408, text: '' }, { kind: 'unknown' }],
    ['HTTP 200 with a page', { text: '<html>' }, { kind: 'unknown', error: { code: 'provider_malformed' } }],
    ['a redirect', { status: 302, headers: { location: '/elsewhere' } }, { kind: 'unknown' }],
    ['a reset', { reset: true }, { kind: 'unknown', error: { code: 'transient' } }],
  ]
  it.each(rows)('%s', async (_, answer, expected) => {
    server.next(answer)
    expect(await suno().submit(idea, context)).toMatchObject(expected)
    expect(server.requests).toHaveLength(1)
  })

  it('a time-out after the request was written is unknown', async () => {
    server.next({ hang: true })
    expect(await suno({ submitTimeoutMs: 60 }).submit(idea, context)).toMatchObject({ kind: 'unknown' })
  })

  it("the provider's words reach the operator", async () => {
    server.next(json(429, null, 'The current credits are insufficient. Please top up.'))
    const outcome = await suno().submit(idea, context)
    expect(outcome).toMatchObject({ error: { detail: expect.stringContaining('credits are insufficient') } })
  })
})

describe('what is sent', () => {
  const sent = async (request: GenerationRequest, callbackUrl: string | null = context.callbackUrl) => {
    server.next(json(200, { taskId: 't' }))
    expect(suno().validate(request)).toEqual([])
    await suno().submit(request, { ...context, callbackUrl })
    return server.requests.at(-1)!.json
  }
  const common = { model: 'V6', callBackUrl: context.callbackUrl }

  it('an idea is one prompt and nothing else', async () => {
    expect(await sent(idea)).toEqual({ ...common, customMode: false, instrumental: false, prompt: idea.prompt })
  })
  it('a style chosen beside an idea is not lost', async () => {
    const body = await sent({ ...idea, style: 'indie folk', instrumental: true })
    expect(body.prompt).toBe(`${idea.prompt}\nStyle: indie folk`)
  })
  it('lyrics make it custom: the prompt sent is exactly the lyrics', async () => {
    const request = { ...idea, lyrics: '[Verse]\nRain', style: 'indie folk', title: 'Night Bus', model: 'V5' }
    const options = { vocalGender: 'f', styleWeight: 0.654 }
    expect(await sent({ ...request, options })).toEqual({
      callBackUrl: context.callbackUrl, model: 'V5', customMode: true, instrumental: false,
      prompt: '[Verse]\nRain', style: 'indie folk', title: 'Night Bus', vocalGender: 'f', styleWeight: 0.65,
    })
  })
  it('an instrumental with style and title is custom, without a prompt', async () => {
    const request = { ...idea, instrumental: true, style: 'ambient', title: 'Dusk' }
    const { style, title } = request
    expect(await sent(request)).toEqual({ ...common, customMode: true, instrumental: true, style, title })
  })
  it('without an own address a filler is sent, since an empty one is refused', async () => {
    expect((await sent(idea, null)).callBackUrl).toBe('https://reprise.invalid/no-callback')
  })
})

describe('validation names each wrong field before money is spent', () => {
  const custom = { ...idea, lyrics: 'la', style: 'folk', title: 'T' }
  const rows: [string, GenerationRequest, string, string][] = [
    ['another kind', { ...idea, kind: 'video' }, 'kind', 'one_of'],
    ['no prompt', { kind: 'song', prompt: '  ' }, 'prompt', 'required'],
    ['an idea over 500', { ...idea, prompt: 'x'.repeat(501) }, 'prompt', 'max_length'],
    ['idea and style over 500', { ...idea, prompt: 'x'.repeat(490), style: 'indie folk' }, 'prompt', 'max_length'],
    ['an unknown model', { ...idea, model: 'V99' }, 'model', 'one_of'],
    ['a retired model', { ...idea, model: 'V3_5' }, 'model', 'retired'],
    ['lyrics without title', { ...custom, title: undefined }, 'title', 'required'],
    ['lyrics without style or prompt', { ...custom, prompt: '', style: '' }, 'style', 'required'],
    ['a title over 80', { ...custom, title: 'x'.repeat(81) }, 'title', 'max_length'],
    ['lyrics over 5000', { ...custom, lyrics: 'x'.repeat(5001) }, 'lyrics', 'max_length'],
    ['lyrics over 3000 on V4', { ...custom, model: 'V4', lyrics: 'x'.repeat(3001) }, 'lyrics', 'max_length'],
    ['style over 200 on V4', { ...custom, model: 'V4', style: 'x'.repeat(201) }, 'style', 'max_length'],
    ['style over 1000', { ...custom, style: 'x'.repeat(1001) }, 'style', 'max_length'],
    ['a prompt too long as style', { ...custom, style: undefined, prompt: 'x'.repeat(1001) }, 'prompt', 'max_length'],
    ['lyrics for an instrumental', { ...custom, instrumental: true }, 'lyrics', 'conflict'],
    ['an unknown option', { ...custom, options: { tempo: 90 } }, 'options.tempo', 'unknown'],
    ['an inherited option name', { ...custom, options: { toString: 1 } }, 'options.toString', 'unknown'],
    ['a weight over 1', { ...custom, options: { audioWeight: 1.5 } }, 'options.audioWeight', 'invalid'],
    ['an option beside an idea', { ...idea, options: { vocalGender: 'm' } }, 'options.vocalGender', 'conflict'],
    ['a duration on V5', { ...custom, model: 'V5', options: { duration: 60 } }, 'options.duration', 'conflict'],
  ]
  it.each(rows)('%s', (_, request, path, rule) => {
    expect(suno().validate(request)).toEqual([{ path, rule, message: expect.stringMatching(/\S+ \S+.*\.$/) }])
  })
  it('limits themselves are allowed', () => {
    expect(suno().validate({ ...idea, prompt: 'x'.repeat(500) })).toEqual([])
    const most = { lyrics: 'x'.repeat(5000), style: 'x'.repeat(1000), title: 'x'.repeat(80) }
    expect(suno().validate({ ...custom, ...most, options: { duration: 360 } })).toEqual([])
  })
})

describe('what a status means', () => {
  const look = async (body: unknown): Promise<Snapshot> => {
    server.next({ json: body })
    const outcome = await suno().check('5c79be8e', signal)
    if (outcome.kind !== 'snapshot') throw new Error(JSON.stringify(outcome))
    return outcome.snapshot
  }
  const [first, second] = songs()
  const stream = { ...second!, audioUrl: null, duration: 0 }

  it.each([
    ['PENDING', undefined, 'queued'],
    ['GENERATING', null, 'running'],
    ['TEXT_SUCCESS', [], 'running'],
    ['TEXT_SUCCESS', [{ id: 'x', audioUrl: '', streamAudioUrl: '' }], 'running'],
    ['FIRST_SUCCESS', null, 'running'],
    ['FIRST_SUCCESS', [first, stream], 'partial'],
    ['SUCCESS', [first, second], 'succeeded'],
    ['success', [first, second], 'succeeded'],
    ['SUCCESS', [first], 'succeeded'],
    ['SUCCESS', [first, stream], 'succeeded'],
    ['SUCCESS', null, 'succeeded'],
    ['SUCCESS', [], 'succeeded'],
    ['SUCCESS', [stream], 'succeeded'],
    ['CALLBACK_EXCEPTION', [first, second], 'succeeded'],
    ['CALLBACK_EXCEPTION', [first], 'partial'],
    ['CALLBACK_EXCEPTION', null, 'running'],
    ['POLISHING', null, 'running'],
    ['POLISHING', [first], 'partial'],
    ['toString', null, 'running'],
  ])('%s with %j is %3$s', async (status, data, expected) => {
    expect((await look(record(status, data))).status).toBe(expected)
  })

  it.each([
    ['CREATE_TASK_FAILED', 'provider_failed'],
    ['GENERATE_AUDIO_FAILED', 'provider_failed'],
    ['FAILED', 'provider_failed'],
    ['SENSITIVE_WORD_ERROR', 'content_policy'],
  ])('%s is a failure of class %s with their words', async (status, code) => {
    const more = { errorCode: 500, errorMessage: 'Internal Error, Please try again later.' }
    const snapshot = await look(record(status, null, more))
    expect(snapshot).toMatchObject({ status: 'failed', error: { code } })
    expect(snapshot.error!.detail).toContain('500 Internal')
  })

  it('success without a file is success with nothing, which the engine asks again and then ends', async () => {
    expect(await look(record('SUCCESS', null))).toMatchObject({ status: 'succeeded', results: [] })
  })

  it('a failed task keeps the song that was finished before', async () => {
    expect((await look(record('GENERATE_AUDIO_FAILED', [first]))).results[0]!.final).toEqual({ url: first!.audioUrl })
  })

  it('the first song is final while the second still streams', async () => {
    const { results } = await look(record('FIRST_SUCCESS', [first, stream]))
    expect(results.map((song) => song.final)).toEqual([{ url: first!.audioUrl }, null])
    expect(results[1]).toMatchObject({ previewUrl: second!.streamAudioUrl, durationMs: null })
  })

  it('a stream named as the file is not final', async () => {
    const disguised = { ...first!, audioUrl: first!.streamAudioUrl }
    expect((await look(record('FIRST_SUCCESS', [disguised]))).results[0]!.final).toBeNull()
  })

  it('addresses that are none are not taken', async () => {
    const odd = { ...first!, audioUrl: 'javascript:alert(1)', imageUrl: '/relative.jpg' }
    expect((await look(record('FIRST_SUCCESS', [odd]))).results[0]).toMatchObject({ final: null, coverUrl: null })
  })

  it('snake_case and response.data are read alike', async () => {
    const items = callbackComplete().data.data
    const body = { code: 200, data: { task_id: 'x', status: 'SUCCESS', response: { data: items } } }
    const [song] = (await look(body)).results
    expect(song).toEqual({
      providerId: first!.id,
      final: { url: first!.audioUrl },
      previewUrl: first!.streamAudioUrl,
      coverUrl: first!.imageUrl,
      title: 'Night Bus', tags: 'indie folk', lyrics: first!.prompt, durationMs: 198_440,
    })
  })

  it('a field of the wrong type costs that field only', async () => {
    const odd = { ...first!, title: { a: 1 }, tags: 7, duration: 'soon' }
    const [song] = (await look(record('SUCCESS', [null, 'x', odd]))).results
    expect(song).toMatchObject({ final: { url: first!.audioUrl }, title: null, tags: '7', durationMs: null })
  })

  it('our callback token does not come back through the echoed parameters', async () => {
    expect(JSON.stringify(await look(record('PENDING')))).not.toContain('c4llback')
  })

  it('a record that is not there or a refused question says nothing about the task', async () => {
    server.next(json(200, null), json(401), json(455), json(200, {}))
    const codes = []
    for (let i = 0; i < 4; i++) codes.push(await suno().check('gone', signal))
    expect(codes).toMatchObject(
      ['provider_task_gone', 'provider_auth', 'unavailable', 'provider_malformed'].map((code) => ({ error: { code } })),
    )
    expect(codes.every((outcome) => outcome.kind === 'unreachable')).toBe(true)
  })

  it('a task id cannot leave its place in the address', async () => {
    server.next({ json: record('PENDING') })
    await suno().check('a&b=../c', signal)
    expect(server.requests[0]!.query.get('taskId')).toBe('a&b=../c')
  })
})

describe('callbacks', () => {
  const read = (body: unknown) => suno().readCallback({ body: Buffer.from(JSON.stringify(body)), headers: {}, now: 0 })

  it('the documented body', () => {
    const reading = read(callbackComplete())
    expect(reading).toMatchObject({ taskId: '2fac0001', trust: 'none', snapshot: { status: 'succeeded' } })
    expect(reading!.snapshot!.results[0]).toMatchObject({ durationMs: 198_440, title: 'Night Bus' })
  })
  it.each([
    ['data.taskId', { code: 200, data: { callbackType: 'text', taskId: 't9', data: [] } }],
    ['task_id at the top', { code: 200, task_id: 't9', data: { callbackType: 'text', data: [] } }],
    ['taskId at the top, no envelope', { taskId: 't9', callbackType: 'text' }],
    ['sunoData', { code: 200, data: { taskId: 't9', sunoData: songs() } }],
    ['the same names as record-info', { code: 200, data: { taskId: 't9', response: { sunoData: songs() } } }],
  ])('the task is found in %s', (_, body) => {
    expect(read(body)).toMatchObject({ taskId: 't9', snapshot: { status: expect.stringMatching(/running|partial/) } })
  })
  it('songs without a type do not claim to be complete', () => {
    expect(read({ code: 200, data: { taskId: 't9', data: songs() } })!.snapshot!.status).toBe('partial')
  })
  it('an error names its class', () => {
    expect(read(callbackError())).toMatchObject({ snapshot: { status: 'failed', error: { code: 'content_policy' } } })
    const failed = { ...callbackError(), code: 531 }
    expect(read(failed)).toMatchObject({ snapshot: { status: 'failed', error: { code: 'provider_failed' } } })
  })
  it('an unknown type still wakes its task', () => {
    expect(read({ code: 200, data: { callbackType: 'polished', task_id: 't9', data: null } })).toEqual({
      taskId: 't9', trust: 'none', snapshot: null,
    })
  })
  it('complete without any song is empty, not a success', () => {
    const body = { code: 200, data: { callbackType: 'complete', task_id: 't9', data: [] } }
    expect(read(body)).toMatchObject({ snapshot: { status: 'succeeded' } })
  })
  it('what is not understood is null', () => {
    for (const body of [{ hello: 1 }, { code: 500 }, { data: 'x' }, 'x', [[]]]) expect(read(body)).toBeNull()
  })
})

describe('credits', () => {
  it.each([
    [json(200, 7), { amount: 7, unit: 'credits' }],
    [json(200, 0), { amount: 0, unit: 'credits' }],
    [json(200, '7'), null],
    [json(200, 1.5), null],
    [json(200, null), null],
    [json(401, 0), null],
    [{ status: 500, json: { code: 200, data: 0 } }, null],
    [{ text: '0' }, null],
    [{ reset: true }, null],
  ] as [Answer, unknown][])('%j → %j', async (answer, expected) => {
    server.next(answer)
    expect(await suno().credits!(signal)).toEqual(expected)
  })
})

describe('configuration', () => {
  it('reads rate, model and address, and names a wrong rate', () => {
    const values = readSettings(sunoSettings, { SUNO_RATE: '10000/1s', SUNO_BASE_URL: 'http://127.0.0.1:9/' })
    expect(values).toMatchObject({
      sunoRate: { count: 10_000, windowMs: 1_000 },
      sunoModel: 'V6',
      sunoBaseUrl: 'http://127.0.0.1:9',
      sunoApiKey: undefined,
    })
    expect(() => readSettings(sunoSettings, { SUNO_RATE: '0/10s' })).toThrow('SUNO_RATE: expected a rate like 20/10s')
  })
  it('a default model newer than our table is offered, with the strictest limits', () => {
    const provider = suno({ model: 'V7' })
    expect(provider.descriptor.models[0]).toMatchObject({ id: 'V7', status: 'current' })
    expect(provider.validate({ ...idea, lyrics: 'x'.repeat(3001), title: 'T' })).toMatchObject([{ path: 'lyrics' }])
  })
  it('a placeholder key is not cut out of addresses', async () => {
    server.next({ json: record('SUCCESS', [{ ...songs()[0], audioUrl: 'http://127.0.0.1/demo/1.mp3' }]) })
    const outcome = await suno({ apiKey: 'demo' }).check('t', signal)
    expect(outcome).toMatchObject({ snapshot: { results: [{ final: { url: 'http://127.0.0.1/demo/1.mp3' } }] } })
  })
  it('polling times shrink by timeScale, the account never shows the key', () => {
    const provider = suno({ timeScale: 0.01 })
    expect(provider.descriptor).toMatchObject({ firstPollMs: 300, pollMs: 150, pollMaxMs: 450 })
    expect(provider.account).toMatch(/^suno\/[0-9a-f]{16}$/)
  })
})

it('a whole song with the in-memory endpoint that engine tests use', async () => {
  const fake = await startFakeSuno()
  try {
    const provider = createSuno({ apiKey: 'k3y', baseUrl: fake.url, fetch: http.fetch })
    const accepted = await provider.submit(idea, context)
    if (accepted.kind !== 'accepted') throw new Error(accepted.kind)
    const status = async () => {
      const outcome = await provider.check(accepted.taskId, signal)
      return outcome.kind === 'snapshot' ? outcome.snapshot.status : outcome.error.code
    }
    expect(await status()).toBe('queued')
    fake.set(accepted.taskId, 'FIRST_SUCCESS', [fakeSong(1)])
    expect(await status()).toBe('partial')
    fake.set(accepted.taskId, 'SUCCESS', [fakeSong(1), fakeSong(2)])
    expect(await status()).toBe('succeeded')
    const body = Buffer.from(JSON.stringify(fake.callbackBody(accepted.taskId, 'complete')))
    expect(provider.readCallback({ body, headers: {}, now: 0 })).toMatchObject({
      taskId: accepted.taskId,
      snapshot: { status: 'succeeded', results: [{ providerId: 'audio-1' }, { providerId: 'audio-2' }] },
    })
    expect(await provider.credits!(signal)).toEqual({ amount: 100, unit: 'credits' })
  } finally {
    await fake.close()
  }
})
