import { expect } from 'vitest'
import type { Answer, Harness, TestUser } from './harness.ts'

/** What the tests of seed 001 share: channels, runs and jobs as its front end asks for them. */
export const PROGRESS = {
  STAGE_10_REQUEST_ACCEPTED: 'Запрос принят, отправляем запрос в Suno...',
  STAGE_20_SUNO_REQUEST_SENT: 'Запрос отправлен в Suno, ожидаем ответ...',
  STAGE_30_SUNO_TASK_CREATED: 'Задача создана в Suno, ожидаем генерацию...',
  STAGE_40_SUNO_PENDING: 'Генерация музыки в процессе (PENDING/GENERATING)...',
  STAGE_50_SUNO_SUCCESS: 'Музыка сгенерирована успешно!',
  STAGE_90_FAILED: 'Ошибка при генерации',
  STAGE_99_TIMEOUT: 'Превышено время ожидания',
} as const

export const FINAL = ['STAGE_50_SUNO_SUCCESS', 'STAGE_90_FAILED', 'STAGE_99_TIMEOUT']

export const JOB_ID = /^job_\d{13}_[0-9a-z]{6,}$/
export const REQUEST_ID = /^req_\d{13}_[0-9a-z]{6,}$/
export const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
export const like = (pattern: RegExp): unknown => expect.stringMatching(pattern)

/** Every field of a job's answer, and no other; `known` says what the stage fixes. */
export function jobAnswer(known: Record<string, unknown>): unknown {
  return {
    success: true, ok: true, jobId: like(JOB_ID), channelId: expect.any(String), sunoTaskId: null, audioUrl: null, error: null,
    createdAt: like(ISO), updatedAt: like(ISO), heartbeat: { secondsSinceUpdate: expect.any(Number), isStale: false },
    requestId: like(REQUEST_ID), progressText: PROGRESS[known.stage as keyof typeof PROGRESS], ...known,
  }
}

export async function makeChannel(reprise: Harness, user: TestUser, sunoPrompt = 'a quiet waltz', more: Record<string, unknown> = {}): Promise<string> {
  const made = await reprise.call('POST', '/api/channels', { token: user.token, body: { name: 'Клипы', musicClipsSettings: { sunoPrompt }, ...more } })
  expect(made.status).toBe(201)
  return made.body.id
}

/** Asks as the seed's front end does. */
export function run(reprise: Harness, user: TestUser, channelId: string, body: unknown = { userId: user.id }): Promise<Answer> {
  return reprise.call('POST', `/api/music-clips/channels/${channelId}/runOnce`, { token: user.token, body, headers: { 'x-user-id': user.id } })
}

export const job = (reprise: Harness, user: TestUser, jobId: string, query = ''): Promise<Answer> =>
  reprise.call('GET', `/api/music-clips/jobs/${jobId}${query}`, { token: user.token })

/** Asks for the job until `holds`; the answer of that moment. */
export async function jobWhen(reprise: Harness, user: TestUser, jobId: string, holds: (job: any) => boolean, timeoutMs = 15_000): Promise<Answer> {
  return eventually(() => job(reprise, user, jobId), ({ body }) => holds(body), timeoutMs)
}

export const ended = (one: any): boolean => FINAL.includes(one.stage)

/** Starts a run of a fresh channel with this prompt. */
export async function begin(reprise: Harness, user: TestUser, prompt: string): Promise<{ jobId: string; channelId: string }> {
  const channelId = await makeChannel(reprise, user, prompt)
  const started = await run(reprise, user, channelId)
  expect(started.status).toBe(202)
  return { jobId: started.body.jobId, channelId }
}

export async function eventually<T>(look: () => T | Promise<T>, holds: (seen: T) => boolean, timeoutMs = 15_000): Promise<T> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const seen = await look()
    if (holds(seen)) return seen
    if (Date.now() > end) throw new Error(`not in time: ${JSON.stringify(seen)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function balance(reprise: Harness, user: TestUser): Promise<unknown> {
  return (await reprise.call('GET', '/api/balance', { token: user.token })).body
}

/** Rows that break a promise about tokens; empty. */
export async function ledgerViolations(reprise: Harness): Promise<unknown[]> {
  return (await reprise.database.db.query('select * from reprise.ledger_violations')).rows
}
