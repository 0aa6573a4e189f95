import { createHmac, randomBytes } from 'node:crypto'
import type { Agenda } from '../agenda.ts'
import type { SimulatorClock } from '../clock.ts'
import { findFault } from '../faults.ts'
import type { Poster } from '../post.ts'
import { withToken } from '../suno/callbacks.ts'
import { has, momentsOf, type Prediction } from './prediction.ts'

export type WebhookEvent = 'start' | 'completed'

/** One try to deliver one webhook. */
export interface WebhookDelivery {
  taskId: string
  type: WebhookEvent
  /** The header `webhook-id`: the same for every try and repeat of one webhook. */
  webhookId: string
  /** Sent by hand: no part of the plan. */
  byHand: boolean
  at: number
  status: number | null
  error?: string
}

export interface HandWebhook {
  taskId: string
  type?: WebhookEvent
  /** `webhook-id`; the one sent before, to repeat it. */
  webhookId?: string
  /** What it is signed with, instead of the account's secret; null leaves it unsigned. */
  secret?: string | null
  /** How long ago it says that it was signed, seconds. */
  ageSec?: number
  /** What is sent instead of the body that was signed; a string is sent as it is. */
  body?: unknown
  /** Replaces the token in the webhook's address. */
  token?: string
  times?: number
}

interface Parts {
  agenda: Agenda
  clock: SimulatorClock
  poster: Poster
  secret: string
  body: (task: Prediction) => Record<string, unknown>
  decoyUrl: () => string
  timeoutMs: number
  /** Waits before the second and the third try, ms. */
  retryMs: (task: Prediction) => number[]
  record: (delivery: WebhookDelivery) => void
}

const TRIES = 3
const FALSE = ['callback-forged', 'callback-altered', 'callback-stale', 'callback-unsigned']

/** Standard Webhooks: HMAC-SHA256 over id, time and the very bytes of the body. */
export function signatureHeaders(webhookId: string, atMs: number, body: string, secret: string): Record<string, string> {
  const timestamp = String(Math.floor(atMs / 1000))
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const signature = createHmac('sha256', key).update(`${webhookId}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': webhookId, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}

/** `start` and `completed` of each prediction that asked for them, signed, repeated until somebody says 2xx. */
export function createWebhooks(parts: Parts) {
  const { agenda, clock, poster } = parts
  const sent = new Map<string, WebhookDelivery[]>()
  const underWay = new Set<string>()
  let closed = false
  /** Grows when everything is forgotten, so that what is still under way ends there. */
  let era = 0

  const triesOf = (task: Prediction, event: WebhookEvent) =>
    (sent.get(task.id) ?? []).filter((delivery) => delivery.type === event && !delivery.byHand)
  const isDone = (task: Prediction, event: WebhookEvent) => {
    const tries = triesOf(task, event)
    return tries.length >= TRIES || tries.some(({ status }) => isOk(status)) || (tries.length > 0 && isFalse(task))
  }
  const keep = (delivery: WebhookDelivery) => void sent.set(delivery.taskId, [...(sent.get(delivery.taskId) ?? []), delivery])

  async function post(task: Prediction, delivery: Pick<WebhookDelivery, 'type' | 'webhookId' | 'byHand'>, url: string, text: string, headers: Record<string, string>) {
    const begun = era
    const result = await poster.post(url, text, parts.timeoutMs, headers)
    const done: WebhookDelivery = {
      taskId: task.id, ...delivery, at: clock.now(), status: 'status' in result ? result.status : null, ...('error' in result && { error: result.error }),
    }
    if (closed || era !== begun) return done
    keep(done)
    parts.record(done)
    return done
  }

  async function attempt(task: Prediction, event: WebhookEvent) {
    const key = `${task.id} ${event}`
    // Planned anew by a restart or a cancellation, or canceled before it started.
    if (closed || !task.webhook || isDone(task, event) || underWay.has(key) || !Number.isFinite(dueOf(task, event))) return
    const begun = era
    underWay.add(key)
    const webhookId = triesOf(task, event)[0]?.webhookId ?? `msg_${randomBytes(12).toString('hex')}`
    const body = JSON.stringify(parts.body(task))
    const text = has(task, 'callback-altered') ? JSON.stringify({ ...parts.body(task), output: parts.decoyUrl() }) : body
    const secret = has(task, 'callback-forged') ? wrongSecret() : parts.secret
    // The receiver's clock is the real one, however far this one was moved.
    const at = realTime() - (has(task, 'callback-stale') ? 360_000 : 0)
    const headers = has(task, 'callback-unsigned') ? {} : signatureHeaders(webhookId, at, body, secret)
    const delivery = { type: event, webhookId, byHand: false }
    const done = await post(task, delivery, task.webhook, text, headers)
    underWay.delete(key)
    if (closed || era !== begun) return
    if (has(task, 'callback-double') && isOk(done.status)) await post(task, delivery, task.webhook, text, headers)
    const tries = triesOf(task, event).length
    if (!isDone(task, event)) agenda.at(clock.now() + (parts.retryMs(task)[tries - 1] ?? 0), () => void attempt(task, event))
  }
  const realTime = () => clock.now() - clock.shift()

  function dueOf(task: Prediction, event: WebhookEvent): number {
    const { started, ended } = momentsOf(task)
    const delay = Number(findFault(task.faults, 'callback-delay')?.value ?? 0)
    if (event === 'start' && (ended < started || has(task, 'timed-out'))) return Infinity
    return (event === 'completed' || has(task, 'callback-reversed') ? ended : started) + delay
  }

  return {
    /** Plans what is still to be sent; also after a restart and after a cancellation. */
    resume(task: Prediction) {
      if (!task.webhook || has(task, 'callback-never')) return
      const events = (has(task, 'callback-reversed') ? ['completed', 'start'] : ['start', 'completed']) as WebhookEvent[]
      for (const event of events) {
        if (!task.events.includes(event) || isDone(task, event)) continue
        const due = dueOf(task, event)
        if (Number.isFinite(due)) agenda.at(due, () => void attempt(task, event))
      }
    },
    /** Sends the first one now and waits for its answer. */
    sendEarly: (task: Prediction) => attempt(task, 'start'),
    deliveries: (taskId: string): readonly WebhookDelivery[] => sent.get(taskId) ?? [],
    async byHand(task: Prediction, hand: HandWebhook): Promise<WebhookDelivery[]> {
      const { type = 'completed', ageSec = 0, times = 1, secret = parts.secret } = hand
      const webhookId = hand.webhookId ?? `msg_${randomBytes(12).toString('hex')}`
      const signed = JSON.stringify(parts.body(task))
      const text = hand.body === undefined ? signed : typeof hand.body === 'string' ? hand.body : JSON.stringify(hand.body)
      const url = hand.token === undefined ? task.webhook! : withToken(task.webhook!, hand.token)
      const headers = secret === null ? {} : signatureHeaders(webhookId, realTime() - ageSec * 1000, signed, secret)
      const done: WebhookDelivery[] = []
      for (let i = 0; i < times; i++) done.push(await post(task, { type, webhookId, byHand: true }, url, text, headers))
      return done
    },
    restore: keep,
    clear() {
      era++
      sent.clear()
    },
    close() {
      closed = true
      poster.close()
    },
  }
}

const isOk = (status: number | null) => status !== null && status >= 200 && status < 300
/** A forger tries once; the service tries again. */
const isFalse = (task: Prediction) => FALSE.some((name) => has(task, name))
const wrongSecret = () => `whsec_${randomBytes(24).toString('base64')}`
