import { providerContract } from '../provider.contract.ts'
import { answered, candidate, failure } from './fixtures.ts'
import { createGoogle } from './google.ts'

const json = (body: unknown) => ({ json: body })

providerContract('Google', {
  // One question for each submit: how keys stand in for each other is google.test.ts' matter.
  create: ({ apiKey, ...rest }) => createGoogle({ ...rest, apiKeys: [apiKey], readImage: async () => null, waits: { otherKey: 0, firstKey: null, attempts: [0, 0, 0] } }),
  request: { kind: 'image', prompt: 'a night bus in the rain', options: { aspectRatio: '3:4' } },
  wrongRequest: { kind: 'image', prompt: '', options: { aspectRatio: '7:5', colour: 'blue' } },
  keyHeader: 'x-goog-api-key',
  answers: {
    submitted: json(answered),
    refusals: [
      { answer: failure(400, 'INVALID_ARGUMENT'), code: 'invalid_request' },
      { answer: failure(400, 'FAILED_PRECONDITION', 'User location is not supported for the API use.'), code: 'no_credits' },
      { answer: { status: 413, text: '' }, code: 'invalid_request' },
      { answer: json({ promptFeedback: { blockReason: 'PROHIBITED_CONTENT' } }), code: 'content_policy' },
      { answer: json(candidate('IMAGE_SAFETY')), code: 'content_policy' },
      { answer: failure(429, 'RESOURCE_EXHAUSTED'), code: 'rate_limited' },
      { answer: failure(500, 'INTERNAL'), code: 'transient' },
      { answer: failure(503, 'UNAVAILABLE'), code: 'unavailable' },
      { answer: failure(504, 'DEADLINE_EXCEEDED'), code: 'transient' },
    ],
    refusalSaying: (echo) => failure(400, 'INVALID_ARGUMENT', echo),
    doubtful: [],
  },
})
