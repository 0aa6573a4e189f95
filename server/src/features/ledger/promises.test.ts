import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { accept, newAccount, newUser } from '../../engine/testing/nodes.ts'

let test: TestDatabase
let ann: string
let bob: string
/** Ann's: one under way, one of which half came, one that came whole. */
let open: string, half: string, whole: string

beforeAll(async () => {
  test = await createTestDatabase()
  ;[ann, bob] = [await newUser(test.db), await newUser(test.db)]
  const account = await newAccount(test.db)
  const ask = async (userId: string, perItem = 5) => (await accept(test.db, { userId, account, perItem })).generation_id!
  const end = async (id: string, ends: ('kept' | 'lost')[]) => {
    await test.db.query(`update reprise.results set settled = ($2::text[])[index + 1] where generation_id = $1`, [id, ends])
    await test.db.query('select reprise.settle_items($1)', [JSON.stringify(ends.map((one, index) => ({ generationId: id, index, end: one === 'kept' ? 'captured' : 'released', reason: 'a test' })))])
    await test.db.query(`update reprise.generations set state = 'complete', finished_at = reprise.now() where id = $1`, [id])
  }
  open = await ask(ann)
  half = await ask(ann)
  whole = await ask(ann)
  await end(half, ['kept', 'lost'])
  await end(whole, ['kept', 'kept'])
  await ask(bob)
  // one that is free: items without tokens, and nothing moves
  await ask(bob, 0)
  await end(await ask(bob, 0), ['kept', 'lost'])
})
afterAll(() => test.close())

const UNDONE = new Error('undone')

/** What a look finds after these statements, which no guard stops; undone afterwards. */
async function foundAfter(...statements: [text: string, ...values: unknown[]][]): Promise<string[]> {
  let found: string[] = []
  const words = new Map([[ann, 'ann'], [bob, 'bob'], [open, 'open'], [half, 'half'], [whole, 'whole']])
  await test.db.transaction(async (tx) => {
    await tx.query('set local session_replication_role = replica')
    for (const [text, ...values] of statements) expect((await tx.query(text, values)).rowCount).toBeGreaterThan(0)
    const { rows } = await tx.query<{ promise: string; user_id: string; generation_id: string | null }>('select * from reprise.ledger_violations')
    found = rows.map((row) => [row.promise, words.get(row.user_id), ...(row.generation_id ? [words.get(row.generation_id)] : [])].join(', ')).sort()
    throw UNDONE
  }).catch((error: unknown) => {
    if (error !== UNDONE) throw error
  })
  return found
}

const move = (user: () => string, available: number, held: number) =>
  ['update reprise.wallets set available = available + $2, held = held + $3 where user_id = $1', user(), available, held] as [string, ...unknown[]]

describe('the promises about tokens: each is found broken by itself', () => {
  it('nothing is found while all is well: open, settled, half lost, and free', async () => {
    expect(await foundAfter(['select 1'])).toEqual([])
  })

  it("a wallet is the sum of its user's entries", async () => {
    expect(await foundAfter(move(() => ann, 1, 0))).toEqual(['wallet differs from its entries, ann'])
  })

  it("what a wallet holds are its user's own open items", async () => {
    expect(await foundAfter(
      [`update reprise.ledger_transfers set user_id = $2 where generation_id = $1 and kind = 'hold'`, open, bob], move(() => ann, 10, -10), move(() => bob, -10, 10),
    )).toEqual(['held tokens differ from open items, ann', 'held tokens differ from open items, bob'])
  })

  it('what has ended holds nothing any more', async () => {
    const held = Array.from({ length: 2 }, () => 'final generation with open items, ann, open')
    for (const state of ['complete', 'failed', 'timed_out', 'cancelled']) {
      expect(await foundAfter([`update reprise.generations set state = $2, finished_at = reprise.now(), deadline_at = reprise.now() - interval '2 minutes' where id = $1`, open, state])).toEqual(held)
    }
    // what was cancelled a moment ago may still come to its end at the provider
    expect(await foundAfter([`update reprise.generations set state = 'cancelled', finished_at = reprise.now() where id = $1`, open])).toEqual([])
  })

  it('what was kept is paid, what was lost is given back', async () => {
    const disagree = ['item and result disagree, ann, half']
    const result = (change: string) => `${change} where generation_id = $1 and index = 0 and role = 'final'`
    expect(await foundAfter([result(`update reprise.results set settled = 'lost'`), half])).toEqual(disagree)
    expect(await foundAfter([result('update reprise.results set settled = null'), half])).toEqual(disagree)
    expect(await foundAfter([result('delete from reprise.results'), half])).toEqual(disagree)
  })

  it('a generation costs what its items are worth, to the user who asked for it', async () => {
    for (const id of [open, half]) {
      const differs = [`cost differs from its items, ann, ${id === open ? 'open' : 'half'}`]
      expect(await foundAfter(['update reprise.generations set cost = 99 where id = $1', id])).toEqual(differs)
      expect(await foundAfter(['update reprise.generations set cost = 0 where id = $1', id])).toEqual(differs)
    }
    expect(await foundAfter(['update reprise.hold_items set user_id = $2 where generation_id = $1', half, bob])).toEqual(['cost differs from its items, ann, half'])
  })

  it('what is set aside for a generation is what its items are worth', async () => {
    expect(await foundAfter([`update reprise.ledger_transfers set amount = case generation_id when $1 then 4 else 16 end where generation_id in ($1, $2) and kind = 'hold'`, half, open]))
      .toEqual(['hold differs from its items, ann, half', 'hold differs from its items, ann, open'])
  })

  it('each settled item has exactly its own transfer, and an open one none', async () => {
    const differs = (...whose: string[]) => whose.map((one) => `item and settlement disagree, ann, ${one}`)
    const settlement = `update reprise.ledger_transfers set`
    // given back what was kept
    expect(await foundAfter([`${settlement} kind = 'release', to_account = 'available' where generation_id = $1 and item_index = 0`, half], move(() => ann, 5, 0)))
      .toEqual(differs('half'))
    // of other amounts
    expect(await foundAfter([`${settlement} amount = case item_index when 0 then 9 else 1 end where generation_id = $1 and kind = 'capture'`, whole])).toEqual(differs('whole', 'whole'))
    expect(await foundAfter(['update reprise.hold_items set amount = case index when 0 then 9 else 1 end where generation_id = $1', whole])).toEqual(differs('whole', 'whole'))
    // not of its own
    expect(await foundAfter([`${settlement} generation_id = $2 where generation_id = $1 and item_index = 0 and kind = 'capture'`, whole, open])).toEqual(differs('open', 'whole'))
    expect(await foundAfter([`${settlement} item_index = null where generation_id = $1 and item_index = 1`, whole])).toEqual(differs('whole', 'whole'))
  })

  it('free work is seen: items worth something else, or none at all', async () => {
    const all = (word: string) => ['cost differs from its items', 'hold differs from its items', 'item and settlement disagree', 'item and settlement disagree'].map((promise) => `${promise}, ann, ${word}`)
    expect(await foundAfter(['update reprise.hold_items set amount = 77 where generation_id = $1', whole])).toEqual(all('whole'))
    expect(await foundAfter(['delete from reprise.hold_items where generation_id = $1', whole])).toEqual(all('whole'))
  })
})

describe('an item of a hold', () => {
  it('keeps its generation, place, user and worth, and is never taken away, open or settled', async () => {
    for (const id of [open, half]) {
      for (const change of ['amount = 77', 'amount = 0', `user_id = '${bob}'`, `generation_id = '${bob}'`, 'index = index + 5']) {
        await expect(test.db.query(`update reprise.hold_items set ${change} where generation_id = $1`, [id])).rejects.toThrow(/can only be settled|is already/)
      }
      await expect(test.db.query('delete from reprise.hold_items where generation_id = $1', [id])).rejects.toThrow('stays')
    }
    await expect(test.db.query(`update reprise.hold_items set state = 'captured', amount = 0 where generation_id = $1`, [open])).rejects.toThrow('can only be settled')
  })

  it('is settled once', async () => {
    await expect(test.db.query(`update reprise.hold_items set state = 'open' where generation_id = $1`, [half])).rejects.toThrow('is already')
    await expect(test.db.query(`update reprise.hold_items set state = 'released' where generation_id = $1 and index = 0`, [half])).rejects.toThrow('is already captured')
  })
})
