/**
 * Named places where a test kills the process. In production this does nothing; `REPRISE_CRASH_AT=<name>[:n]` ends the
 * process (as kill -9 would) the n-th time that the place is reached; `<name>:n:stop` freezes it there instead.
 */
export const CRASH_POINTS = [
  'after_slot', 'before_post', 'after_post', 'after_answer', 'before_check', 'after_check', 'after_claim', 'after_download', 'after_publish',
  'after_stored',
  // In every transaction that moves generations: all is written but not committed; committed but nobody knows.
  'before_commit', 'after_commit',
  // Before and after each round trip to database, provider and store, in the order in which they happen.
  'trip',
] as const
export type CrashPoint = (typeof CRASH_POINTS)[number]

export type Crash = (point: CrashPoint) => void | Promise<void>

export const noCrash: Crash = () => undefined

export function crashFrom(env: Record<string, string | undefined>): Crash {
  const wanted = env.REPRISE_CRASH_AT
  if (!wanted) return noCrash
  const [name, times = '1', how = 'kill'] = wanted.split(':')
  let left = Number(times)
  return (point) => {
    if (point === name && --left === 0) process.kill(process.pid, how === 'stop' ? 'SIGSTOP' : 'SIGKILL')
  }
}

/** `target` whose named asynchronous methods are round trips: the crash is asked before and after each. */
export function countTrips<T extends object>(target: T, methods: (keyof T & string)[], crash: Crash): T {
  if (crash === noCrash) return target
  const counted = Object.fromEntries(methods.filter((name) => typeof target[name] === 'function').map((name) => [name, async (...given: unknown[]) => {
    await crash('trip')
    // Inside a transaction every statement is a trip of its own, and so is the commit.
    const args = given.map((one) => (name === 'transaction' && typeof one === 'function' ? (tx: T) => one(countTrips(tx, ['query' as never], crash)) : one))
    const result = await (target[name] as (...args: unknown[]) => unknown).apply(target, args)
    await crash('trip')
    return result
  }]))
  return { ...target, ...counted }
}
