import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../database/testing/test-database.ts'
import { Cluster } from './testing/cluster.ts'
import { createNode, type Node } from './testing/nodes.ts'

/** More cases: `REPRISE_CASES=10` makes it ten times as many. */
const TIMES = Number(process.env.REPRISE_CASES ?? 1)
const CASES = Math.ceil(300 * TIMES)

let test: TestDatabase
let nodes: Node[]
beforeAll(async () => {
  test = await createTestDatabase()
  // Transactions are as atomic and as concurrent as ever; only the disk is not waited for.
  await test.db.query(`alter database ${new URL(test.url).pathname.slice(1)} set synchronous_commit = off`)
  nodes = ['one', 'two', 'three'].map((name) => createNode(test.url, `model-${name}`))
})
afterAll(async () => {
  for (const node of nodes) await node[Symbol.asyncDispose]()
  await test.close()
})

it('whatever several nodes do at once, while connections die, every token is accounted for and every generation ends', async () => {
  const clock = { offset: 0 }
  const sum = { generations: 0, knocks: 0, fenced: 0, kills: 0 }
  const waves = fc.array(fc.array(fc.nat(0xffffff), { minLength: 1, maxLength: 8, size: 'max' }), { minLength: 4, maxLength: 24, size: 'max' })
  const property = fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.noBias(waves), async (generations, story) => {
    const cluster = new Cluster(test.db, nodes, clock)
    await cluster.begin(generations)
    for (const choices of story) await cluster.wave(choices)
    await cluster.drain()
    expect(await cluster.broken()).toEqual([])
    await cluster.end()
    sum.generations += generations
    sum.knocks += cluster.knocks
    sum.fenced += cluster.fenced
    sum.kills += cluster.kills
  })
  const seed = Number(process.env.REPRISE_SEED ?? Date.now() & 0x7fffffff)
  await fc.assert(property, { numRuns: CASES, seed, endOnFailure: true })
  console.log(`store: ${CASES} cases, ${sum.generations} generations, ${sum.knocks} evidences, ${sum.fenced} stale, ${sum.kills} connections killed, seed ${seed}`)
}, 300_000 * Math.max(1, TIMES))
