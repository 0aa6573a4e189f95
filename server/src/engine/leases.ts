import type { Database } from '../database/pool.ts'
import type { Logger } from '../kernel/logger.ts'

/**
 * The leases that this process holds, renewed together in one statement while their work goes on. A lease that could
 * not be renewed in time lapses; whoever holds it then finds its writes fenced.
 */
export function createLeases({ db, leaseMs, logger }: { db: Database; leaseMs: number; logger: Logger }) {
  const held = { generation: new Map<string, number>(), result: new Map<string, number>() }
  let timer: NodeJS.Timeout | null = null
  let renewing = false

  async function renew(): Promise<void> {
    if (renewing || held.generation.size + held.result.size === 0) return
    renewing = true
    try {
      await db.query({
        name: 'renew_leases', text: 'select id from reprise.renew_leases($1, $2, $3, $4, $5)',
        values: [[...held.generation.keys()], [...held.generation.values()], [...held.result.keys()], [...held.result.values()], leaseMs],
      })
    } catch (error) {
      logger.warn({ err: error }, 'leases could not be renewed; they lapse if this goes on')
    } finally {
      renewing = false
    }
  }

  return {
    /** Keeps the lease alive until the returned function is called. */
    hold(kind: 'generation' | 'result', id: string, fence: number): () => void {
      held[kind].set(id, fence)
      timer ??= setInterval(renew, Math.max(50, leaseMs / 3)).unref()
      return () => {
        if (held[kind].get(id) === fence) held[kind].delete(id)
      }
    },
    /** Stops renewing; what is still held lapses and is taken over by another node. */
    stop(): void {
      if (timer) clearInterval(timer)
      timer = null
    },
  }
}

export type Leases = ReturnType<typeof createLeases>
