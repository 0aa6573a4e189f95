import type { Database } from '../database/pool.ts'
import type { Logger } from '../kernel/logger.ts'
import { createLoop } from './loop.ts'

/** What an effect outside the database is asked to do. Runs at least once. */
export type Effect = (payload: any) => Promise<void>

const TRIES = 6

/** Carries out the effects that moves have written down. Done ones are deleted, failing ones tried again with growing waits. */
export function createOutbox({ db, effects, logger }: { db: Database; effects: Record<string, Effect>; logger: Logger }) {
  async function round(): Promise<'more' | 'done'> {
    const { rows } = await db.query<{ id: number; topic: string; payload: unknown; tries: number }>(
      `update reprise.outbox o set tries = tries + 1, next_at = reprise.now() + least(600, 10 * 2 ^ o.tries) * interval '1 second'
       from (select id from reprise.outbox where next_at <= reprise.now() order by next_at limit 16 for update skip locked) due
       where o.id = due.id returning o.id, o.topic, o.payload, o.tries`,
    )
    await Promise.all(rows.map(async (row) => {
      try {
        await effects[row.topic]?.(row.payload)
      } catch (error) {
        logger.warn({ err: error, topic: row.topic, tries: row.tries }, 'an effect failed')
        if (row.tries < TRIES) return
      }
      await db.query('delete from reprise.outbox where id = $1', [row.id])
    }))
    return rows.length === 16 ? 'more' : 'done'
  }
  return createLoop('outbox', 5_000, round, logger)
}
