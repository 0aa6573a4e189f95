import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ProviderErrorCode } from '../kernel/errors.ts'
import type { CheckOutcome, GenerationRequest, Provider, Snapshot, SubmitOutcome } from './provider.ts'
import { createProviderFetch, ProviderFetchError, type ProviderFetch, type ProviderHttp } from './provider-fetch.ts'
import { deadAddress, startFakeServer, type Answer, type FakeServer } from './testing/fake-server.ts'

/** What a provider brings to the suite: how to make it, and what its endpoint says in each situation. */
export interface ProviderHarness {
  create(options: { baseUrl: string; apiKey: string; fetch: ProviderFetch }): Provider
  request: GenerationRequest
  wrongRequest: GenerationRequest
  answers: {
    submitted: Answer
    /** Sure refusals and the class each must get. */
    refusals: { answer: Answer; code: ProviderErrorCode }[]
    /** A sure refusal whose words repeat `echo` (the suite puts the key into it). */
    refusalSaying(echo: string): Answer
    /** Answers whose status leaves open whether work began. */
    doubtful: Answer[]
    /** Only for providers with tasks. `life` is one task from its beginning to success, in order. */
    task?: {
      life: Answer[]
      unknownStatus: Answer
      failed: Answer
      failedCode: ProviderErrorCode
      /** Has a field that no schema knows: `futureField: "kept"` somewhere inside. */
      withFutureField: Answer
      /** What the last of `life` must be read as. */
      finals: { url: string; durationMs: number | null }[]
      streamUrls: string[]
    }
    credits?: { some: Answer; amount: number; zero: Answer }
  }
  /** How the key is sent, where it is no bearer. */
  keyHeader?: string
  /** Only for providers that call back: bodies for `taskId`, in the order of a life. */
  callbacks?: (taskId: string) => unknown[]
}

const KEY = 'key-5ecret/"quoted"-0123456789'
const STEPS: Snapshot['status'][] = ['queued', 'running', 'partial', 'succeeded']
const rankOf = (status: Snapshot['status']): number => STEPS.indexOf(status)
const NONSENSE: Record<string, Answer> = {
  'malformed JSON': { text: '{"code":200,"data":{' },
  HTML: { text: '<html><body>Just a moment…</body></html>', headers: { 'content-type': 'text/html' } },
  'an empty body': { text: '' },
  'a JSON null': { json: null },
  'a JSON list': { json: [1, 2, 3] },
  'a huge body': { text: `"${'x'.repeat(2_200_000)}"` },
  'a truncated body': { truncated: '{"code":200,"id":"t1","data":{"taskId":"t1"' },
}

export function providerContract(name: string, harness: ProviderHarness): void {
  describe(`${name} keeps the promises of a provider`, () => {
    const { answers, request } = harness
    let server: FakeServer
    let http: ProviderHttp
    let provider: Provider

    const make = (baseUrl: string, fetch = http.fetch) => harness.create({ baseUrl, apiKey: KEY, fetch })
    const submit = (by = provider, signal = new AbortController().signal): Promise<SubmitOutcome> =>
      by.submit(request, { attemptId: 'attempt-1', callbackUrl: 'https://app.example.com/cb?token=c4llback', signal })
    const check = (by = provider, signal = new AbortController().signal): Promise<CheckOutcome> =>
      by.check('t1', signal)
    const look = async (answer: Answer): Promise<Snapshot> => {
      server.next(answer)
      const outcome = await check()
      if (outcome.kind !== 'snapshot') throw new Error(`no snapshot: ${JSON.stringify(outcome)}`)
      return outcome.snapshot
    }
    /** What became of a submit whose answer was lost: it may run, unless nothing of it can be left there. */
    const expectLost = (outcome: SubmitOutcome) => {
      if (provider.descriptor.repeatable) expect(outcome).toMatchObject({ kind: 'refused', sent: true, error: { code: expect.stringMatching(/^(transient|provider_malformed)$/) } })
      else expect(outcome).toMatchObject({ kind: 'unknown' })
    }
    const expectNoSecret = (outcome: unknown) => {
      const text = JSON.stringify(outcome)
      expect(text).not.toContain('5ecret')
      expect(text).not.toContain('c4llback')
    }

    beforeEach(async () => {
      server = await startFakeServer()
      http = createProviderFetch()
      provider = make(server.url)
    })
    afterEach(async () => {
      await http.close()
      await server.close()
    })

    it('a sound submit is accepted with a task id or finished with results', async () => {
      server.next(answers.submitted)
      const outcome = await submit()
      expect(outcome.kind).toBe(provider.descriptor.mode === 'sync' ? 'finished' : 'accepted')
      if (outcome.kind === 'accepted') expect(outcome.taskId).not.toBe('')
      if (outcome.kind === 'finished') expect(outcome.results).toHaveLength(provider.resultCount(request))
      expect(server.requests).toHaveLength(1)
      const { keyHeader } = harness
      expect(server.requests[0]!.headers[keyHeader ?? 'authorization']).toBe(keyHeader ? KEY : `Bearer ${KEY}`)
    })

    it('every sure refusal is refused as sent, with its class', async () => {
      for (const { answer, code } of answers.refusals) {
        server.next(answer)
        expect(await submit()).toMatchObject({ kind: 'refused', sent: true, error: { code } })
      }
    })

    it('an answer that leaves a doubt is unknown, never refused', async () => {
      for (const answer of answers.doubtful) {
        server.next(answer)
        expect(await submit(), JSON.stringify(answer)).toMatchObject({ kind: 'unknown' })
      }
    })

    it('refused before sending is refused and not sent', async () => {
      expect(await submit(make(await deadAddress()))).toMatchObject({ kind: 'refused', sent: false })
      const never: ProviderFetch = async () => {
        throw new ProviderFetchError('before_send', `ENOTFOUND ${KEY}`)
      }
      const outcome = await submit(make(server.url, never))
      expect(outcome).toMatchObject({ kind: 'refused', sent: false })
      expectNoSecret(outcome)
    })

    it('sent but unanswered is lost, however the connection ended', async () => {
      server.next({ reset: true })
      expectLost(await submit())
      const odd: ProviderFetch = async () => {
        throw new TypeError(`fetch failed for ${KEY}`)
      }
      const outcome = await submit(make(server.url, odd))
      expectLost(outcome)
      expectNoSecret(outcome)
    })

    it('an abort ends a hanging submit at once, as lost; an abort before sending is not sent', async () => {
      server.next({ hang: true })
      const controller = new AbortController()
      const outcome = submit(provider, controller.signal)
      while (server.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 2))
      const at = performance.now()
      controller.abort()
      expectLost(await outcome)
      expect(performance.now() - at).toBeLessThan(1_000)
      expect(await submit(provider, AbortSignal.abort())).toMatchObject({ kind: 'refused', sent: false })
      expect(server.requests).toHaveLength(1)
    })

    it.each(Object.entries(NONSENSE))('%s never throws, and is neither accepted nor a refusal for good', async (_, answer) => {
      server.usually(answer)
      expectLost(await submit())
      expect(await check()).toMatchObject({ kind: 'unreachable' })
      if (provider.credits) expect(await provider.credits(new AbortController().signal)).toBeNull()
    })

    it('the key and the callback token are in no outcome, even when the provider repeats them', async () => {
      const echo = `Bearer ${KEY} for https://app.example.com/cb?token=c4llback`
      const plain: Answer[] = [{ status: 500, text: echo }, { status: 429, json: { echo } }]
      for (const answer of [answers.refusalSaying(echo), ...plain]) {
        server.usually(answer)
        expectNoSecret(await submit())
        expectNoSecret(await check())
      }
      expectNoSecret([provider.account, provider.descriptor])
    })

    it("the provider's Retry-After is passed on in milliseconds", async () => {
      server.usually({ status: 429, headers: { 'retry-after': '7' }, json: {} })
      expect(await submit()).toMatchObject({ kind: 'refused', error: { code: 'rate_limited', retryAfterMs: 7_000 } })
    })

    it('validating is pure: same answer twice, request untouched, nothing asked', () => {
      const frozen = structuredClone(request)
      expect(provider.validate(request)).toEqual([])
      expect(request).toEqual(frozen)
      const errors = provider.validate(harness.wrongRequest)
      expect(errors.length).toBeGreaterThan(0)
      expect(provider.validate(harness.wrongRequest)).toEqual(errors)
      for (const error of errors) expect(error.message).toMatch(/\w+ .*\.$/)
      expect(server.requests).toHaveLength(0)
    })

    it('the descriptor is consistent and the account is stable and tells one key from another', () => {
      const { descriptor } = provider
      expect(descriptor.models.find((model) => model.id === descriptor.defaultModel)?.status).toBe('current')
      expect(descriptor.firstPollMs + descriptor.pollMaxMs).toBeLessThanOrEqual(90_000)
      expect(descriptor.canCancel).toBe(Boolean(provider.cancel))
      expect(descriptor.canReportCredits).toBe(Boolean(provider.credits))
      expect(make(server.url).account).toBe(provider.account)
      const other = harness.create({ baseUrl: server.url, apiKey: 'other', fetch: http.fetch })
      expect(other.account).not.toBe(provider.account)
    })

    it('any bytes as a callback are read without throwing', () => {
      const bodies = ['', '{', 'null', '[]', '{}', '"text"', '<html>', '{"data":{"data":[null,1,{}]}}', '\u0000\ufffd']
      for (const body of bodies) {
        expect(provider.readCallback({ body: Buffer.from(body), headers: {}, now: 0 }), body).toBeNull()
      }
      provider.readCallback({ body: Buffer.from([0xff, 0xfe, 0x80]), headers: {}, now: 0 })
    })

    const { task, credits } = answers
    if (task) {
      it('a life is read without ever stepping back, and ends with the finished files', async () => {
        let before = -1
        let last: Snapshot | null = null
        for (const answer of task.life) {
          last = await look(answer)
          expect(rankOf(last.status)).toBeGreaterThanOrEqual(before)
          before = rankOf(last.status)
        }
        expect(last!.status).toBe('succeeded')
        const finals = task.finals.map(({ url, durationMs }) => expect.objectContaining({ final: { url }, durationMs }))
        expect(last!.results).toEqual(finals)
      })

      it('a stream or preview is never the final file, and durations are whole milliseconds', async () => {
        for (const answer of task.life) {
          for (const { final, durationMs } of (await look(answer)).results) {
            if (final && 'url' in final) expect(task.streamUrls).not.toContain(final.url)
            if (durationMs !== null) expect(Number.isInteger(durationMs) && durationMs > 1_000).toBe(true)
          }
        }
      })

      it('an unknown status is still running', async () => {
        expect(await look(task.unknownStatus)).toMatchObject({ status: 'running', error: null })
      })

      it('a failure is a snapshot with its class', async () => {
        expect(await look(task.failed)).toMatchObject({ status: 'failed', error: { code: task.failedCode } })
      })

      it('fields that nobody knows are kept in raw', async () => {
        expect(JSON.stringify((await look(task.withFutureField)).raw)).toContain('"futureField":"kept"')
      })

      it('a provider that cannot be asked says nothing about the task', async () => {
        for (const answer of [{ reset: true }, { status: 500, text: '' }, { status: 401, json: {} }] as Answer[]) {
          server.next(answer)
          expect(await check()).toMatchObject({ kind: 'unreachable' })
        }
        expect(await check(make(await deadAddress()))).toMatchObject({ kind: 'unreachable' })
        expect(await check(provider, AbortSignal.abort())).toMatchObject({ kind: 'unreachable' })
      })
    }

    if (credits) {
      it('no credits is 0; credits that could not be read are null', async () => {
        const ask = () => provider.credits!(new AbortController().signal)
        server.next(credits.some, credits.zero, { status: 404, json: {} }, { reset: true })
        expect(await ask()).toMatchObject({ amount: credits.amount })
        expect(await ask()).toMatchObject({ amount: 0 })
        expect(await ask()).toBeNull()
        expect(await ask()).toBeNull()
      })
    }

    if (harness.callbacks) {
      it('callbacks name their task, never step back, and are not believed by themselves', () => {
        let before = -1
        for (const body of harness.callbacks!('t1')) {
          const bytes = Buffer.from(JSON.stringify(body))
          const reading = provider.readCallback({ body: bytes, headers: {}, now: 0 })
          expect(reading).toMatchObject({ taskId: 't1', trust: 'none' })
          const rank = rankOf(reading!.snapshot!.status)
          expect(rank).toBeGreaterThanOrEqual(before)
          before = rank
        }
        expect(before).toBe(rankOf('succeeded'))
      })
    }
  })
}
