import fc from 'fast-check'
import { expect, it } from 'vitest'
import { MOVES } from './moves.ts'
import { World } from './testing/world.ts'

/** More cases: `REPRISE_CASES=100` makes it a hundred times as many. */
const CASES = 20_000 * Number(process.env.REPRISE_CASES ?? 1)

it('whatever happens in whatever order, every generation ends, every token is settled once and no file is lost', () => {
  const choices = fc.noBias(fc.array(fc.nat(0xffffff), { maxLength: 250, size: 'max' }))
  let evidences = 0
  const reached = new Map<string, number>()
  const property = fc.property(fc.nat(255), choices, fc.noBias(fc.nat(0xffffff)), (seed, story, ending) => {
    const world = new World(seed)
    for (const choice of story) world.step(choice)
    world.drain(ending)
    evidences += world.evidences
    for (const move of world.moves) reached.set(move, (reached.get(move) ?? 0) + 1)
  })
  const seed = Number(process.env.REPRISE_SEED ?? Date.now() & 0x7fffffff)
  fc.assert(property, { numRuns: CASES, seed })
  console.log(`decide: ${CASES} cases, ${evidences} evidences, seed ${seed}`)
  if (process.env.REPRISE_SHOW) console.log(Object.fromEntries([...reached].sort((a, b) => b[1] - a[1])))
  const never = MOVES.map(({ id }) => id).filter((id) => !reached.has(id))
  expect(never, 'rows of the table that no story reached').toEqual([])
}, 600_000 * Number(process.env.REPRISE_CASES ?? 1))
