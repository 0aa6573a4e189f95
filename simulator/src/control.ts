import type { IncomingMessage, ServerResponse } from 'node:http'
import { faultTable, readFault, type FaultRule } from './faults.ts'
import { parseJson, readText, sendJson } from './http.ts'
import type { Rate } from './rate.ts'
import type { HandWebhook, WebhookDelivery } from './replicate/webhooks.ts'
import type { CallbackType } from './suno/timeline.ts'
import type { Delivery } from './suno/callbacks.ts'

export interface LogEntry {
  /** Simulator's clock, ms. */
  at: number
  method: string
  path: string
  taskId: string | null
  /** HTTP status; null = no answer yet, or never. */
  status: number | null
  /** `code` of a Suno body. */
  code: number | null
}

export interface TaskReport {
  provider: string
  taskId: string
  createdAt: number
  prompt: string
  status: string
  songs: { id: string; durationSec: number; audioPath: string }[]
  callbacks: (Delivery | WebhookDelivery)[]
}

export interface FileReport {
  sha256: string
  bytes: number
  url: string
}

export interface HandCallback {
  taskId: string
  type: CallbackType
  /** Replaces the token in the task's callback address. */
  token?: string
  /** Replaces the whole body; a string is sent as it is. */
  body?: unknown
  times?: number
}

/** What a test or an operator may do to the provider behind its back. The HTTP endpoints are these. */
export interface SimulatorControl {
  /** `fault` may be the short form `name=value@variant:count`. Throws a RangeError for an unknown fault. */
  addFault(rule: Omit<FaultRule, 'name'> & { fault: string }): void
  clearFaults(): void
  faults(): readonly FaultRule[]
  /** For tasks accepted from now on. 0 = no delays. */
  setSpeed(speed: number): void
  setCredits(balance: number): void
  credits(): number
  /** Mureka's account: cents that are left, tasks at once. */
  setMureka(account: { balance?: number; concurrent?: number }): void
  advance(ms: number): void
  now(): number
  setRate(rate: Rate): void
  /** Forgets tasks, faults, log and clock shift; settings return to those of the start. */
  reset(): void
  /** The last 20 000 requests since the start of the process. */
  log(): LogEntry[]
  tasks(): TaskReport[]
  /** The true file, whatever faults do to it on the way; null when there is no such song. Google's pictures have no `url`. */
  file(taskId: string, index: number): Promise<FileReport | null>
  /** Sends callbacks now; null when there is no such task. */
  sendCallback(callback: HandCallback): Promise<Delivery[] | null>
  /** The same for Replicate, whose callbacks are signed. */
  sendWebhook(webhook: HandWebhook): Promise<WebhookDelivery[] | null>
}

type Body = Record<string, unknown>
interface Route {
  path: string
  takes: string
  does: string
  run: (control: SimulatorControl, body: Body, parameters: string[]) => unknown
}

const number = (body: Body, ...names: string[]): number => {
  const value = names.map((name) => body[name]).find((candidate) => candidate !== undefined)
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    throw new RangeError(`${names[0]} must be a number, 0 or more`)
  return value
}

/** The endpoints as data: dispatched by, and documented from, this table. `*` stands for one part of a path. */
export const controlRoutes: Route[] = [
  {
    path: 'POST /control/faults',
    takes: '`{fault, match?, value?, variant?, times?}`',
    does: 'sets a fault for all requests, or those whose prompt, style or title contain `match`; `times` bites',
    run: (control, body) => control.addFault(body as unknown as Parameters<SimulatorControl['addFault']>[0]),
  },
  {
    path: 'GET /control/faults',
    takes: '',
    does: 'faults that are set, and all that exist',
    run: (control) => ({ set: control.faults(), known: faultTable }),
  },
  { path: 'DELETE /control/faults', takes: '', does: 'removes them', run: (control) => control.clearFaults() },
  {
    path: 'POST /control/speed',
    takes: '`{speed}`',
    does: 'how many times faster new tasks go; 0 = no delays',
    run: (control, body) => control.setSpeed(number(body, 'speed')),
  },
  {
    path: 'POST /control/credits',
    takes: '`{credits}`',
    does: 'sets the balance',
    run: (control, body) => control.setCredits(number(body, 'credits')),
  },
  {
    path: 'POST /control/mureka',
    takes: '`{balance?, concurrent?}`',
    does: "sets what Mureka's billing tells and holds us to: cents left, tasks at once",
    run: (control, body) =>
      control.setMureka({
        ...(body.balance !== undefined && { balance: number(body, 'balance') }),
        ...(body.concurrent !== undefined && { concurrent: number(body, 'concurrent') }),
      }),
  },
  {
    path: 'POST /control/clock',
    takes: '`{advanceMs}`',
    does: "moves the simulator's clock forward",
    run: (control, body) => control.advance(number(body, 'advanceMs')),
  },
  { path: 'GET /control/clock', takes: '', does: '`{now}`, ms', run: (control) => ({ now: control.now() }) },
  {
    path: 'POST /control/rate',
    takes: '`{count, windowMs}` or `{off: true}`',
    does: 'the limit of submits for each key',
    run: (control, body) =>
      control.setRate(body.off === true ? null : { count: number(body, 'count'), windowMs: number(body, 'windowMs') }),
  },
  {
    path: 'POST /control/reset',
    takes: '',
    does: 'forgets tasks, faults, log and clock shift',
    run: (control) => control.reset(),
  },
  {
    path: 'GET /control/log',
    takes: '',
    does: 'requests received: `{at, method, path, taskId, status, code}`',
    run: (control) => control.log(),
  },
  {
    path: 'GET /control/tasks',
    takes: '',
    does: 'tasks with prompts, statuses and the callbacks sent with their answers',
    run: (control) => control.tasks(),
  },
  {
    path: 'GET /control/files/*/*',
    takes: 'task id, song (from 0)',
    does: '`{sha256, bytes, url}` of the true file',
    run: async (control, _body, [taskId, index]) => (await control.file(taskId!, Number(index))) ?? missing,
  },
  {
    path: 'POST /control/callback',
    takes: '`{taskId, type, token?, body?, times?}`',
    does: 'sends a callback by hand: forged, repeated, out of order; answers what the receiver said',
    run: async (control, body) => (await control.sendCallback(body as unknown as HandCallback)) ?? missing,
  },
  {
    path: 'POST /control/webhook',
    takes: '`{taskId, type?, webhookId?, secret?, ageSec?, body?, token?, times?}`',
    does: 'sends a signed callback of Replicate by hand: repeated, old, signed with another `secret` (null: not at all), with a `body` that was not signed',
    run: async (control, body) => (await control.sendWebhook(body as unknown as HandWebhook)) ?? missing,
  },
]

const missing = Symbol('missing')

/** Answers one `/control/…` request. */
export async function handleControl(
  control: SimulatorControl,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  // No page in a browser has business here; without a key this is all that keeps a foreign one out.
  if (request.headers.origin !== undefined) return sendJson(response, 403, { error: 'not from a browser' })
  const asked = `${request.method} ${path}`.split('/')
  for (const route of controlRoutes) {
    const parts = route.path.split('/')
    if (parts.length !== asked.length || !parts.every((part, i) => part === '*' || part === asked[i])) continue
    const parameters = asked.filter((_, i) => parts[i] === '*')
    const body = parseJson((await readText(request)) || '{}')
    if (typeof body !== 'object' || body === null) return sendJson(response, 400, { error: 'expected a JSON object' })
    try {
      const result = await route.run(control, body as Body, parameters)
      if (result === missing) return sendJson(response, 404, { error: 'no such task' })
      return sendJson(response, 200, result ?? { ok: true })
    } catch (error) {
      if (error instanceof RangeError) return sendJson(response, 400, { error: error.message })
      throw error
    }
  }
  sendJson(response, 404, { error: 'no such control' })
}

/** Reads a rule from outside, short form included. */
export function readRule(rule: Omit<FaultRule, 'name'> & { fault: string }): FaultRule {
  if (typeof rule.fault !== 'string') throw new RangeError('fault must be a text')
  const { count, ...fault } = readFault(rule.fault)
  const times = rule.times ?? count
  return {
    ...fault,
    ...(rule.value !== undefined && { value: String(rule.value) }),
    ...(rule.variant !== undefined && { variant: rule.variant }),
    ...(rule.match !== undefined && { match: rule.match }),
    ...(times !== undefined && { times }),
  }
}
