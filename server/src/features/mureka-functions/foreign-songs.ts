import type { Database } from '../../database/pool.ts'
import { createLoop } from '../../engine/loop.ts'
import type { Logger } from '../../kernel/logger.ts'

const LOOK_EVERY_MS = 5_000
const AT_ONCE = 50
const AFTER_A_FAULT_SEC = 60

/**
 * Makes the songs of the team's own finished generations, which puts them into the archive's queue: within a moment of
 * the statement that finished them, in a transaction of its own. Any number of processes may do it at once.
 */
export function createForeignSongs({ db, logger }: { db: Database; logger: Logger }) {
  async function round(): Promise<'more' | 'done'> {
    const { rows } = await db.query<{ id: string }>({
      name: 'due_foreign_generations', values: [AT_ONCE],
      text: 'select distinct id from (select id from reprise.foreign_generations where next_at <= reprise.now() order by next_at limit $1) due',
    })
    let made = false
    for (const { id } of rows) made = (await make(id)) || made
    return made ? 'more' : 'done'
  }

  async function make(id: string): Promise<boolean> {
    try {
      return await db.transaction(async (tx) => (await tx.query<{ made: boolean }>('select reprise.make_foreign_tracks($1) as made', [id])).rows[0]!.made)
    } catch (error) {
      logger.error({ err: error, generationId: id }, 'the songs of a generation of the team could not be made')
      // It must not come back at once, again and again, before everything else that is due.
      await db.query(`update reprise.foreign_generations set next_at = reprise.now() + $2 * interval '1 second' where id = $1`, [id, AFTER_A_FAULT_SEC])
      return false
    }
  }

  return createLoop('songs of the team', LOOK_EVERY_MS, round, logger)
}
