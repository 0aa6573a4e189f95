import { providerContract } from '../provider.contract.ts'
import { FILE, prediction } from './fixtures.ts'
import { createReplicate } from './replicate.ts'

const said = (status: number, detail: string, title?: string) => ({ status, json: { ...(title && { title }), detail, status } })
const succeeded = (more = {}) => prediction('succeeded', { output: FILE, metrics: { predict_time: 31.4 }, ...more })

providerContract('Replicate', {
  create: createReplicate,
  request: { kind: 'song', prompt: 'a night bus through the rain' },
  wrongRequest: { kind: 'song', prompt: '', lyrics: 'x'.repeat(3501), options: { bitrate: 1, colour: 'blue' } },
  answers: {
    submitted: { status: 201, json: prediction('starting') },
    refusals: [
      { answer: said(402, 'You have insufficient credit to run this model.', 'Insufficient credit'), code: 'no_credits' },
      { answer: said(422, '- input.prompt is required', 'Input validation failed'), code: 'invalid_request' },
      { answer: said(422, 'The input was flagged as sensitive. (E005)'), code: 'content_policy' },
      { answer: said(429, 'Request was throttled. Your rate limit resets in ~30s.'), code: 'rate_limited' },
      { answer: said(401, 'You did not pass a valid authentication token', 'Unauthenticated'), code: 'provider_auth' },
      { answer: said(404, 'The requested resource could not be found.'), code: 'invalid_request' },
      { answer: { status: 503, text: '' }, code: 'unavailable' },
    ],
    refusalSaying: (echo) => said(400, echo),
    doubtful: [{ status: 201, json: {} }, { status: 201, json: { id: '' } }, said(500, 'Internal server error'), { status: 504, text: '' }],
    task: {
      life: [
        { json: prediction('starting') },
        { json: prediction('processing', { started_at: '2026-11-01T10:00:02Z', output: FILE }) },
        { json: succeeded() },
      ],
      unknownStatus: { json: prediction('polishing') },
      failed: { json: prediction('failed', { error: 'CUDA out of memory' }) },
      failedCode: 'provider_failed',
      withFutureField: { json: succeeded({ metrics: { predict_time: 31.4, futureField: 'kept' } }) },
      finals: [{ url: FILE, durationMs: null }],
      streamUrls: [],
    },
  },
  callbacks: (id) => [prediction('processing', { id }), succeeded({ id })],
})
