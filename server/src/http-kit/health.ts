import type { Clock } from '../kernel/clock.ts'
import type { App } from './openapi.ts'

/** Throws or rejects when the thing is not usable now. */
export type ReadyCheck = () => Promise<unknown>

export interface Health {
  /** Mounts `/livez` (the process answers) and `/readyz` (it should be given requests). Open to all, no details. */
  mount(app: App): void
  /** From now on `/readyz` answers 503, so that no new requests are sent here. */
  drain(): void
}

/** Anyone may ask, so the checks run at most once a second. */
const REMEMBER_MS = 1_000

export function createHealth(options: {
  checks: Record<string, ReadyCheck>
  clock: Clock
  /** A check that takes longer has failed; milliseconds. */
  timeoutMs?: number
}): Health {
  const { checks, clock, timeoutMs = 2_000 } = options
  let draining = false
  let last: { at: number; failing: Promise<string[]> } | undefined

  const failing = (): Promise<string[]> => {
    const now = clock.now()
    if (!last || now - last.at >= REMEMBER_MS) last = { at: now, failing: findFailing(checks, timeoutMs) }
    return last.failing
  }

  return {
    mount(app) {
      app.get('/livez', (c) => c.json({ status: 'ok' }, 200, { 'cache-control': 'no-store' }))
      app.get('/readyz', async (c) => {
        const names = [...(draining ? ['draining'] : []), ...(await failing())]
        const body = { status: names.length ? 'unavailable' : 'ok', failing: names }
        return c.json(body, names.length ? 503 : 200, { 'cache-control': 'no-store' })
      })
    },
    drain() {
      draining = true
    },
  }
}

async function findFailing(checks: Record<string, ReadyCheck>, timeoutMs: number): Promise<string[]> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      const { promise: late, reject } = Promise.withResolvers<never>()
      const timer = setTimeout(() => reject(new Error('too slow')), timeoutMs)
      try {
        await Promise.race([check(), late])
        return null
      } catch {
        return name
      } finally {
        clearTimeout(timer)
      }
    }),
  )
  return results.filter((name) => name !== null)
}
