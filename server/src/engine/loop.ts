import { sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'

/**
 * Runs `round` again and again: at once when woken or when the last round said that there is more, otherwise after
 * `everyMs`. A round that throws is logged and tried again a second later. `stop` waits for the round under way.
 */
export function createLoop(name: string, everyMs: number, round: () => Promise<'more' | 'done'>, logger: Logger) {
  let stopping = new AbortController()
  let napping = new AbortController()
  let woken = false
  let running: Promise<void> | null = null

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      woken = false
      let pause = everyMs
      try {
        if ((await round()) === 'more') pause = 0
      } catch (error) {
        logger.error({ err: error, loop: name }, 'a round failed')
        pause = Math.max(everyMs, 1_000)
      }
      if (woken || pause === 0) {
        await new Promise(setImmediate)
        continue
      }
      napping = new AbortController()
      await sleep(pause, AbortSignal.any([napping.signal, stopping.signal]))
    }
  }

  return {
    wake(): void {
      woken = true
      napping.abort()
    },
    start(): void {
      stopping = new AbortController()
      running ??= run()
    },
    async stop(): Promise<void> {
      stopping.abort()
      await running
      running = null
    },
  }
}
