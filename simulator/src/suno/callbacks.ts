import type { Addresses } from '../addresses.ts'
import type { Agenda } from '../agenda.ts'
import type { SimulatorClock } from '../clock.ts'
import { findFault } from '../faults.ts'
import type { Poster, PostResult } from '../post.ts'
import { callbackBody } from './payload.ts'
import type { SunoTask } from './task.ts'
import { callbackTypes, failureOf, has, momentOf, type CallbackType } from './timeline.ts'

/** One try to deliver one callback. `position` is its place in the task's plan; -1 = sent by hand. */
export interface Delivery {
  taskId: string
  position: number
  type: CallbackType
  at: number
  status: number | null
  error?: string
}

export interface Callbacks {
  /** Plans what is still to be sent; also after a restart. */
  resume(task: SunoTask): void
  /** Sends the first callback now and waits for its answer (`callback-early`), then plans the rest. */
  sendEarly(task: SunoTask): Promise<void>
  /** Whether the service has given up telling this task's end. */
  gaveUp(task: SunoTask): boolean
  deliveries(taskId: string): readonly Delivery[]
  byHand(task: SunoTask, options: { type: CallbackType; token?: string; body?: unknown }): Promise<Delivery>
  restore(delivery: Delivery): void
  clear(): void
  close(): void
}

export interface CallbackOptions {
  agenda: Agenda
  clock: SimulatorClock
  poster: Poster
  addresses: () => Addresses
  timeoutMs: number
  /** Waits before the second and the third try, ms. */
  retryMs: (task: SunoTask) => number[]
  record: (delivery: Delivery) => void
}

const TRIES = 3

/** Callbacks of a task go out in order; the next one waits for the first try of the one before, not for its retries. */
export function createCallbacks(options: CallbackOptions): Callbacks {
  const { agenda, clock, poster, addresses } = options
  const sent = new Map<string, Delivery[]>()
  let closed = false
  /** Grows when everything is forgotten, so that what is still under way ends there. */
  let era = 0

  const triesOf = (task: SunoTask, position: number) =>
    (sent.get(task.id) ?? []).filter((delivery) => delivery.position === position)
  const delivered = (task: SunoTask, position: number) =>
    triesOf(task, position).some((delivery) => delivery.status === 200)
  const exhausted = (task: SunoTask, position: number) =>
    !delivered(task, position) && triesOf(task, position).length >= TRIES
  const stopped = (task: SunoTask) => plan(task).some((_, position) => exhausted(task, position))

  const keep = (delivery: Delivery) => {
    const list = sent.get(delivery.taskId)
    if (list) list.push(delivery)
    else sent.set(delivery.taskId, [delivery])
  }

  async function send(task: SunoTask, type: CallbackType, position: number, url: string, body: unknown) {
    const begun = era
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const result: PostResult = await poster.post(url, text, options.timeoutMs)
    const delivery: Delivery = {
      taskId: task.id,
      position,
      type,
      at: clock.now(),
      status: 'status' in result ? result.status : null,
      ...('error' in result && { error: result.error }),
    }
    if (closed || era !== begun) return delivery
    keep(delivery)
    options.record(delivery)
    return delivery
  }

  async function attempt(task: SunoTask, position: number) {
    const planned = plan(task)[position]
    if (!planned || closed || stopped(task)) return
    const { type } = planned
    const begun = era
    const first = triesOf(task, position).length === 0
    const url = has(task, 'callback-forged') ? withToken(task.callBackUrl, 'forged') : task.callBackUrl
    const delivery = await send(task, type, position, url, callbackBody(task, type, failureOf(task), addresses()))
    if (closed || era !== begun) return
    // A forger tries once; the service tries again.
    const tries = triesOf(task, position).length
    if (delivery.status !== 200 && tries < TRIES && !has(task, 'callback-forged'))
      agenda.at(clock.now() + (options.retryMs(task)[tries - 1] ?? 0), () => void attempt(task, position))
    if (first) schedule(task, position + 1)
  }

  const schedule = (task: SunoTask, position: number) => {
    const next = plan(task)[position]
    if (next && Number.isFinite(next.due)) agenda.at(next.due, () => void attempt(task, position))
  }

  return {
    resume(task) {
      const planned = plan(task)
      let next = 0
      while (next < planned.length && triesOf(task, next).length > 0) {
        const position = next++
        if (!delivered(task, position) && !exhausted(task, position) && !has(task, 'callback-forged'))
          agenda.at(clock.now(), () => void attempt(task, position))
      }
      if (!stopped(task)) schedule(task, next)
    },
    async sendEarly(task) {
      await attempt(task, 0)
    },
    gaveUp(task) {
      const failed = (sent.get(task.id) ?? []).filter((delivery) => delivery.status !== 200)
      if (failed.length < TRIES) return false
      const last = plan(task).findIndex(({ type }) => type === 'complete' || type === 'error')
      return stopped(task) && !delivered(task, last)
    },
    deliveries: (taskId) => sent.get(taskId) ?? [],
    byHand(task, { type, token, body }) {
      const url = token === undefined ? task.callBackUrl : withToken(task.callBackUrl, token)
      return send(task, type, -1, url, body ?? callbackBody(task, type, failureOf(task), addresses()))
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

/** What is to be sent, in order, and when it is due. Never before the one ahead of it. */
function plan(task: SunoTask): { type: CallbackType; due: number }[] {
  const delay = Number(findFault(task.faults, 'callback-delay')?.value ?? 0)
  const early = has(task, 'callback-early')
  let due = 0
  const types = callbackTypes(task)
  if (has(task, 'callback-reversed')) due = Math.max(...types.map((type) => momentOf(task, type)))
  return types.flatMap((type, index) => {
    due = Math.max(due, momentOf(task, type) + (early && index === 0 ? 0 : delay))
    const entry = { type, due }
    return has(task, 'callback-double') ? [entry, entry] : [entry]
  })
}

/** The callback address with another token: in the query if there is one, else as the last part of the path. */
export function withToken(callBackUrl: string, token: string): string {
  const url = new URL(callBackUrl)
  const name = ['token', ...url.searchParams.keys()].find((key) => url.searchParams.has(key))
  if (name) url.searchParams.set(name, token)
  else url.pathname = url.pathname.replace(/[^/]*$/, encodeURIComponent(token))
  return url.href
}
