import type { Listening } from '../database/listener.ts'
import type { Database } from '../database/pool.ts'
import type { Logger } from '../kernel/logger.ts'

/** What there may be to do now. A wake is only a hint: every loop also looks by itself. */
const TOPICS = ['dispatch', 'attend', 'save', 'events', 'outbox', 'archive', 'songs'] as const
export type Topic = (typeof TOPICS)[number]

/** Between two notices of one node to the others. NOTIFY inside a busy transaction would halve its rate. */
const NOTICE_EVERY_MS = 25
const CHANNEL = 'reprise_wake'

/**
 * Wakes the loops of this process at once and those of other processes by one NOTIFY per node and 25 ms,
 * outside any transaction.
 */
export function createWaker({ db, node, logger }: { db: Database; node: string; logger: Logger }) {
  const listeners = new Map<Topic, Set<() => void>>()
  const pending = new Set<Topic>()
  let timer: NodeJS.Timeout | null = null
  let lastNotice = 0
  let listening: Listening | null = null

  const here = (topic: Topic) => listeners.get(topic)?.forEach((listener) => listener())

  function notice(): void {
    timer = null
    if (pending.size === 0) return
    const topics = [...pending].join(',')
    pending.clear()
    lastNotice = Date.now()
    // A lost notice costs a moment, nothing else: the loops also look by themselves.
    db.query('select pg_notify($1, $2)', [CHANNEL, `${node}:${topics}`]).catch((error) => logger.debug({ error }, 'wake notice not sent'))
  }

  return {
    on(topic: Topic, listener: () => void): () => void {
      const set = listeners.get(topic) ?? new Set()
      listeners.set(topic, set.add(listener))
      return () => set.delete(listener)
    },
    wake(topics: Iterable<Topic>): void {
      for (const topic of topics) {
        here(topic)
        pending.add(topic)
      }
      if (pending.size && !timer) timer = setTimeout(notice, Math.max(0, lastNotice + NOTICE_EVERY_MS - Date.now()))
    },
    async start(): Promise<void> {
      listening = await db.listen(CHANNEL, (heard) => {
        if (heard.kind === 'reconnected') return TOPICS.forEach(here)
        const [from, topics] = heard.payload.split(':')
        if (from !== node) topics?.split(',').forEach((topic) => here(topic as Topic))
      })
    },
    async stop(): Promise<void> {
      if (timer) clearTimeout(timer)
      await listening?.stop()
    },
  }
}

export type Waker = ReturnType<typeof createWaker>
