import { PgBoss } from 'pg-boss'
import type { Database } from '../../database/pool.ts'
import type { Logger } from '../../kernel/logger.ts'

const SCHEMA = 'reprise_boss'

/**
 * Side work on a schedule. Nothing here moves a generation: were all its jobs deleted, every generation would still
 * end right.
 */
export function createMaintenance({ db, sweepStaging, logger }: { db: Database; sweepStaging: () => Promise<unknown>; logger: Logger }) {
  const boss = new PgBoss({
    schema: SCHEMA,
    // On our own pool, so that its statements follow the same settings and close with it.
    db: { executeSql: async (text, values) => ({ rows: (await db.query(text, values ?? [])).rows }) },
  })
  boss.on('error', (error) => logger.warn({ err: error }, 'side work failed for the moment'))

  const jobs: Record<string, { cron: string; run: () => Promise<unknown> }> = {
    prune: { cron: '17 * * * *', run: () => prune(db) },
    'staging-sweep': { cron: '43 * * * *', run: sweepStaging },
    'ledger-check': { cron: '5 4 * * *', run: () => checkLedger(db, logger) },
  }

  return {
    async start(): Promise<void> {
      await boss.start()
      for (const [name, { cron, run }] of Object.entries(jobs)) {
        await boss.createQueue(name, { policy: 'standard' })
        await boss.schedule(name, cron)
        await boss.work(name, async () => void (await run()))
      }
    },
    stop: () => boss.stop({ graceful: true, timeout: 5_000, close: false }),
  }
}

/** Forgets what has had its time: idempotency keys after a day, parked callbacks after ten minutes. */
export async function prune(db: Database): Promise<void> {
  await db.query(`delete from reprise.idempotency where created_at < reprise.now() - interval '25 hours'`)
  await db.query(`delete from reprise.parked_callbacks where received_at < reprise.now() - interval '10 minutes'`)
  await db.query(`delete from reprise.session_links where expires_at < reprise.now() - interval '7 days'`)
  await db.query(`delete from reprise.nodes where round_at < reprise.now() - interval '1 day'`)
}

/** The promises about tokens, checked daily; a broken one is an alert. Answers how many rows break one. */
export async function checkLedger(db: Database, logger: Logger): Promise<number> {
  const { rows } = await db.query<{ promise: string; userId: string; generationId: string | null }>(
    'select promise, user_id as "userId", generation_id as "generationId" from reprise.ledger_violations limit 100',
  )
  for (const row of rows) logger.error(row, `ALERT: ledger: ${row.promise}`)
  return rows.length
}
