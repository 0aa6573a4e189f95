import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '../kernel/logger.ts'
import type { Heard } from './listener.ts'
import { createDatabase, type Database } from './pool.ts'
import { sql } from './sql.ts'
import { createTestDatabase, type TestDatabase } from './testing/test-database.ts'
import { isTransient } from './transient.ts'

const logger = createLogger({ level: 'silent' })
let test: TestDatabase
let db: Database

beforeAll(async () => {
  test = await createTestDatabase({ migrated: false, logger })
  db = test.db
  await db.query(`
    create table notes (id int primary key, body text);
    create schema reprise;
    create function reprise.now() returns timestamptz language sql stable as $$
      select now() + current_setting('reprise.clock_offset')::bigint * interval '1 millisecond' $$`)
})

afterAll(() => test.close())

const one = async <T>(text: string): Promise<T> => (await db.query<{ v: T }>(`select ${text} as v`)).rows[0]!.v

describe('values', () => {
  it('reads numbers as numbers, instants as dates, days as text', async () => {
    expect(await one('9007199254740991::bigint')).toBe(9007199254740991)
    expect(await one("array[1, null, 3]::bigint[]")).toEqual([1, null, 3])
    expect(await one('array[[1.5], [2.5]]::numeric[]')).toEqual([[1.5], [2.5]])
    expect(await one('12.50::numeric(8, 2)')).toBe(12.5)
    expect(await one("'2026-11-21 10:00+03'::timestamptz")).toEqual(new Date('2026-11-21T07:00:00Z'))
    expect(await one("'2026-11-21 10:00'::timestamp")).toEqual(new Date('2026-11-21T10:00:00Z'))
    expect(await one("'2026-11-21'::date")).toBe('2026-11-21')
    expect(await one("'{\"a\": [1]}'::jsonb")).toEqual({ a: [1] })
  })

  it('refuses a bigint that a number cannot hold, and the connection stays usable', async () => {
    await expect(one('9007199254740993::bigint')).rejects.toThrow(RangeError)
    expect(await one('1')).toBe(1)
  })

  it('passes every value of a template as a parameter, nested ones too', async () => {
    const evil = "'; drop table notes; --"
    const where = sql`where body = ${evil} or id = ${2}`
    const query = sql`select ${'x'}::text as v, ${where.values.length}::int as n from (values (2, 'b')) t (id, body) ${where}`
    expect(query.text).toMatch(/\$1.*\$2.*\$3.*\$4$/)
    expect((await db.query(query)).rows).toEqual([{ v: 'x', n: 2 }])
  })

  it('counts the rows that a statement without returning changed', async () => {
    expect((await db.query('insert into notes values (100, null), (101, null)')).rowCount).toBe(2)
  })

  it('runs a named statement again with other values', async () => {
    for (const n of [1, 2]) {
      const { rows } = await db.query<{ v: number }>({ name: 'twice', text: 'select $1::int * 2 as v', values: [n] })
      expect(rows[0]?.v).toBe(2 * n)
    }
  })
})

describe('transactions', () => {
  it('leaves nothing behind when the function throws', async () => {
    const failing = db.transaction(async (tx) => {
      await tx.query("insert into notes values (1, 'lost')")
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect((await db.query('select from notes where id = 1')).rowCount).toBe(0)
  })

  it('does not pretend to have committed when a failed statement was swallowed', async () => {
    const sly = db.transaction(async (tx) => {
      await tx.query("insert into notes values (2, 'lost')")
      await tx.query('select nonsense').catch(() => undefined)
    })
    await expect(sly).rejects.toThrow(/rolled back/)
    expect((await db.query('select from notes where id = 2')).rowCount).toBe(0)
  })

  it('runs again after losing a race, and counts both', async () => {
    await db.query("insert into notes values (3, '0')")
    let runs = 0
    const bump = () =>
      db.transaction(
        async (tx) => {
          runs++
          const { rows } = await tx.query<{ body: string }>('select body from notes where id = 3')
          await tx.query('select pg_sleep(0.05)')
          await tx.query('update notes set body = $1 where id = 3', [String(Number(rows[0]!.body) + 1)])
        },
        { isolation: 'serializable' },
      )
    await Promise.all([bump(), bump()])
    expect(runs).toBeGreaterThan(2)
    expect((await db.query('select body from notes where id = 3')).rows).toEqual([{ body: '2' }])
  })

  it('gives up after three runs', async () => {
    let runs = 0
    const doomed = db.transaction(async (tx) => {
      runs++
      await tx.query("do $$ begin raise exception 'again' using errcode = 'serialization_failure'; end $$")
    })
    await expect(doomed).rejects.toThrow('again')
    expect(runs).toBe(3)
  })

  it('survives a connection that is cut inside a transaction, and calls the error transient', async () => {
    const cut = db.transaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid')
      await db.query('select pg_terminate_backend($1)', [rows[0]!.pid])
      await tx.query('select 1')
    })
    const error = await cut.catch((thrown: unknown) => thrown)
    expect(isTransient(error)).toBe(true)
    expect(await one('1')).toBe(1)
  })
})

describe('transient errors', () => {
  it('are those of the connection, not those of the statement', async () => {
    const nobodyThere = createDatabase({ url: 'postgres://u:p@127.0.0.1:1/x', max: 1, applicationName: 't', logger })
    expect(isTransient(await nobodyThere.query('select 1').catch((error: unknown) => error))).toBe(true)
    await nobodyThere.close()
    expect(isTransient(await nobodyThere.query('select 1').catch((error: unknown) => error))).toBe(true)
    for (const text of ['select nonsense', 'insert into notes values (100, null)', 'select 1/0']) {
      expect(isTransient(await db.query(text).catch((error: unknown) => error))).toBe(false)
    }
  })

  it('a statement that runs too long is ended by the server', async () => {
    const hasty = createDatabase({ url: test.url, max: 1, applicationName: 't', statementTimeoutMs: 50, logger })
    await expect(hasty.query('select pg_sleep(10)')).rejects.toMatchObject({ code: '57014' })
    await hasty.close()
  })
})

describe('the clock', () => {
  it('moves for every connection, also through the bare pool', async () => {
    const day = 86_400_000
    const ahead = 'extract(epoch from reprise.now() - now()) * 1000'
    expect(Number(await one(ahead))).toBe(0)
    await Promise.all([db.query('select pg_sleep(0.02)'), db.query('select pg_sleep(0.02)')])
    await db.setClockOffset(15 * day)
    const seen = await Promise.all([1, 2, 3, 4].map(() => db.transaction((tx) => tx.query(`select pg_sleep(0.02), ${ahead} as v`))))
    expect(seen.map(({ rows }) => Number(rows[0]!.v))).toEqual(Array(4).fill(15 * day))
    expect(Number((await db.pool.query(`select ${ahead} as v`)).rows[0].v)).toBe(15 * day)
    await db.setClockOffset(0)
    expect(Number(await one(ahead))).toBe(0)
  })
})

describe('listening', () => {
  it('hears what a transaction sends when it commits, and nothing after stop', async () => {
    const heard: Heard[] = []
    const listening = await db.listen('news', (message) => void heard.push(message))
    await db.transaction((tx) => tx.query("select pg_notify('news', 'one')"))
    await expect.poll(() => heard).toEqual([{ kind: 'notified', payload: 'one' }])
    await listening.stop()
    const more: Heard[] = []
    const other = await db.listen('other', (message) => void more.push(message))
    await db.query("select pg_notify('news', 'two'), pg_notify('other', 'three')")
    await expect.poll(() => more).toHaveLength(1)
    expect(heard).toHaveLength(1)
    await other.stop()
  })

  it('listens again after its connection was cut, and says that something may have been missed', async () => {
    const heard: Heard[] = []
    const listening = await db.listen('wake', (message) => void heard.push(message))
    await db.query("select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen \"wake\"'")
    await expect.poll(() => heard, { timeout: 10_000 }).toEqual([{ kind: 'reconnected' }])
    await db.query("select pg_notify('wake', 'again')")
    await expect.poll(() => heard).toContainEqual({ kind: 'notified', payload: 'again' })
    await listening.stop()
  })

  it('a handler that fails harms no other', async () => {
    const heard: Heard[] = []
    const bad = await db.listen('mixed', () => Promise.reject(new Error('mine alone')))
    const good = await db.listen('mixed', (message) => void heard.push(message))
    await db.query("select pg_notify('mixed', 'x')")
    await expect.poll(() => heard).toHaveLength(1)
    await bad.stop()
    await good.stop()
  })
})
