import fc from 'fast-check'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signToken } from '../server/src/http-kit/testing.ts'
import { systemClock } from '../server/src/kernel/clock.ts'
import { JWT_SECRET, SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

const song = { provider: 'suno', kind: 'song', prompt: 'a quiet waltz' }
const channel = { name: 'Waltzes', musicClipsSettings: { sunoPrompt: 'a quiet waltz' } }
const grant = { userId: 'somebody', amount: 5, reason: 'test' }
const ID = '00000000-0000-4000-8000-000000000000'

const NOBODY = '00000000-0000-4000-8000-000000000000'

describe('bad input: a named error, nothing written, nothing charged', () => {
  let reprise: Harness
  let user: TestUser
  let songId: string
  let track: any
  let channelId: string
  let before: string

  beforeAll(async () => {
    reprise = await startHarness()
    user = await reprise.user('somebody careless', 10_000)
    songId = (await reprise.call('POST', '/api/generations', { token: user.token, body: song })).body.id
    track = (await reprise.settled(songId, user)).tracks[0]
    channelId = (await reprise.call('POST', '/api/channels', { token: user.token, body: channel })).body.id
    // Covers are saved on their own.
    await reprise.settled(songId, user, (one) => one.tracks.every((each: any) => each.coverUrl))
    await reprise.call('GET', '/api/balance', { token: SERVICE_KEY })
    before = await everything()
  })
  afterAll(() => reprise.close())

  /** Every row count of ours and of the compatibility schema, and every balance. */
  async function everything(): Promise<string> {
    const { rows: tables } = await reprise.database.db.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('reprise', 'public', 'auth', 'storage') order by 1`)
    const counts = await reprise.database.db.query(
      `select jsonb_object_agg(name, n) as counts, (select jsonb_agg(w order by w.user_id) from reprise.wallets w) as wallets,
         (select jsonb_agg(c order by c.id) from reprise.channels c) as channels
       from (${tables.map(({ name }) => `select '${name}' as name, count(*) as n from ${name}`).join(' union all ')}) t`)
    return JSON.stringify(counts.rows[0])
  }

  interface Refusal { status: number; code: string; path?: string }

  async function refused(method: string, path: string, options: { token?: string | null; body?: unknown; headers?: Record<string, string> }, want: Refusal) {
    const { token = user.token, ...rest } = options
    const answer = await reprise.call(method, path, { ...rest, ...(token ? { token } : {}) })
    expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: want.status, body: { code: want.code, status: want.status } })
    expect(answer.headers.get('content-type')).toBe('application/problem+json')
    expect(answer.body.detail).toMatch(/\w/)
    expect(answer.body.requestId).toMatch(/^req_/)
    if (want.path !== undefined) {
      expect(answer.body.errors.map((error: any) => error.path), JSON.stringify(answer.body.errors)).toContain(want.path)
      for (const error of answer.body.errors) expect(error.message).toMatch(/\w/)
    }
    expect(await everything()).toBe(before)
    return answer
  }

  const invalid = (path: string): Refusal => ({ status: 422, code: 'validation_failed', path })
  const malformed: Refusal = { status: 400, code: 'malformed_body' }
  const missing: Refusal = { status: 404, code: 'not_found' }

  describe('POST /api/generations', () => {
    const cases: [string, object | undefined, Refusal][] = [
      ['nothing', {}, invalid('prompt')],
      ['no provider', { ...song, provider: undefined }, invalid('provider')],
      ['an empty prompt', { ...song, prompt: '' }, invalid('prompt')],
      ['a prompt of spaces', { ...song, prompt: ' \n\t ' }, invalid('prompt')],
      ['a prompt that is a number', { ...song, prompt: 7 }, invalid('prompt')],
      ['a prompt that is null', { ...song, prompt: null }, invalid('prompt')],
      ['a prompt longer than anything', { ...song, prompt: 'x'.repeat(5_001) }, invalid('prompt')],
      ['a prompt longer than the provider takes', { ...song, prompt: 'x'.repeat(501) }, invalid('prompt')],
      ['a title that is too long', { ...song, title: 'x'.repeat(201) }, invalid('title')],
      ['a title longer than the provider takes', { ...song, title: 'x'.repeat(81) }, invalid('title')],
      ['a style that is too long', { ...song, style: 'x'.repeat(1_001) }, invalid('style')],
      ['lyrics that are too long', { ...song, title: 't', style: 's', lyrics: 'x'.repeat(5_001) }, invalid('lyrics')],
      ['lyrics without a title', { ...song, lyrics: 'la' }, invalid('title')],
      ['an instrumental with lyrics', { ...song, title: 't', style: 's', lyrics: 'la', instrumental: true }, invalid('lyrics')],
      ['instrumental that is a text', { ...song, instrumental: 'yes' }, invalid('instrumental')],
      ['an unknown kind', { ...song, kind: 'poem' }, invalid('kind')],
      ['a kind that the provider does not make', { ...song, kind: 'image' }, invalid('kind')],
      ['an unknown model', { ...song, model: 'V0' }, invalid('model')],
      ['a model that is a list', { ...song, model: ['V5'] }, invalid('model')],
      ['a model name that is too long', { ...song, model: 'V'.repeat(101) }, invalid('model')],
      ['an unknown provider', { ...song, provider: 'nobody' }, { status: 503, code: 'provider_not_configured' }],
      ['a provider named like a property of objects', { ...song, provider: '__proto__' }, { status: 503, code: 'provider_not_configured' }],
      ['an unknown option', { ...song, options: { shout: true } }, invalid('options.shout')],
      ['an option out of its range', { ...song, title: 't', style: 's', lyrics: 'la', options: { styleWeight: 7 } }, invalid('options.styleWeight')],
      ['an option beyond all numbers', { ...song, title: 't', style: 's', lyrics: 'la', options: { duration: 1e308 } }, invalid('options.duration')],
      ['options that are a list', { ...song, options: [1] }, invalid('options')],
      ['a NUL in the prompt', { ...song, prompt: 'a\0b' }, invalid('prompt')],
      ['a NUL deep inside', { ...song, options: { a: [{ b: '\0' }] } }, invalid('options.a.0.b')],
      ['a NUL in a name', { ...song, options: { 'a\0': 1 } }, invalid('options')],
      ['half of a surrogate pair', { ...song, prompt: 'a\ud800b' }, invalid('prompt')],
      ['a list instead of an object', [song], invalid('')],
      ['null', undefined, malformed],
    ]
    it.each(cases)('%s', async (_name, body, want) => {
      await refused('POST', '/api/generations', { body: body ?? '' }, want)
    })

    it('an own property __proto__ changes nothing and nobody', async () => {
      await refused('POST', '/api/generations', { body: '{"provider":"suno","kind":"song","__proto__":{"prompt":"x"},"constructor":{"prototype":{"prompt":"y"}}}' }, invalid('prompt'))
      expect(({} as any).prompt).toBeUndefined()
      await refused('POST', '/api/generations', { body: '{"provider":"suno","kind":"song","prompt":"x","options":{"__proto__":{"a":1},"shout":1}}' }, invalid('options.shout'))
    })

    it('too few tokens: says how many are needed and had', async () => {
      const poor = await reprise.user('poor', 0)
      await reprise.call('GET', '/api/session', { token: poor.token })
      before = await everything()
      const answer = await refused('POST', '/api/generations', { token: poor.token, body: song }, { status: 402, code: 'insufficient_tokens' })
      expect(answer.body).toMatchObject({ required: 10, available: 0, charged: false })
      expect((await reprise.call('GET', '/api/ledger', { token: poor.token })).body.items).toEqual([])
    })

    it.each([
      ['empty', ''], ['too long', 'k'.repeat(201)],
    ])('an Idempotency-Key that is %s', async (_name, key) => {
      for (const path of ['/api/generations', `/api/generations/${songId}/regenerate`]) {
        await refused('POST', path, { body: song, headers: { 'idempotency-key': key } }, invalid('idempotency-key'))
      }
      await refused('POST', '/api/ledger/grants', { token: SERVICE_KEY, body: grant, headers: { 'idempotency-key': key } }, invalid('idempotency-key'))
    })
  })

  describe('bodies of every endpoint that takes one', () => {
    const endpoints = (): [string, string, string][] => [
      ['POST', '/api/generations', user.token], ['POST', '/api/channels', user.token], ['PUT', `/api/channels/${channelId}`, user.token],
      ['PATCH', `/api/channels/${channelId}`, user.token], ['POST', '/api/ledger/grants', SERVICE_KEY], ['POST', '/api/session', user.token],
      ['POST', '/api/ledger/adjustments', SERVICE_KEY], ['PUT', '/api/prices/song', SERVICE_KEY], ['PUT', '/api/prices/song/suno', SERVICE_KEY],
      ['PUT', '/api/prices/song/suno/V5', SERVICE_KEY], ['POST', '/api/notifications/read', user.token], ['PUT', '/api/notification-settings', user.token],
      ['POST', `/api/image-jobs/${NOBODY}/cards/0/edit`, user.token],
    ]
    /** The path as the document has it. */
    const patternOf = (path: string) => path.replace(channelId, '{id}').replace(`${NOBODY}/cards/0`, '{id}/cards/{index}')
      .replace('/song/suno/V5', '/{kind}/{provider}/{model}').replace('/song/suno', '/{kind}/{provider}').replace('/prices/song', '/prices/{kind}')
    const text = 'application/json'

    it('none of them is missing here', async () => {
      const { body } = await reprise.call('GET', '/openapi.json')
      const taking = Object.entries<any>(body.paths).flatMap(([path, operations]) =>
        Object.entries<any>(operations).filter(([, operation]) => operation.requestBody).map(([method]) => `${method.toUpperCase()} ${path}`))
      expect(endpoints().map(([method, path]) => `${method} ${patternOf(path)}`).sort()).toEqual(taking.sort())
    })

    it.each([
      ['broken JSON', '{"name": ', text, malformed], ['no body', '', text, malformed], ['only a word', 'song', text, malformed],
      ['two values', '{} {}', text, malformed], ['a text', '"{}"', text, { status: 422, code: 'validation_failed' }],
      ['null', 'null', text, { status: 422, code: 'validation_failed' }], ['a number', '1e999', text, { status: 422, code: 'validation_failed' }],
      ['a list', '[]', text, { status: 422, code: 'validation_failed' }],
      ['JSON nested 40,000 deep', `{"options":${'['.repeat(40_000)}${']'.repeat(40_000)}}`, text, malformed],
      ['objects nested 10,000 deep', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, text, malformed],
      ['more than fits', `{"prompt":"${'x'.repeat(200_000)}"}`, text, { status: 413, code: 'payload_too_large' }],
      ['XML', '<song/>', 'application/xml', { status: 415, code: 'unsupported_media_type' }],
      ['a form', 'provider=suno&kind=song&prompt=x', 'application/x-www-form-urlencoded', { status: 415, code: 'unsupported_media_type' }],
      ['JSON called text', JSON.stringify(song), 'text/plain', { status: 415, code: 'unsupported_media_type' }],
    ] as [string, string, string, Refusal][])('%s', async (_name, body, type, want) => {
      for (const [method, path, token] of endpoints()) await refused(method, path, { token, body, headers: { 'content-type': type } }, want)
    })

    it('a body without a type', async () => {
      for (const [method, path, token] of endpoints()) {
        const response = await fetch(reprise.url + path, { method, body: Buffer.from(JSON.stringify(song)), headers: { authorization: `Bearer ${token}` } })
        expect([response.status, (await response.json() as any).code], path).toEqual([415, 'unsupported_media_type'])
      }
      expect(await everything()).toBe(before)
    })
  })

  describe('channels', () => {
    const cases: [string, object, string][] = [
      ['no name', { musicClipsSettings: {} }, 'name'],
      ['a name of spaces', { ...channel, name: '  ' }, 'name'],
      ['a name that is too long', { ...channel, name: 'x'.repeat(201) }, 'name'],
      ['a NUL in the name', { ...channel, name: 'a\0' }, 'name'],
      ['no such time zone', { ...channel, timezone: 'Moon/Sea' }, 'timezone'],
      ['a prompt that is a number', { ...channel, musicClipsSettings: { sunoPrompt: 7 } }, 'musicClipsSettings.sunoPrompt'],
      ['a prompt that is too long', { ...channel, musicClipsSettings: { sunoPrompt: 'x'.repeat(5_001) } }, 'musicClipsSettings.sunoPrompt'],
      ['a duration below zero', { ...channel, musicClipsSettings: { targetDurationSec: -1 } }, 'musicClipsSettings.targetDurationSec'],
      ['a duration beyond all numbers', { ...channel, musicClipsSettings: { targetDurationSec: 1e300 } }, 'musicClipsSettings.targetDurationSec'],
      ['a clip of half a second', { ...channel, musicClipsSettings: { clipSec: 0.5 } }, 'musicClipsSettings.clipSec'],
      ['an unknown mode', { ...channel, musicClipsSettings: { promptVariantMode: 'wild' } }, 'musicClipsSettings.promptVariantMode'],
      ['too many variants', { ...channel, musicClipsSettings: { promptVariants: Array.from({ length: 101 }, () => 'x') } }, 'musicClipsSettings.promptVariants'],
      ['a NUL in a setting that we do not know', { ...channel, musicClipsSettings: { notes: ['a\0'] } }, 'musicClipsSettings.notes.0'],
    ]
    it.each(cases)('%s', async (_name, body, path) => {
      await refused('POST', '/api/channels', { body }, invalid(path))
      await refused('PUT', `/api/channels/${channelId}`, { body }, invalid(path))
      if (path !== 'name' || 'name' in body) await refused('PATCH', `/api/channels/${channelId}`, { body }, invalid(path))
    })
    it.each(['a b', 'a%00b', '%2e%2e%2f', 'x'.repeat(129), "'; drop table x; --"])('an id such as %j is nobody’s', async (id) => {
      for (const method of ['GET', 'DELETE']) await refused(method, `/api/channels/${encodeURI(id)}`, {}, missing)
      await refused('PUT', `/api/channels/${encodeURI(id)}`, { body: channel }, missing)
    })
  })

  describe('grants', () => {
    it.each([
      ['no amount', { ...grant, amount: undefined }, 'amount'], ['nothing', { ...grant, amount: 0 }, 'amount'], ['less than nothing', { ...grant, amount: -5 }, 'amount'],
      ['half a token', { ...grant, amount: 0.5 }, 'amount'], ['too much', { ...grant, amount: 1_000_000_001 }, 'amount'], ['a text', { ...grant, amount: '5' }, 'amount'],
      ['nobody', { ...grant, userId: '' }, 'userId'], ['a name that is too long', { ...grant, userId: 'x'.repeat(201) }, 'userId'],
      ['a NUL in the name', { ...grant, userId: 'a\0' }, 'userId'], ['no reason', { ...grant, reason: ' ' }, 'reason'],
    ])('%s', (_name, body, path) => refused('POST', '/api/ledger/grants', { token: SERVICE_KEY, body }, invalid(path)).then(() => undefined))
  })

  describe('addresses', () => {
    it.each(['1', 'not-a-uuid', ID.slice(1), `${ID}0`, "1' or '1'='1", '%00', '..%2f..%2fetc', 'null'])('an id such as %j is nobody’s', async (id) => {
      for (const path of [`/api/generations/${id}`, `/api/generations/${id}/events`, `/api/tracks/${id}`, `/api/tracks/${id}/audio`]) await refused('GET', path, {}, missing)
      for (const deed of ['cancel', 'recheck', 'redownload', 'regenerate']) await refused('POST', `/api/generations/${id}/${deed}`, {}, missing)
      await refused('POST', `/api/tracks/${id}/retry-download`, {}, missing)
      await refused('DELETE', `/api/tracks/${id}`, {}, missing)
    })

    it.each([
      '/storage/v1/object/public/tracks-audio/%00', '/storage/v1/object/public/tracks-audio/..%2f..%2fetc%2fpasswd', '/storage/v1/object/public/reprise/x',
      '/storage/v1/object/public/generated/x', '/storage/v1/object/public/tracks-audio/', '/storage/v1/object/public/tracks-audio/%ff%fe', '/storage/v1/object/public/%00/x',
      '/storage/v1/object/sign/tracks-audio/x', '/storage/v1/object/sign/tracks-audio/x?expires=abc&signature=%00', '/storage/v1/object/sign/tracks-audio/%00?expires=1&signature=x',
      '/storage/v1/object/sign/tracks-audio/x?expires=99999999999&signature=AAAA', '/api', '/api/', '/api/nothing', '/%00', '/api/%', '/api/tracks/%E0%A4%A',
    ])('%s is not there', async (path) => void (await refused('GET', path, {}, missing)))

    it.each([
      ['PUT', '/api/generations'], ['DELETE', '/api/generations'], ['PATCH', `/api/generations/${ID}`], ['GET', `/api/generations/${ID}/cancel`], ['POST', '/api/balance'],
      ['DELETE', '/api/ledger'], ['GET', '/api/ledger/grants'], ['POST', '/api/events'], ['PUT', '/api/session'], ['GET', '/api/webhooks/suno/music'],
      ['POST', '/storage/v1/object/public/tracks-audio/x'], ['DELETE', '/storage/v1/object/public/tracks-audio/x'], ['POST', '/openapi.json'],
    ])('%s %s is no method of it, and Allow says which are', async (method, path) => {
      const answer = await refused(method, path, {}, { status: 405, code: 'method_not_allowed' })
      expect(answer.headers.get('allow')).toMatch(/GET|POST/)
      expect(answer.headers.get('allow')!.split(', ')).not.toContain(method)
    })
  })

  describe('lists and streams', () => {
    const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const lists = () => ['/api/generations', '/api/tracks', '/api/ledger', '/api/channels', `/api/generations/${songId}/events`]

    it.each(['0', '-1', '101', '1.5', 'ten', '', '1e9', 'NaN', '%00'])('limit=%s', async (limit) => {
      for (const path of lists()) await refused('GET', `${path}?limit=${limit}`, {}, invalid('limit'))
    })
    it.each([
      'x', '', '%00', 'e30', '!!!!', encoded([]), encoded({}), encoded(null), encoded('now'), encoded([1, 2]), encoded(['2026-01-01T00:00:00Z', 7]),
      encoded(['0000-01-01T00:00:00Z', ID]), encoded(['2026-02-31T00:00:00Z', ID]), encoded(['2026-01-01T00:00:00Z', 'a\0b']), encoded(1e300), encoded(0.5), encoded([[['x']]]),
    ])('cursor=%s', async (cursor) => {
      for (const path of lists()) await refused('GET', `${path}?cursor=${cursor}`, {}, invalid('cursor'))
    })
    it('a cursor that is too long', async () => {
      for (const path of lists()) await refused('GET', `${path}?cursor=${'x'.repeat(501)}`, {}, invalid('cursor'))
    })
    it.each(['x', '1', '1.', '.1', '-1.5', '1.2.3', '1e5.1', '99999999999999999999.1', '18446744073709551616.0', `1.${'9'.repeat(17)}`, "1.1'"])('Last-Event-ID: %s', async (id) => {
      await refused('GET', '/api/events', { headers: { 'last-event-id': id } }, invalid('Last-Event-ID'))
      await refused('GET', `/api/events?lastEventId=${encodeURIComponent(id)}`, {}, invalid('Last-Event-ID'))
    })
  })

  it.each([
    'bytes=abc', 'bytes=-', 'bytes=--5', 'bytes=5-1', 'chars=0-5', 'bytes=0-1,3-4', `bytes=${'0-1,'.repeat(500)}0-1`, 'bytes=0x10-', 'bytes=1e3-', `bytes=0-${'9'.repeat(400)}`, '=', 'bytes',
  ])('Range: %s gives the file or a part of it, never an error of ours', async (range) => {
    for (const url of [track.audioUrl, `${reprise.url}/api/tracks/${track.id}/audio`]) {
      const response = await fetch(url, { headers: { range, authorization: `Bearer ${user.token}` } })
      expect([200, 206]).toContain(response.status)
      expect((await response.arrayBuffer()).byteLength).toBe(track.bytes)
    }
  })
  it.each(['bytes=99999999999-', `bytes=${'9'.repeat(400)}-`, 'bytes=-0'])('Range: %s asks for what is not there: 416', async (range) => {
    for (const url of [track.audioUrl, `${reprise.url}/api/tracks/${track.id}/audio`]) {
      const response = await fetch(url, { headers: { range, authorization: `Bearer ${user.token}` } })
      expect([response.status, response.headers.get('content-range')]).toEqual([416, `bytes */${track.bytes}`])
    }
  })

  describe('credentials', () => {
    it.each([['no scheme', 'abc'], ['Basic', 'Basic dTpw'], ['two tokens', 'Bearer a b'], ['nothing', 'Bearer '], ['alg none', `Bearer ${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"x"}').toString('base64url')}.`],
      ['a huge token', `Bearer ${'x'.repeat(8_000)}`]])('%s', async (_name, authorization) => {
      await refused('GET', '/api/balance', { token: null, headers: { authorization } }, { status: 401, code: 'unauthorized' })
    })
    it.each([['a NUL', 'a\0b'], ['half of a surrogate pair', 'a\ud800'], ['nothing', ''], ['far too much', 'x'.repeat(2_000)]])('a token whose subject holds %s makes no account', async (_name, sub) => {
      const token = await signToken({ sub }, { secret: JWT_SECRET, clock: systemClock })
      await refused('GET', '/api/balance', { token }, { status: 401, code: 'unauthorized' })
    })
  })

  describe('seed 001, in its own form', () => {
    it.each([
      ['POST', 'channels/CHANNEL/runOnce', '{"a":', 400, 'MALFORMED_BODY'], ['POST', 'channels/CHANNEL/runOnce', '['.repeat(40_000), 400, 'MALFORMED_BODY'],
      ['POST', 'channels/CHANNEL/runOnce', `{"a":${'['.repeat(40_000)}${']'.repeat(40_000)}}`, 400, 'MALFORMED_BODY'],
      ['POST', 'channels/CHANNEL/runOnce', '{"userId":7}', 403, 'USER_MISMATCH'], ['POST', 'channels/%00/runOnce', '{}', 404, 'NOT_FOUND'],
      ['POST', 'channels/nobody/runOnce', '{}', 404, 'CHANNEL_NOT_FOUND'], ['GET', 'jobs/nobody', undefined, 404, 'JOB_NOT_FOUND'], ['GET', 'jobs/%00', undefined, 404, 'NOT_FOUND'],
      ['PUT', 'channels/CHANNEL/runOnce', '{}', 405, 'METHOD_NOT_ALLOWED'], ['POST', 'channels/CHANNEL/runOnce', `"${'x'.repeat(200_000)}"`, 413, 'PAYLOAD_TOO_LARGE'],
    ])('%s %s %s', async (method, path, body, status, error) => {
      const answer = await reprise.call(method, `/api/music-clips/${path.replace('CHANNEL', channelId)}`, { token: user.token, body })
      expect(answer, JSON.stringify(answer.body)).toMatchObject({ status, body: { success: false, ok: false, error } })
      expect(await everything()).toBe(before)
    })
  })

  describe('the seeds’ functions, whatever type the body says', () => {
    const functions: [path: string, service: boolean][] = [
      ['create-generation-job-banana', false], ['process-generation-tasks-banana', false], ['generate-mureka-track', false], ['get-mureka-task-status', false],
      ['save-mureka-generation', false], ['download-and-save-track', false], ['archive-tracks', true],
    ]
    /** Nobody reads what is sent to it. */
    const bodiless = 'cleanup-stale-jobs'

    it('none of them is missing here', () => {
      const paths = new Set(reprise.wired.app.routes.map(({ path }) => path).filter((path) => path.startsWith('/functions/v1/') && !path.includes('*')))
      expect([...functions.map(([path]) => path), bodiless].map((path) => `/functions/v1/${path}`).sort()).toEqual([...paths].sort())
    })

    const valid = { productName: 'x', productImages: ['/api/uploads/images/x'], selectedCards: [0], prompt: 'x', generation_id: ID, jobId: ID, external_url: 'https://a.example/x' }
    const withLone = (lone: string) => JSON.stringify({ ...valid, productName: lone, prompt: lone, generation_id: lone, jobId: lone, trackIds: [lone] })
    it.each([
      ['a NUL', withLone('a\0b'), 'VALIDATION_FAILED', 'characters'], ['half of a surrogate pair', withLone('a\ud800b'), 'VALIDATION_FAILED', 'characters'],
      ['a NUL in a name', JSON.stringify({ ...valid, 'a\0': 1 }), 'VALIDATION_FAILED', 'characters'],
      ['what is nested 6,000 deep', JSON.stringify(valid).replace(/}$/, `,"more":${'['.repeat(6_000)}${']'.repeat(6_000)}}`), 'MALFORMED_BODY', undefined],
    ] as const)('%s is refused', async (_name, body, code, rule) => {
      for (const [path, service] of functions) {
        for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
          for (const key of [{}, { 'idempotency-key': `k ${path} ${type}` }] as Record<string, string>[]) {
            const answer = await reprise.call('POST', `/functions/v1/${path}`, { token: service ? SERVICE_KEY : user.token, body, headers: { 'content-type': type, ...key } })
            expect([path, type, answer.status, answer.body.code, answer.body.errors?.[0].rule]).toEqual([path, type, 400, code, rule])
          }
        }
      }
      expect(await everything()).toBe(before)
    })
  })

  describe('callbacks that nobody sent', () => {
    it.each(['', '{', 'null', '[]', '7', '"x"', '{"data":null}', '{"data":{"callbackType":{}}}', '['.repeat(50_000), '{"code":200,"data":{"task_id":{"a":1}}}', '\0'])('%j is answered 200 and forgotten', async (body) => {
      for (const query of ['', '?token=x', `?token=${'x'.repeat(4_000)}`, '?token=%00']) {
        const answer = await reprise.call('POST', `/api/webhooks/suno/music${query}`, { body, headers: { 'content-type': 'application/json' } })
        expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 200 })
      }
      expect(await everything()).toBe(before)
    })
    it('a task id with a NUL is answered 200', async () => {
      const body = { code: 200, data: { callbackType: 'complete', task_id: 'a\0b', data: [] } }
      expect((await reprise.call('POST', '/api/webhooks/suno/music', { body })).status).toBe(200)
      await reprise.database.db.query('delete from reprise.parked_callbacks')
      expect(await everything()).toBe(before)
    })
  })

  it('what is not HTTP is answered 400 and the server lives on', async () => {
    for (const bytes of ['GARBAGE\r\n\r\n', 'GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n', 'GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n', `GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`]) {
      const answer = await new Promise<string>((resolve) => {
        const socket = connect(Number(new URL(reprise.url).port), '127.0.0.1', () => socket.write(bytes))
        let text = ''
        socket.on('data', (chunk) => (text += chunk)).on('error', () => undefined).on('close', () => resolve(text))
      })
      expect(answer).toMatch(/^HTTP\/1\.1 4\d\d/)
    }
    for (const host of ['', 'a b', 'http://', '[::1', 'x'.repeat(300), '%00']) {
      const answer = await new Promise<string>((resolve) => {
        const socket = connect(Number(new URL(reprise.url).port), '127.0.0.1', () => socket.write(`GET /livez HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`))
        let text = ''
        socket.on('data', (chunk) => (text += chunk)).on('error', () => undefined).on('close', () => resolve(text))
      })
      expect(answer, host).toMatch(/^HTTP\/1\.1 (200|4\d\d)/)
    }
    expect((await reprise.call('GET', '/livez')).status).toBe(200)
  })

  describe('fuzzed bodies', () => {
    // fast-check prints the seed and the smallest body that breaks it.
    const runs = { numRuns: 75 }
    const strange = fc.oneof(
      fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<unknown>, fc.string({ unit: 'binary', maxLength: 60 }), fc.constantFrom('\0', '\ud800', '\uffff', '', ' ', '‮', 'x'.repeat(6_000)),
      fc.constantFrom<unknown>(-0, 1e308, 2 ** 53, -1, 0.1, true, null, [], {}),
    )
    const spoiled = (valid: object) => fc.record({ key: fc.oneof(fc.constantFrom(...Object.keys(valid), '__proto__', 'constructor', 'toString'), fc.string({ unit: 'binary', maxLength: 12 })), value: strange, drop: fc.boolean() })
      .map(({ key, value, drop }) => {
        const entries = Object.entries(valid).filter(([name]) => name !== key)
        return JSON.stringify(Object.fromEntries(entries)).replace(/\}$/, drop ? '}' : `${entries.length ? ',' : ''}${JSON.stringify(key)}:${JSON.stringify(value)}}`)
      })
    const raw = fc.oneof(fc.json(), fc.string({ unit: 'binary', maxLength: 200 }), fc.jsonValue().map((value) => JSON.stringify(value)))
    const full = { ...song, title: 'a title', style: 'calm', lyrics: 'la la', instrumental: false, model: 'V5', options: { vocalGender: 'f' } }
    const settings = { ...channel, type: 'music_clips', language: 'ru', timezone: 'UTC', musicClipsSettings: { sunoPrompt: 'x', clipSec: 10, platforms: { youtube: true } } }

    async function fuzz(method: string, path: string, token: string, valid: object) {
      let taken = 0
      await fc.assert(fc.asyncProperty(fc.oneof({ weight: 3, arbitrary: spoiled(valid) }, { weight: 1, arbitrary: raw }), async (body) => {
        const answer = await reprise.call(method, path, { token, body, headers: { 'content-type': 'application/json' } })
        if (answer.status < 300) return void taken++
        expect(answer.status, JSON.stringify(answer.body)).toBeGreaterThanOrEqual(400)
        expect([400, 401, 413, 422, 503], JSON.stringify(answer.body)).toContain(answer.status)
        expect(answer.body.code).toMatch(/^(malformed_body|validation_failed|payload_too_large|unauthorized|provider_not_configured)$/)
        expect(answer.body.detail).toMatch(/\w/)
      }), runs)
      return taken
    }
    const total = async (sql: string) => (await reprise.database.db.query<{ n: number }>(`select count(*) as n from ${sql}`)).rows[0]!.n

    it('of requests for songs: as many generations and holds as were accepted', async () => {
      const [generations, holds] = [await total('reprise.generations'), await total(`reprise.ledger_transfers where kind = 'hold'`)]
      const taken = await fuzz('POST', '/api/generations', user.token, full)
      expect(await total('reprise.generations')).toBe(generations + taken)
      expect(await total(`reprise.ledger_transfers where kind = 'hold'`)).toBe(holds + taken)
    })
    it('of channels: as many as were accepted', async () => {
      const channels = await total('reprise.channels')
      const taken = await fuzz('POST', '/api/channels', user.token, settings)
      expect(await total('reprise.channels')).toBe(channels + taken)
    })
    it('of changes to a channel: always one that can still be read', async () => {
      await fuzz('PATCH', `/api/channels/${channelId}`, user.token, settings)
      expect((await reprise.call('GET', `/api/channels/${channelId}`, { token: user.token })).status).toBe(200)
    })
    it('of grants: as many as were accepted', async () => {
      const grants = await total(`reprise.ledger_transfers where kind = 'grant'`)
      const taken = await fuzz('POST', '/api/ledger/grants', SERVICE_KEY, grant)
      expect(await total(`reprise.ledger_transfers where kind = 'grant'`)).toBe(grants + taken)
    })
    it('of sign-ins: nobody gets in', async () => {
      expect(await fuzz('POST', '/api/session', user.token, { token: 'x' })).toBe(0)
    })
  })
})
