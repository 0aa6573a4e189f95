import { sleep } from '../server/src/kernel/clock.ts'
import { seeded } from '../server/src/storage/hostile-urls.ts'
import { startFleet } from './fleet.ts'
import { money } from './invariants.ts'

export interface AcceptsReport {
  accepted: number
  /** Accepted by the client's log, and not in the database. */
  lost: string[]
  /** One key, several generations; or several ids answered for one key. */
  doubled: string[]
  broken: string[]
  appKills: number
  databaseKills: number
  /** Answers and broken connections that the clients met and tried again, by kind. */
  met: Record<string, number>
  leftovers: string[]
}

const CLIENTS = 16
const COST = 10

/**
 * Clients post with an Idempotency-Key and repeat until they read a 202, while the app and the database are killed
 * again and again. The clients' log is then compared with the database.
 */
export async function acceptsUnderKills(options: { seed: number; accepts: number; appKills: number; databaseKills: number; say?: (line: string) => void }): Promise<AcceptsReport> {
  const { seed, accepts, say = () => undefined } = options
  const random = seeded(seed)
  const fleet = await startFleet({ speed: 1, deadlineSec: 86_400 })
  const log: { key: string; id: string }[] = []
  const met: Record<string, number> = {}
  let appKills = 0
  let databaseKills = 0
  let over = false
  let report: Omit<AcceptsReport, 'leftovers'>
  let leftovers: string[] = []
  try {
    const users = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => fleet.user(`client ${i}`, 2 * accepts * COST)))
    let next = 0
    const killsLeft = () => appKills < options.appKills || databaseKills < options.databaseKills

    async function client(user: { token: string }): Promise<void> {
      // Goes on for as long as somebody kills, so that every kill meets work.
      while ((next < accepts || killsLeft()) && !over) {
        const key = `accept-${seed}-${next++}`
        for (;;) {
          const outcome = await fleet.call('POST', '/api/generations', {
            token: user.token, headers: { 'idempotency-key': key }, body: { provider: 'suno', kind: 'song', prompt: key },
          }).catch((error: Error) => ({ status: error.name === 'TimeoutError' ? 'no answer' as const : 'broken connection' as const, body: null }))
          if (outcome.status === 202) {
            log.push({ key, id: outcome.body.id })
            // Some clients ask again although they were answered: the same answer is due.
            if (random() < 0.9) break
          } else {
            met[outcome.status] = (met[outcome.status] ?? 0) + 1
            if (over) throw new Error('the killer gave up')
            await sleep(30 + random() * 100)
          }
        }
      }
    }

    async function killer(): Promise<void> {
      const each = Math.max(1, Math.round(options.appKills / Math.max(1, options.databaseKills)))
      while (killsLeft()) {
        await sleep(200 + random() * 800)
        if (appKills < options.appKills) {
          await fleet.children().find((child) => child.name === 'api' && child.ended() === null)!.kill()
          appKills++
          // Now and then the database dies while the app starts.
          const both = appKills % each === 0 && databaseKills < options.databaseKills && random() < 0.5
          if (both) {
            fleet.killDatabase()
            databaseKills++
          }
          await startAgain()
        }
        if (databaseKills < options.databaseKills && (appKills % each === 0 || appKills >= options.appKills)) {
          await sleep(random() * 300)
          fleet.killDatabase()
          databaseKills++
          await fleet.rows('select 1')
        }
        if ((appKills + databaseKills) % 20 === 0) say(`        ${appKills} app and ${databaseKills} database kills, ${log.length} answers`)
      }
    }

    /** As a supervisor would: again until it comes up. */
    async function startAgain(): Promise<void> {
      for (let tries = 1; ; tries++) {
        try {
          return void (await fleet.startServer('api'))
        } catch (error) {
          met['start failed'] = (met['start failed'] ?? 0) + 1
          if (tries === 20) throw error
          await sleep(200)
        }
      }
    }

    const killing = killer().catch((error) => {
      over = true
      throw error
    })
    await Promise.all([killing, ...users.map(client)])
    report = { ...(await compare(fleet, log)), appKills, databaseKills, met }
  } finally {
    over = true
    leftovers = await fleet.stop()
  }
  return { ...report, leftovers }
}

async function compare(fleet: Awaited<ReturnType<typeof startFleet>>, log: { key: string; id: string }[]) {
  const rows = await fleet.rows<{ id: string; key: string; held: number }>(
    `select g.id, g.request->>'prompt' as key, coalesce((select sum(amount) from reprise.hold_items h where h.generation_id = g.id and h.state = 'open'), 0)::float8 as held from reprise.generations g`,
  )
  const idsOf = new Map<string, Set<string>>()
  const keyOf = new Map(rows.map((row) => [row.id, row.key]))
  const add = (key: string, id: string) => void idsOf.set(key, (idsOf.get(key) ?? new Set()).add(id))
  rows.forEach((row) => add(row.key, row.id))
  const lost = log.filter(({ key, id }) => keyOf.get(id) !== key).map(({ key, id }) => `${key} (${id})`)
  log.forEach(({ key, id }) => add(key, id))
  const doubled = [...idsOf].filter(([, ids]) => ids.size > 1).map(([key, ids]) => `${key}: ${[...ids].join(', ')}`)
  const unpaid = rows.filter((row) => row.held !== COST).map((row) => `${row.key} holds ${row.held} tokens`)
  return { accepted: new Set(log.map((entry) => entry.key)).size, lost, doubled, broken: [...unpaid, ...(await money(fleet))] }
}
