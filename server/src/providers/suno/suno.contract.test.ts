import { providerContract } from '../provider.contract.ts'
import { createSuno } from './suno.ts'
import { callbackComplete, record, songs } from './fixtures.ts'

const body = (code: number, data: unknown = null, msg = 'said so') => ({ json: { code, msg, data } })
const [first, second] = songs()
const streaming = songs().map((song) => ({ ...song, audioUrl: '', duration: null }))

providerContract('Suno', {
  create: createSuno,
  request: { kind: 'song', prompt: 'a night bus through the rain' },
  wrongRequest: { kind: 'song', prompt: '', title: 'x'.repeat(81), model: 'V3_5' },
  answers: {
    submitted: body(200, { taskId: '5c79be8e' }),
    refusals: [
      { answer: body(429), code: 'no_credits' },
      { answer: body(405), code: 'rate_limited' },
      { answer: { status: 429, text: 'slow down' }, code: 'rate_limited' },
      { answer: { status: 503, text: '' }, code: 'unavailable' },
    ],
    refusalSaying: (echo) => body(400, { echo, callBackUrl: echo }, echo),
    doubtful: [body(200), body(200, { taskId: '' }), body(409), { ...body(500), status: 500 }, { status: 504 }],
    task: {
      life: [
        { json: record('PENDING') },
        { json: record('TEXT_SUCCESS', []) },
        { json: record('TEXT_SUCCESS', streaming) },
        { json: record('FIRST_SUCCESS', [first!, streaming[1]!]) },
        { json: record('SUCCESS', [first!, second!]) },
      ],
      unknownStatus: { json: record('POLISHING') },
      failed: { json: record('GENERATE_AUDIO_FAILED') },
      failedCode: 'provider_failed',
      withFutureField: { json: record('SUCCESS', [{ ...first!, futureField: 'kept' }]) },
      finals: [
        { url: 'https://cdn.example.com/8551662c.mp3', durationMs: 198_440 },
        { url: 'https://cdn.example.com/bd15c8f4.mp3', durationMs: 228_000 },
      ],
      streamUrls: songs().map((song) => String(song.streamAudioUrl)),
    },
    credits: { some: body(200, 100), amount: 100, zero: body(200, 0) },
  },
  callbacks: (taskId) => {
    const complete = callbackComplete()
    const of = (callbackType: string, data: unknown) => ({ ...complete, data: { callbackType, task_id: taskId, data } })
    return [of('text', []), of('first', complete.data.data), of('complete', complete.data.data)]
  },
})
