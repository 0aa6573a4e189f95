import { callJson, lostSubmit, providerError } from '../http-call.ts'
import { sha256Hex } from '../../kernel/ids.ts'
import type { Provider } from '../provider.ts'
import { startFakeServer, type FakeServer } from './fake-server.ts'
import { field, needsPrompt, refusal, type FakeProviderOptions } from './poll-only.ts'

/** The third shape: the answer to the submit is the picture. Protocol: `POST /make {prompt}` → `{mime, base64}`. */
export function createSyncBytes({ apiKey, baseUrl, fetch, timeScale = 1 }: FakeProviderOptions): Provider {
  return {
    descriptor: {
      id: 'sync-bytes',
      mode: 'sync',
      kinds: ['image'],
      callbackTrust: 'none',
      canCancel: false,
      canReportCredits: false,
      models: [{ id: 'plain', status: 'current' }],
      defaultModel: 'plain',
      firstPollMs: 30_000 * timeScale,
      pollMs: 15_000 * timeScale,
      pollMaxMs: 45_000 * timeScale,
      retentionMs: 0,
      rate: null,
      concurrency: null,
    },
    account: `sync-bytes/${sha256Hex(apiKey).slice(0, 16)}`,
    resultCount: () => 1,
    validate: needsPrompt,
    async submit(request, { signal }) {
      const answer = await callJson({
        fetch,
        url: `${baseUrl}/make`,
        method: 'POST',
        body: { prompt: request.prompt },
        key: apiKey,
        signal,
        timeoutMs: 10_000,
        now: Date.now(),
      })
      if (answer.kind === 'lost') return lostSubmit(answer)
      const base64 = field(answer.json, 'base64')
      const bytes = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : null
      if (answer.status >= 300 || !bytes?.length) return refusal(answer)
      const mime = String(field(answer.json, 'mime') ?? 'application/octet-stream')
      const empty = { previewUrl: null, coverUrl: null, title: null, tags: null, lyrics: null, durationMs: null }
      // The bytes are the result; a second copy of them in the timeline would help nobody.
      const raw = { ...(answer.raw as object), base64: `${bytes.length} bytes` }
      return { kind: 'finished', results: [{ providerId: null, final: { bytes, mime }, ...empty }], raw }
    },
    async check() {
      return { kind: 'unreachable', error: providerError('provider_task_gone', 'answers at once; there is no task') }
    },
    readCallback: () => null,
  }
}

/** One transparent pixel. */
export const PIXEL_PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

export const startSyncBytes = (): Promise<FakeServer> =>
  startFakeServer(() => ({ json: { mime: 'image/png', base64: PIXEL_PNG } }))
