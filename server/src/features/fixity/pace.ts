import { sleep } from '../../kernel/clock.ts'

/** Naps shorter than this cost more than they spread; milliseconds. */
const LEAST_NAP_MS = 10

/**
 * Keeps all reading together at most this fast, from file to file: after each chunk it waits until its time is over.
 * What was not read in time is not caught up. Throws the signal's reason when aborted.
 */
export function createPace(bytesPerSec: number, now: () => number = () => performance.now()) {
  let free = 0
  return async function pace(bytes: number, signal: AbortSignal): Promise<void> {
    free = Math.max(free, now()) + (bytes / bytesPerSec) * 1000
    const nap = free - now()
    if (nap >= LEAST_NAP_MS) await sleep(nap, signal)
    signal.throwIfAborted()
  }
}
