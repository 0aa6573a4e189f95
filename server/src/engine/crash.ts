/**
 * Named places where a test kills the process. In production this does nothing; `REPRISE_CRASH_AT=<name>[:n]` ends the
 * process (as kill -9 would) the n-th time that the place is reached.
 */
export type CrashPoint =
  'after_slot' | 'before_post' | 'after_post' | 'after_answer' | 'before_check' | 'after_check' | 'after_download' | 'after_publish' | 'after_stored'

export type Crash = (point: CrashPoint) => void | Promise<void>

export const noCrash: Crash = () => undefined

export function crashFrom(env: Record<string, string | undefined>): Crash {
  const wanted = env.REPRISE_CRASH_AT
  if (!wanted) return noCrash
  const [name, times = '1'] = wanted.split(':')
  let left = Number(times)
  return (point) => {
    if (point === name && --left <= 0) process.kill(process.pid, 'SIGKILL')
  }
}
