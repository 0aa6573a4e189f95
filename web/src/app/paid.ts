import { api, ApiProblem } from './api.ts'
import { recall, remember } from './browser-memory.ts'
import { onLeave } from './session.ts'

const KEPT = 'reprise.unanswered'
const MOST = 30

/** The key of each request that has had no good answer yet. It outlives a reload, as what was typed does. */
const unanswered = new Map<string, string>(kept())

const underWay = new Map<string, Promise<unknown>>()

/**
 * POSTs what may be done only once: tokens are spent or given. The same body at the same path has the same key until a
 * good answer has come, so an answer that was lost can be asked for again by any click. Two at once are one. Throws only
 * `ApiProblem`.
 */
export function paid<T>(path: string, body: object = {}): Promise<T> {
  // In which language it is answered makes it no other request.
  const name = `${path.split('?')[0]} ${JSON.stringify(body)}`
  const twin = underWay.get(name) as Promise<T> | undefined
  if (twin) return twin
  const sending = send<T>(path, body, name).finally(() => underWay.delete(name))
  underWay.set(name, sending)
  return sending
}

async function send<T>(path: string, body: object, name: string): Promise<T> {
  const key = unanswered.get(name) ?? crypto.randomUUID()
  unanswered.set(name, key)
  for (const oldest of unanswered.keys()) if (unanswered.size > MOST) unanswered.delete(oldest)
  keep()
  const answer = await api<T | undefined>(path, { method: 'POST', body, headers: { 'idempotency-key': key } })
  // A page that somebody on the way put in the answer's place.
  if (answer === undefined) throw new ApiProblem(0, {})
  unanswered.delete(name)
  keep()
  return answer
}

/** Whether it is sent again by itself: no answer came, or the first is still being worked on. */
export const sendAgain = (count: number, problem: Error): boolean =>
  count < 3 && problem instanceof ApiProblem && (problem.status === 0 || problem.code.toLowerCase() === 'request_in_progress')

/** Whether it is not known if it was done: no answer came, or only a gateway's. */
export const isUnanswered = (problem: unknown): boolean => problem instanceof ApiProblem && (problem.status === 0 || problem.code.startsWith('http_5'))

onLeave(() => {
  unanswered.clear()
  keep()
})

function keep(): void {
  remember(KEPT, unanswered.size > 0 ? JSON.stringify([...unanswered]) : null, 'tab')
}

function kept(): [string, string][] {
  try {
    return JSON.parse(recall(KEPT, 'tab') ?? '[]') as [string, string][]
  } catch {
    return []
  }
}
