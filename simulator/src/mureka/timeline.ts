import { findFault } from '../faults.ts'
import { createDice } from '../random.ts'
import type { MurekaTask } from './task.ts'

/** Moments of a task on the simulator's clock, ms. */
export interface Timeline {
  queued: number
  running: number
  stream: number
  final: number
}

export type Status = 'preparing' | 'queued' | 'running' | 'streaming' | 'succeeded' | 'failed' | 'timeouted' | 'cancelled'

/** The ways a task can end badly, by the fault that asks for it. */
const ENDS: Record<string, { status: Status; reason: string }> = {
  sensitive: { status: 'failed', reason: 'The lyrics contain sensitive words.' },
  'create-failed': { status: 'failed', reason: 'The task could not be created.' },
  'audio-failed': { status: 'failed', reason: 'Song generation failed.' },
  'partial-then-fail': { status: 'failed', reason: 'Song generation failed.' },
  'timed-out': { status: 'timeouted', reason: '' },
  cancelled: { status: 'cancelled', reason: '' },
}

export const has = (task: MurekaTask, name: string) => findFault(task.faults, name) !== undefined

/** The way this task will fail, if it will. */
export const failureOf = (task: MurekaTask) => Object.entries(ENDS).find(([name]) => has(task, name))?.[1] ?? null

/** At speed 1: queued after 1–3 s, running after 3–6 s, a stream after 15–20 s, done after 38–52 s. */
export function timelineOf(task: MurekaTask): Timeline {
  const dice = createDice(task.id)
  const after = (low: number, high: number) => {
    const seconds = dice.between(low, high)
    return task.createdAt + (task.speed === 0 ? 0 : Math.round((seconds * 1000) / task.speed))
  }
  const late = Number(findFault(task.faults, 'late')?.value ?? 0) * 1000
  const moments = { queued: after(1, 3), running: after(3, 6), stream: after(15, 20), final: after(38, 52) + late }
  return has(task, 'never-finishes') ? { ...moments, final: Infinity } : moments
}

export interface TaskView {
  /** One of `Status`, or whatever the fault `unknown-status` says. */
  status: string
  reason: string
  /** Indices of the songs that are told. */
  songs: number[]
}

/** What a query tells at `now`. */
export function viewOf(task: MurekaTask, now: number): TaskView {
  const times = timelineOf(task)
  const all = task.songs.map((_, index) => index)
  if (now >= times.final) {
    const failure = failureOf(task)
    if (failure) return { ...failure, songs: has(task, 'partial-then-fail') ? [0] : [] }
    return { status: 'succeeded', reason: '', songs: has(task, 'one-song') ? [0] : all }
  }
  const odd = findFault(task.faults, 'unknown-status')
  const running = (status: Status, songs: number[] = []) => ({ status: odd ? (odd.value ?? 'mastering') : status, reason: '', songs })
  if (task.stream && now >= times.stream) return running('streaming', all)
  if (now >= times.running) return running('running')
  return running(now >= times.queued ? 'queued' : 'preparing')
}

/** When the file of one song can be downloaded; Infinity when never. */
export function fileReadyAt(task: MurekaTask, index: number): number {
  const failed = failureOf(task) !== null && !(has(task, 'partial-then-fail') && index === 0)
  return failed ? Infinity : timelineOf(task).final
}
