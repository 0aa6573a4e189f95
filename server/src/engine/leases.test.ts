import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../database/testing/test-database.ts'
import { createLogger } from '../kernel/logger.ts'
import { createLeases } from './leases.ts'
import { accept, newAccount, newUser } from './testing/nodes.ts'

let test: TestDatabase
beforeAll(async () => {
  test = await createTestDatabase()
})
afterAll(() => test.close())

const logger = createLogger({ level: 'silent' })
const FAR = 3_600_000

async function claimed() {
  const userId = await newUser(test.db)
  const { generation_id: id } = await accept(test.db, { userId, account: await newAccount(test.db) })
  await test.db.query('update reprise.generations set next_at = reprise.now() where id = $1', [id])
  const { rows } = await test.db.query<{ id: string; fence: number }>("select id, fence from reprise.claim_generations('here', 100, 1000)")
  return rows.find((row) => row.id === id)!
}

/** How long the lease still has, in ms; null when nobody holds it. */
async function left(id: string): Promise<number | null> {
  const { rows } = await test.db.query<{ left: number | null }>(
    'select (extract(epoch from lease_until - reprise.clock()) * 1000)::float8 as left from reprise.generations where id = $1', [id],
  )
  return rows[0]!.left
}

async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await new Promise((next) => setTimeout(next, 5))
}

describe('leases', () => {
  it('what is held is renewed while the work goes on', async () => {
    const { id, fence } = await claimed()
    const leases = createLeases({ db: test.db, leaseMs: 2_000, logger })
    const letGo = leases.hold('generation', id, fence)
    await until(async () => (await left(id))! > 1_500)
    letGo()
    leases.stop()
  })

  it('a lease that another has taken over is not renewed by the one who lost it', async () => {
    const { id, fence } = await claimed()
    const { rows } = await test.db.query('select id from reprise.renew_leases($1, $2, $3, $4, $5)', [[id], [fence - 1], [], [], FAR])
    expect(rows).toEqual([])
    expect(await left(id)).toBeLessThan(1_001)
  })

  it('a lease that was given back does not come to life again by a late renewal', async () => {
    const { id, fence } = await claimed()
    await test.db.query('select reprise.release_leases($1, $2, $3, $4)', [[id], [fence], [], []])
    const { rows } = await test.db.query('select id from reprise.renew_leases($1, $2, $3, $4, $5)', [[id], [fence], [], [], FAR])
    expect(rows).toEqual([])
    expect(await left(id)).toBeNull()
  })

  it('after stop nothing is renewed: another node takes over', async () => {
    const { id, fence } = await claimed()
    const leases = createLeases({ db: test.db, leaseMs: 150, logger })
    leases.hold('generation', id, fence)
    leases.stop()
    await until(async () => (await left(id))! <= 0)
    await test.db.query('update reprise.generations set next_at = reprise.now() where id = $1', [id])
    const { rows } = await test.db.query<{ id: string; fence: number }>("select id, fence from reprise.claim_generations('there', 100, 10000)")
    expect(rows.find((row) => row.id === id)!.fence).toBe(fence + 1)
  })
})
