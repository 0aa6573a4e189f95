import { providerContract } from '../provider.contract.ts'
import { createPollOnly } from './poll-only.ts'
import { createSyncBytes, PIXEL_PNG } from './sync-bytes.ts'

const refusals = [
  { answer: { status: 400, json: {} }, code: 'invalid_request' as const },
  { answer: { status: 401, json: {} }, code: 'provider_auth' as const },
  { answer: { status: 402, json: {} }, code: 'no_credits' as const },
  { answer: { status: 429, json: {} }, code: 'rate_limited' as const },
  { answer: { status: 503, json: {} }, code: 'unavailable' as const },
]
const redirect = { status: 307, headers: { location: '/' } }
const doubtful = [{ status: 500, json: {} }, { status: 502, text: 'bad gateway' }, redirect]
const refusalSaying = (echo: string) => ({ status: 400, json: { error: echo } })

const base = 'https://files.example.com'
const file = { id: 'f1', url: `${base}/1.mp3`, preview: `${base}/stream/1`, ms: 61_500 }
providerContract('a provider that only answers polls', {
  create: createPollOnly,
  request: { kind: 'song', prompt: 'rain' },
  wrongRequest: { kind: 'song', prompt: ' ' },
  answers: {
    submitted: { status: 201, json: { id: 't1' } },
    refusals,
    refusalSaying,
    doubtful,
    task: {
      life: [
        { json: { id: 't1', state: 'waiting' } },
        { json: { id: 't1', state: 'working', files: [] } },
        { json: { id: 't1', state: 'previewing', files: [{ ...file, url: undefined, ms: undefined }] } },
        { json: { id: 't1', state: 'ready', files: [file] } },
      ],
      unknownStatus: { json: { id: 't1', state: 'dreaming' } },
      failed: { json: { id: 't1', state: 'broken', reason: 'out of tune' } },
      failedCode: 'provider_failed',
      withFutureField: { json: { id: 't1', state: 'ready', files: [{ ...file, futureField: 'kept' }] } },
      finals: [{ url: file.url, durationMs: 61_500 }],
      streamUrls: [file.preview],
    },
    credits: { some: { json: { left: 12 } }, amount: 12, zero: { json: { left: 0 } } },
  },
})

providerContract('a provider whose answer is the file', {
  create: createSyncBytes,
  request: { kind: 'image', prompt: 'a red bus' },
  wrongRequest: { kind: 'image', prompt: '' },
  answers: { submitted: { json: { mime: 'image/png', base64: PIXEL_PNG } }, refusals, refusalSaying, doubtful },
})
