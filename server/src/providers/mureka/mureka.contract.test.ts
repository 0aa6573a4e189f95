import { providerContract, type ProviderHarness } from '../provider.contract.ts'
import { choice, error, task } from './fixtures.ts'
import { createMureka } from './mureka.ts'

const streaming = [0, 1].map((index) => ({ ...choice(index), url: '', flac_url: '', duration: undefined }))
const harness: ProviderHarness = {
  create: createMureka,
  request: { kind: 'song', prompt: 'indie folk, slow', lyrics: '[Verse]\nRain on the roof' },
  wrongRequest: { kind: 'song', prompt: '', lyrics: 'x'.repeat(3001), options: { n: 4 } },
  answers: {
    submitted: { json: task('preparing', undefined, { trace_id: '1286' }) },
    refusals: [
      { answer: error(400, 'lyrics is too long'), code: 'invalid_request' },
      { answer: error(400, 'The lyrics contain sensitive words'), code: 'content_policy' },
      { answer: error(401, 'Invalid Authentication'), code: 'provider_auth' },
      { answer: error(403, 'Country, region, or territory not supported'), code: 'provider_auth' },
      { answer: error(429, 'Rate limit reached for requests: you are sending requests too quickly'), code: 'rate_limited' },
      { answer: error(429, 'You exceeded your current quota, please check your plan and billing details'), code: 'no_credits' },
      { answer: error(429, 'Your quota does not suffice to generate this'), code: 'no_credits' },
      { answer: error(503, 'The engine is currently overloaded, please try again later'), code: 'unavailable' },
    ],
    refusalSaying: (echo) => error(400, echo),
    doubtful: [error(500, 'The server had an error'), { status: 504 }, { json: task('preparing', undefined, { id: '' }) }, { json: {} }],
    task: {
      life: [
        { json: task('preparing') },
        { json: task('queued', null) },
        { json: task('running', []) },
        { json: task('streaming', streaming) },
        // The order in which they are listed is not theirs.
        { json: task('succeeded', [choice(1), choice(0)]) },
      ],
      unknownStatus: { json: task('mastering') },
      failed: { json: task('failed', undefined, { failed_reason: 'Song generation failed' }) },
      failedCode: 'provider_failed',
      withFutureField: { json: task('succeeded', [{ ...choice(0), futureField: 'kept' }]) },
      finals: [0, 1].map((index) => ({ url: `https://cdn.mureka.ai/song-${index}.mp3`, durationMs: 172_000 + index })),
      streamUrls: [0, 1].map((index) => String(choice(index).stream_url)),
    },
    credits: {
      some: { json: { account_id: 1, balance: 1250, total_recharge: 5000, total_spending: 3750, concurrent_request_limit: 5 } },
      amount: 1250,
      zero: { json: { account_id: 1, balance: 0, concurrent_request_limit: 1 } },
    },
  },
}

providerContract('Mureka', harness)
providerContract('Mureka, asked for an instrumental', { ...harness, request: { kind: 'song', prompt: 'solo piano', instrumental: true } })
