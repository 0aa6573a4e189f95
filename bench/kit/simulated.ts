import type { LogEntry, TaskReport } from '../../simulator/src/control.ts'
import type { SunoTask } from '../../simulator/src/suno/task.ts'
import { fileReadyAt, timelineOf } from '../../simulator/src/suno/timeline.ts'

export type { LogEntry, TaskReport }

/** The simulator's own timetable of a task without faults: when its songs could first be downloaded, epoch ms. */
export function timetable(task: TaskReport, speed: number): { ready: number[]; final: number } {
  const plain = { id: task.taskId, createdAt: task.createdAt, speed, faults: [] } as unknown as SunoTask
  return { ready: task.songs.map((_, index) => fileReadyAt(plain, index)), final: timelineOf(plain).final }
}
