import { earlyId, failureOf, has } from './timeline.ts'
import type { SunoTask } from './task.ts'

export const CREDITS_PER_TASK = 12

/** All accepted tasks, found by their id or by a song's id, and what they cost. */
export function createTasks(initialCredits: number) {
  const tasks = new Map<string, SunoTask>()
  const songs = new Map<string, { task: SunoTask; index: number }>()
  let refundable: SunoTask[] = []
  /** The balance if nothing had ever been charged. */
  let granted = initialCredits

  const charged = (now: number) => {
    const refunded = refundable.filter((task) => now >= (failureOf(task)?.at ?? Infinity)).length
    return CREDITS_PER_TASK * (tasks.size - refunded)
  }

  return {
    add(task: SunoTask) {
      tasks.set(task.id, task)
      task.songs.forEach((song, index) => {
        songs.set(song.id, { task, index })
        if (has(task, 'id-change')) songs.set(earlyId(song.id), { task, index })
      })
      if (failureOf(task) && !has(task, 'no-refund')) refundable.push(task)
    },
    get: (id: string) => tasks.get(id),
    song: (id: string) => songs.get(id),
    all: () => [...tasks.values()],
    credits: (now: number) => granted - charged(now),
    /** Sets the balance; returns the value to be kept for `restoreGrant`. */
    setCredits(balance: number, now: number): number {
      granted = balance + charged(now)
      return granted
    },
    restoreGrant(value: number) {
      granted = value
    },
    clear(credits: number) {
      tasks.clear()
      songs.clear()
      refundable = []
      granted = credits
    },
  }
}

export type Tasks = ReturnType<typeof createTasks>
