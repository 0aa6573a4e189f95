import { expect, it } from 'vitest'
import { createTestDatabase } from './test-database.ts'

it('each test file gets all our tables in a database of its own, and leaves none behind', async () => {
  const [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()])
  await first.db.query('create table only_here ()')
  expect((await second.db.query("select to_regclass('only_here') as v, to_regprocedure('reprise.now()')::text as w")).rows).toEqual([
    { v: null, w: 'reprise.now()' },
  ])
  await first.close()
  const left = await second.db.query('select from pg_database where datname = $1', [new URL(first.url).pathname.slice(1)])
  expect(left.rowCount).toBe(0)
  await second.close()
})
