import { PgBoss } from 'pg-boss'

/** pg-boss on the same PostgreSQL, as its documentation starts it; its own schema, as many connections as we take. */
export async function startBoss(databaseUrl: string, connections = 20): Promise<PgBoss> {
  const boss = new PgBoss({ connectionString: databaseUrl, max: connections, schema: 'peer_boss', supervise: false, schedule: false })
  boss.on('error', (error) => console.error('pg-boss:', error.message))
  await boss.start()
  return boss
}

/** Keeps `clients` calls of `work` under way for `seconds`; answers calls per second and the time of each, ms. */
export async function hammer(clients: number, seconds: number, work: () => Promise<unknown>): Promise<{ perSecond: number; ms: number[] }> {
  const ms: number[] = []
  const begun = performance.now()
  const end = begun + seconds * 1000
  await Promise.all(Array.from({ length: clients }, async () => {
    while (performance.now() < end) {
      const from = performance.now()
      await work()
      ms.push(performance.now() - from)
    }
  }))
  return { perSecond: (ms.length * 1000) / (performance.now() - begun), ms }
}
