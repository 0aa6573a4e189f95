import { callJson, lostSubmit, providerError, refusalByStatus, type CallResult } from '../http-call.ts'
import type { FieldError } from '../../kernel/errors.ts'
import { sha256Hex } from '../../kernel/ids.ts'
import type { GenerationRequest, Provider, ProviderResult, Snapshot } from '../provider.ts'
import type { ProviderFetch } from '../provider-fetch.ts'
import { startFakeServer, type FakeServer } from './fake-server.ts'

/**
 * The second shape: a provider that never calls back, can cancel and tells errors by HTTP status. Its protocol:
 * `POST /tasks {prompt}` → `{id}`; `GET /tasks/:id` → `{id, state, files[{id, url, preview, ms}], reason}`;
 * `DELETE /tasks/:id` → 200 or 409 (too late); `GET /credits` → `{left}`.
 */
export interface FakeProviderOptions {
  apiKey: string
  baseUrl: string
  fetch: ProviderFetch
  timeScale?: number
}

const STATES: Record<string, Snapshot['status']> = {
  waiting: 'queued',
  working: 'running',
  previewing: 'partial',
  ready: 'succeeded',
  broken: 'failed',
  stopped: 'cancelled',
}

export function createPollOnly({ apiKey, baseUrl, fetch, timeScale = 1 }: FakeProviderOptions): Provider {
  const ask = (method: 'GET' | 'POST' | 'DELETE', path: string, signal: AbortSignal, body?: unknown) =>
    callJson({ fetch, url: baseUrl + path, method, body, key: apiKey, signal, timeoutMs: 10_000, now: Date.now() })
  return {
    descriptor: {
      id: 'poll-only',
      mode: 'async',
      kinds: ['song'],
      callbackTrust: 'none',
      canCancel: true,
      canReportCredits: true,
      models: [{ id: 'plain', status: 'current' }],
      defaultModel: 'plain',
      firstPollMs: 30_000 * timeScale,
      pollMs: 15_000 * timeScale,
      pollMaxMs: 45_000 * timeScale,
      retentionMs: 3_600_000,
      rate: null,
      concurrency: 2,
    },
    account: `poll-only/${sha256Hex(apiKey).slice(0, 16)}`,
    resultCount: () => 1,
    validate: needsPrompt,
    async submit(request, { signal }) {
      const answer = await ask('POST', '/tasks', signal, { prompt: request.prompt })
      if (answer.kind === 'lost') return lostSubmit(answer)
      const id = field(answer.json, 'id')
      if (answer.status < 300 && typeof id === 'string' && id) return { kind: 'accepted', taskId: id, raw: answer.raw }
      return refusal(answer)
    },
    async check(taskId, signal) {
      const answer = await ask('GET', `/tasks/${encodeURIComponent(taskId)}`, signal)
      if (answer.kind === 'lost') return { kind: 'unreachable', error: providerError('transient', answer.detail) }
      if (answer.status >= 300) {
        const code = answer.status === 404 ? 'provider_task_gone' : (refusalByStatus(answer.status) ?? 'transient')
        return { kind: 'unreachable', error: providerError(code, `HTTP ${answer.status}`, answer.retryAfterMs) }
      }
      const state = field(answer.json, 'state')
      if (typeof state !== 'string') {
        return { kind: 'unreachable', error: providerError('provider_malformed', 'no state') }
      }
      const files = field(answer.json, 'files')
      const status = STATES[state] ?? 'running'
      const results = Array.isArray(files) ? files.map(readFile) : []
      const reason = String(field(answer.json, 'reason') ?? '')
      const error = status === 'failed' ? providerError('provider_failed', reason) : null
      return { kind: 'snapshot', snapshot: { status, results, error, raw: answer.raw } }
    },
    readCallback: () => null,
    async cancel(taskId, signal) {
      const answer = await ask('DELETE', `/tasks/${encodeURIComponent(taskId)}`, signal)
      if (answer.kind === 'lost') return 'unreachable'
      return answer.status < 300 ? 'cancelled' : answer.status === 409 ? 'too_late' : 'unreachable'
    },
    async credits(signal) {
      const answer = await ask('GET', '/credits', signal)
      const amount = answer.kind === 'answer' && answer.status < 300 ? field(answer.json, 'left') : null
      return Number.isInteger(amount) ? { amount: amount as number, unit: 'credits' } : null
    },
  }
}

export const needsPrompt = ({ prompt }: GenerationRequest): FieldError[] =>
  prompt.trim() ? [] : [{ path: 'prompt', rule: 'required', message: 'Say what is wanted.' }]

export const field = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined

/** The submit outcome of a provider that speaks through HTTP statuses. */
export function refusal(answer: Extract<CallResult, { kind: 'answer' }>) {
  const code = answer.status < 300 ? null : refusalByStatus(answer.status)
  const detail = `HTTP ${answer.status}: ${JSON.stringify(answer.raw) ?? ''}`
  return code
    ? { kind: 'refused' as const, sent: true, error: providerError(code, detail, answer.retryAfterMs), raw: answer.raw }
    : { kind: 'unknown' as const, error: providerError('provider_malformed', detail, answer.retryAfterMs) }
}

const text = (value: unknown): string | null => (typeof value === 'string' && value ? value : null)

function readFile(file: unknown): ProviderResult {
  const url = text(field(file, 'url'))
  const ms = field(file, 'ms')
  return {
    providerId: text(field(file, 'id')),
    final: url ? { url } : null,
    previewUrl: text(field(file, 'preview')),
    coverUrl: null,
    title: null,
    tags: null,
    lyrics: null,
    durationMs: typeof ms === 'number' ? Math.round(ms) : null,
  }
}

export interface PollOnlyTask {
  id: string
  prompt: string
  state: string
  files: { id: string; url?: string; preview?: string; ms?: number }[]
  reason?: string
}

export interface FakePollOnly extends FakeServer {
  readonly tasks: PollOnlyTask[]
  credits: number
  set(taskId: string, state: string, files?: PollOnlyTask['files']): void
}

export async function startPollOnly(): Promise<FakePollOnly> {
  const tasks: PollOnlyTask[] = []
  const server = await startFakeServer((request) => {
    if (request.method === 'POST' && request.path === '/tasks') {
      const id = `poll-${tasks.length + 1}`
      const task: PollOnlyTask = { id, prompt: request.json?.prompt, state: 'waiting', files: [] }
      tasks.push(task)
      return { status: 201, json: { id: task.id } }
    }
    if (request.path === '/credits') return { json: { left: fake.credits } }
    const task = tasks.find(({ id }) => request.path === `/tasks/${id}`)
    if (!task) return { status: 404, json: { error: 'no such task' } }
    if (request.method === 'DELETE') {
      if (!['waiting', 'working'].includes(task.state)) return { status: 409, json: { error: 'too late' } }
      task.state = 'stopped'
    }
    return { json: task }
  })
  const fake: FakePollOnly = Object.assign(server, {
    tasks,
    credits: 100,
    set(taskId: string, state: string, files?: PollOnlyTask['files']) {
      const task = tasks.find(({ id }) => id === taskId)
      if (!task) throw new Error(`no task ${taskId}`)
      task.state = state
      if (files) task.files = files
    },
  })
  return fake
}
