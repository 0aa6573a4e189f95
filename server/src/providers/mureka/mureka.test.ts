import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GenerationRequest, Provider } from '../provider.ts'
import { createProviderFetch, type ProviderHttp } from '../provider-fetch.ts'
import { startFakeServer, type FakeServer } from '../testing/fake-server.ts'
import { choice, error, task } from './fixtures.ts'
import { createMureka, type MurekaOptions } from './mureka.ts'

describe('Mureka', () => {
  let server: FakeServer
  let http: ProviderHttp
  let mureka: Provider
  const signal = new AbortController().signal
  const make = (more: Partial<MurekaOptions> = {}) =>
    createMureka({ apiKey: 'a-key-of-mureka', baseUrl: server.url, fetch: http.fetch, ...more })
  /** As the engine does it: what has to be known first, then the request that is paid for. */
  const submit = async (request: Partial<GenerationRequest>) => {
    const ready = await mureka.makeReady!({ kind: 'song', prompt: 'a night bus', ...request }, signal)
    return ready.kind === 'ready' ? mureka.submit(ready.request, { attemptId: 'a', callbackUrl: null, signal }) : ready
  }
  const asked = () => server.requests.map(({ method, path }) => `${method} ${path}`)
  const started = { json: task('preparing') }
  const words = { json: { title: 'Night Bus', lyrics: '[Verse]\nRain' } }

  beforeEach(async () => {
    server = await startFakeServer()
    http = createProviderFetch()
    mureka = make()
  })
  afterEach(async () => {
    await http.close()
    await server.close()
  })

  describe('the request', () => {
    it('given lyrics are sung as they are; description and style say how', async () => {
      server.next(started)
      await submit({ lyrics: '[Verse]\nMine', style: 'r&b', options: { n: 3 }, model: 'mureka-8' })
      expect(server.requests[0]!.json).toEqual({ lyrics: '[Verse]\nMine', model: 'mureka-8', n: 3, prompt: 'a night bus\nr&b', stream: false })
    })

    it('a description alone gets lyrics first, and one paid request', async () => {
      server.next(words, started)
      expect(await submit({ title: 'Line 7' })).toMatchObject({ kind: 'accepted', taskId: '1436211' })
      expect(asked()).toEqual(['POST /v1/lyrics/generate', 'POST /v1/song/generate'])
      expect(server.requests[0]!.json).toEqual({ prompt: 'a night bus\nTitle: Line 7' })
      expect(server.requests[1]!.json).toMatchObject({ lyrics: '[Verse]\nRain', n: 2, model: 'auto' })
    })

    it('a style alone says what the lyrics are about', async () => {
      server.next(words, started)
      await submit({ prompt: '', style: 'jazz' })
      expect(server.requests[0]!.json).toEqual({ prompt: 'jazz' })
    })

    it('lyrics written for us that are too long keep their whole lines', async () => {
      server.next({ json: { lyrics: 'a line of twenty-six signs\n'.repeat(200) } }, started)
      await submit({})
      const { lyrics } = server.requests[1]!.json
      expect(lyrics.length).toBeLessThanOrEqual(3000)
      expect(lyrics.endsWith('signs')).toBe(true)
    })

    it('an instrumental needs no lyrics, and is asked about where it was made', async () => {
      server.next(started)
      const outcome = await submit({ instrumental: true })
      expect(server.requests[0]!.json).toEqual({ model: 'auto', n: 2, prompt: 'a night bus', stream: false })
      server.next({ json: task('succeeded', [choice(0)]) })
      expect(outcome.kind === 'accepted' && (await mureka.check(outcome.taskId, signal))).toMatchObject({ kind: 'snapshot' })
      expect(asked()).toEqual(['POST /v1/instrumental/generate', 'GET /v1/instrumental/query/1436211'])
    })

    it('each song asked for is one result', () => {
      for (const [options, count] of [[undefined, 2], [{ n: 1 }, 1], [{ n: 3 }, 3]] as const) {
        expect(mureka.resultCount({ kind: 'song', prompt: 'x', options })).toBe(count)
      }
    })

    it.each<[string, Partial<GenerationRequest>, string]>([
      ['a picture', { kind: 'image' }, 'kind'],
      ['four songs', { options: { n: 4 } }, 'options.n'],
      ['half a song', { options: { n: 0.5 } }, 'options.n'],
      ['an option that only Suno knows', { options: { vocalGender: 'f' } }, 'options.vocalGender'],
      ['a model of somebody else', { model: 'V6' }, 'model'],
      ['an instrumental with words', { instrumental: true, lyrics: 'la' }, 'lyrics'],
      ['a prompt and style too long together', { prompt: 'x'.repeat(1000), style: 'y'.repeat(30) }, 'prompt'],
      ['nothing at all', { prompt: ' ' }, 'prompt'],
    ])('%s is refused before anything is paid', (_, request, path) => {
      expect(mureka.validate({ kind: 'song', prompt: 'x', ...request })).toMatchObject([{ path }])
    })

    it('a model of the operator, listed or the default, may be named', () => {
      const own = make({ model: 'mureka-ours', models: ['mureka-9'] })
      for (const model of ['mureka-ours', 'mureka-9']) expect(own.validate({ kind: 'song', prompt: 'x', model })).toEqual([])
      expect(own.validate({ kind: 'song', prompt: 'x', model: 'auto' })).toHaveLength(1)
    })
  })

  describe('when no lyrics can be had', () => {
    it('nothing paid is sent, and it is tried again', async () => {
      for (const trouble of [{ reset: true } as const, error(500, 'oops'), error(503, 'overloaded'), error(429, 'too quickly'), { json: {} }]) {
        server.next(trouble)
        expect(await submit({})).toMatchObject({ kind: 'refused', sent: false })
      }
      expect(new Set(asked())).toEqual(new Set(['POST /v1/lyrics/generate']))
    })

    it('a refusal that would come again ends it with its reason', async () => {
      for (const [answer, code] of [[error(400, 'sensitive words'), 'content_policy'], [error(401, 'Invalid Authentication'), 'provider_auth'], [error(429, 'exceeded your current quota'), 'no_credits']] as const) {
        server.next(answer)
        expect(await submit({})).toMatchObject({ kind: 'refused', sent: true, error: { code } })
      }
      expect(new Set(asked())).toEqual(new Set(['POST /v1/lyrics/generate']))
    })
  })

  describe('a 429 whose words do not say which', () => {
    const unclear = { status: 429, json: { error: { message: 'Too many' } } }
    it.each([
      ['means no money when the balance is 0', { json: { balance: 0 } }, 'no_credits'],
      ['means too fast when there is money', { json: { balance: 5 } }, 'rate_limited'],
      ['means too fast when the balance cannot be told', { status: 500 }, 'rate_limited'],
    ])('%s', async (_, billing, code) => {
      server.next(unclear, billing)
      expect(await submit({ lyrics: 'la' })).toMatchObject({ kind: 'refused', error: { code } })
    })
  })

  describe('what it tells', () => {
    const look = async (json: unknown) => {
      server.next({ json })
      const outcome = await mureka.check('1436211', signal)
      if (outcome.kind !== 'snapshot') throw new Error(JSON.stringify(outcome))
      return outcome.snapshot
    }

    it('sections become lyrics; there is neither title nor cover', async () => {
      const { results } = await look(task('succeeded', [choice(0)]))
      expect(results[0]).toMatchObject({ title: null, coverUrl: null, lyrics: '[Verse]\nRain on the roof\nand on me\n\n[Chorus]\nStay' })
    })

    it('a file in another format is taken when there is no other; a stream never is', async () => {
      const only = (part: object) => ({ index: 0, id: '1', url: '', flac_url: '', stream_url: 'https://x.example/s', ...part })
      const { results } = await look(task('succeeded', [only({ flac_url: 'https://x.example/a.flac' }), only({ id: '2', url: 'https://x.example/s' })]))
      expect(results.map(({ final }) => final)).toEqual([{ url: 'https://x.example/a.flac' }, null])
    })

    it.each([
      ['failed', 'The lyrics contain sensitive words', 'failed', 'content_policy'],
      ['failed', 'out of memory', 'failed', 'provider_failed'],
      ['timeouted', '', 'failed', 'provider_failed'],
      ['cancelled', '', 'cancelled', 'provider_failed'],
    ])('%s (%s) is %s with the class %s', async (status, failed_reason, read, code) => {
      expect(await look(task(status, undefined, { failed_reason }))).toMatchObject({ status: read, error: { code } })
    })

    it('odd choices are read as far as they make sense', async () => {
      const { results } = await look(task('succeeded', [null, 'x', { id: 7, url: 'javascript:1', duration: 'long', lyrics_sections: [null, {}] }]))
      expect(results).toMatchObject([{ providerId: '7', final: null, durationMs: null, lyrics: null }])
    })

    it('a task that nobody knows any more is gone', async () => {
      server.next(error(404, 'task not found'))
      expect(await mureka.check('1', signal)).toMatchObject({ kind: 'unreachable', error: { code: 'provider_task_gone' } })
    })

    it('the billing tells cents and how many tasks may run at once', async () => {
      server.next({ json: { balance: 1250, concurrent_request_limit: 5 } }, { json: { balance: 3 } })
      expect(await mureka.credits!(signal)).toEqual({ amount: 1250, unit: 'cents', concurrency: 5 })
      expect(await mureka.credits!(signal)).toEqual({ amount: 3, unit: 'cents', concurrency: null })
    })
  })
})
