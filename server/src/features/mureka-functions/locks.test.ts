import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'

describe('operation locks', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  beforeEach(async () => {
    await database.db.query('delete from reprise.operation_locks')
    await database.db.setClockOffset(0)
  })
  afterAll(() => database.close())

  const service = () => database.asUser(null, 'service_role')
  const ask = async (call: string) => (await service().query<{ yes: boolean }>(`select ${call} as yes`)).rows[0]!.yes
  const acquire = (key: string, ttl: number, owner: string | null) => ask(`public.acquire_operation_lock('${key}', ${ttl}, ${owner ? `'${owner}'` : 'null'})`)
  const release = (key: string, owner: string | null) => ask(`public.release_operation_lock('${key}', ${owner ? `'${owner}'` : 'null'})`)

  it('one of many that ask at once gets it', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => acquire('sync', 60, `owner ${n}`)))
    expect(answers.filter(Boolean)).toHaveLength(1)
  })

  it('its owner may acquire it again; who has no name may not', async () => {
    expect([await acquire('a', 60, 'one'), await acquire('a', 60, 'one'), await acquire('a', 60, 'two')]).toEqual([true, true, false])
    expect([await acquire('b', 60, null), await acquire('b', 60, null)]).toEqual([true, false])
  })

  it('only its owner releases it, and is told whether it did', async () => {
    await acquire('a', 60, 'one')
    expect([await release('a', 'two'), await release('a', null), await release('a', 'one'), await release('a', 'one')]).toEqual([false, false, true, false])
    await acquire('b', 60, null)
    expect([await ask(`public.release_operation_lock(p_key => 'b')`), await acquire('b', 60, 'one')]).toEqual([true, true])
  })

  it('a lapsed one is taken over, and the one that slept releases nothing any more', async () => {
    await acquire('a', 30, 'dead')
    await database.db.setClockOffset(31_000)
    expect([await acquire('a', 60, 'heir'), await acquire('a', 60, 'dead'), await release('a', 'dead'), await acquire('a', 60, 'third')]).toEqual([true, false, false, false])
  })

  it('a dead owner’s download holds nobody up for a minute, whatever time it asked for', async () => {
    await acquire('download:g:0', 86_400, 'dead')
    await acquire('other', 86_400, 'dead')
    await database.db.setClockOffset(46_000)
    expect([await acquire('download:g:0', 60, 'heir'), await acquire('other', 60, 'heir')]).toEqual([true, false])
  })

  it('the download of a whole generation and that of one of its results exclude each other, two results do not', async () => {
    expect([await acquire('download:g:0', 60, 'a'), await acquire('download:g:1', 60, 'b'), await acquire('download:g', 60, 'c')]).toEqual([true, true, false])
    expect([await acquire('download:h', 60, 'a'), await acquire('download:h:0', 60, 'b'), await acquire('download:h:0', 60, 'a')]).toEqual([true, false, true])
    expect(await acquire('download:ga', 60, 'c')).toBe(true)
  })

  it('older callers’ names and short forms work', async () => {
    expect(await ask(`public.acquire_operation_lock(_key => 'old', _ttl_seconds => 120)`)).toBe(true)
    expect(await ask(`public.acquire_operation_lock(_key => 'older')`)).toBe(true)
    expect(await ask(`public.acquire_operation_lock(p_key => 'new', p_ttl_seconds => 120)`)).toBe(true)
    expect(await ask(`public.acquire_operation_lock(p_key => 'newer')`)).toBe(true)
    expect(await ask(`public.acquire_operation_lock('plain')`)).toBe(true)
    expect(await ask(`public.acquire_operation_lock('plain with time', 60)`)).toBe(true)
    expect((await database.db.query('select from reprise.operation_locks')).rowCount).toBe(6)
  })

  it('they are for the service role only', async () => {
    for (const role of ['anon', 'authenticated'] as const) {
      await expect(database.asUser(null, role).query(`select public.acquire_operation_lock('x')`)).rejects.toThrow(/permission denied/)
      await expect(database.asUser(null, role).query(`select public.release_operation_lock('x', 'y')`)).rejects.toThrow(/permission denied/)
    }
  })
})
