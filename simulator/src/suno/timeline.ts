import { findFault } from '../faults.ts'
import { createDice, hashUuid } from '../random.ts'
import type { SunoTask } from './task.ts'

/** Moments of a task on the simulator's clock, ms. */
export interface Timeline {
  text: number
  stream: number
  first: number
  final: number
}

export type CallbackType = 'text' | 'first' | 'complete' | 'error'

export interface SongView {
  index: number
  id: string
  /** Which of its addresses are known by now. */
  stream: boolean
  audio: boolean
}

export interface TaskView {
  status: string
  songs: SongView[]
  failure: { code: number; message: string } | null
}

const failures = {
  sensitive: {
    status: 'SENSITIVE_WORD_ERROR',
    at: 'text',
    code: 400,
    message: 'Your prompt contains sensitive words. Please modify it and try again.',
  },
  'create-failed': { status: 'CREATE_TASK_FAILED', at: 'text', code: 500, message: 'Failed to create the task.' },
  'audio-failed': {
    status: 'GENERATE_AUDIO_FAILED',
    at: 'final',
    code: 500,
    message: 'Internal Error, Please try again later.',
  },
  'partial-then-fail': {
    status: 'GENERATE_AUDIO_FAILED',
    at: 'final',
    code: 500,
    message: 'Internal Error, Please try again later.',
  },
} as const

export const has = (task: SunoTask, name: string) => findFault(task.faults, name) !== undefined

/** The way this task will fail, if it will. */
export function failureOf(task: SunoTask) {
  const name = (Object.keys(failures) as (keyof typeof failures)[]).find((key) => has(task, key))
  return name ? { ...failures[name], at: timelineOf(task)[failures[name].at] } : null
}

/** At speed 1: lyrics after 12–18 s, stream after 30–40 s, first song after 80–110 s, both after 125–175 s. */
export function timelineOf(task: SunoTask): Timeline {
  const known = timelines.get(task)
  if (known) return known
  const made = makeTimeline(task)
  timelines.set(task, made)
  return made
}

/** Tasks never change, so their timelines need making only once. */
const timelines = new WeakMap<SunoTask, Timeline>()

function makeTimeline(task: SunoTask): Timeline {
  const dice = createDice(task.id)
  const seconds = {
    text: dice.between(12, 18),
    stream: dice.between(30, 40),
    first: dice.between(80, 110),
    final: dice.between(125, 175),
  }
  const after = (value: number) => (task.speed === 0 ? 0 : Math.round((value * 1000) / task.speed))
  const late = Number(findFault(task.faults, 'late')?.value ?? 0) * 1000
  const never = has(task, 'never-finishes')
  const moments = {
    text: task.createdAt + after(seconds.text),
    stream: task.createdAt + after(seconds.stream),
    first: never ? Infinity : task.createdAt + after(seconds.first),
    final: never ? Infinity : task.createdAt + after(seconds.final) + late,
  }
  if (has(task, 'callback-early')) {
    // The stage that the early callback speaks of must be true already.
    const reached = callbackTypes(task)[0]
    moments.text = task.createdAt
    if (reached === 'first' || reached === 'complete') moments.stream = moments.first = task.createdAt
    if (reached === 'complete') moments.final = task.createdAt
  }
  return moments
}

/** The callbacks this task will send, in order. */
export function callbackTypes(task: SunoTask): CallbackType[] {
  if (has(task, 'callback-never') || has(task, 'callback-exception')) return []
  const stages: CallbackType[] = []
  const failing = (Object.keys(failures) as (keyof typeof failures)[]).find((key) => has(task, key))
  const failsAtOnce = failing !== undefined && failures[failing].at === 'text'
  if (!failsAtOnce && !has(task, 'skip-text')) stages.push('text')
  const firstComes = !failing || failing === 'partial-then-fail'
  if (firstComes && !has(task, 'skip-first')) stages.push('first')
  stages.push(failing ? 'error' : 'complete')
  return has(task, 'callback-reversed') ? stages.reverse() : stages
}

/** When a callback of this type is due by the timeline alone. */
export function momentOf(task: SunoTask, type: CallbackType): number {
  const times = timelineOf(task)
  if (type === 'error') return failureOf(task)?.at ?? times.final
  return type === 'text' ? times.text : type === 'first' ? times.first : times.final
}

/** The songs as a callback of this type, or record-info at that stage, tells them. */
export function songsAt(task: SunoTask, stage: 'text' | 'stream' | 'first' | 'complete'): SongView[] {
  const count = stage === 'complete' && has(task, 'one-song') ? 1 : task.songs.length
  return task.songs.slice(0, count).map((song, index) => {
    const audio = stage === 'complete' || (stage === 'first' && index === 0)
    const noUrl = findFault(task.faults, 'no-audio-url')
    const hidden = noUrl !== undefined && (noUrl.variant === undefined || noUrl.variant === index)
    return {
      index,
      id: stage !== 'complete' && has(task, 'id-change') ? earlyId(song.id) : song.id,
      stream: stage !== 'text',
      audio: audio && !hidden,
    }
  })
}

export const earlyId = (songId: string) => hashUuid(`early|${songId}`)

/** What record-info tells at `now`. `undelivered`: the final callback was given up after its last try. */
export function viewOf(task: SunoTask, now: number, undelivered: boolean): TaskView {
  const times = timelineOf(task)
  const failure = failureOf(task)
  if (failure && now >= failure.at) {
    const songs = has(task, 'partial-then-fail') ? songsAt(task, 'first').slice(0, 1) : []
    return { status: failure.status, songs, failure: { code: failure.code, message: failure.message } }
  }
  if (!failure && now >= times.final) {
    const lost = undelivered || has(task, 'callback-exception')
    return { status: lost ? 'CALLBACK_EXCEPTION' : 'SUCCESS', songs: songsAt(task, 'complete'), failure: null }
  }
  const running = (status: string, songs: SongView[]): TaskView => {
    const odd = findFault(task.faults, 'unknown-status')
    return { status: odd ? (odd.value ?? 'MASTERING_QUEUED') : status, songs, failure: null }
  }
  const firstComes = !failure || has(task, 'partial-then-fail')
  if (firstComes && now >= times.first) return running('FIRST_SUCCESS', songsAt(task, 'first'))
  if (now >= times.stream) return running('TEXT_SUCCESS', songsAt(task, 'stream'))
  if (now >= times.text) return running('TEXT_SUCCESS', songsAt(task, 'text'))
  return running('PENDING', [])
}

/** When the file of one song can be downloaded; Infinity when never. */
export function fileReadyAt(task: SunoTask, index: number): number {
  const times = timelineOf(task)
  const failure = failureOf(task)
  if (failure) return has(task, 'partial-then-fail') && index === 0 ? times.first : Infinity
  return index === 0 ? Math.min(times.first, times.final) : times.final
}
