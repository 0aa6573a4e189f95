import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../kernel/logger.ts'
import { migrate, type MigrateOptions, ownSqlFiles } from './migrate.ts'
import { createDatabase } from './pool.ts'
import { createTestDatabase, type TestDatabase } from './testing/test-database.ts'

const logger = createLogger({ level: 'silent' })
let root: string
let test: TestDatabase

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'reprise-migrate-'))
  test = await createTestDatabase({ migrated: false })
})

afterEach(async () => {
  await test.close()
  await rm(root, { recursive: true })
})

async function files(contents: Record<string, string>): Promise<void> {
  await mkdir(join(root, 'database/migrations'), { recursive: true })
  for (const [name, text] of Object.entries(contents)) {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
  }
}

const run = (options: Partial<MigrateOptions> = {}) =>
  migrate(test.db, { ...ownSqlFiles(root), shimFile: undefined, compatSchema: 'public', logger, ...options })

const applied = async () => (await test.db.query<{ name: string }>('select name from reprise.migrations order by number')).rows.map(({ name }) => name)

describe('migrations', () => {
  it('are applied once, in order, with the schema of the seeds filled in', async () => {
    await files({
      'database/migrations/0002-b.sql': 'insert into ${COMPAT_SCHEMA}.steps values (2);',
      'database/migrations/0001-a.sql': 'create table ${COMPAT_SCHEMA}.steps (n int);',
    })
    await run({ compatSchema: 'seeds' })
    await files({ 'database/migrations/0010-c.sql': 'insert into ${COMPAT_SCHEMA}.steps values (10);' })
    await run({ compatSchema: 'seeds' })
    await run({ compatSchema: 'seeds' })
    expect((await test.db.query('select n from seeds.steps order by n')).rows).toEqual([{ n: 2 }, { n: 10 }])
    expect(await applied()).toEqual(['0001-a.sql', '0002-b.sql', '0010-c.sql'])
    await expect(run({ compatSchema: 'other' })).rejects.toThrow('COMPAT_SCHEMA=seeds')
    await expect(run({ compatSchema: 'x"; drop' })).rejects.toThrow('plain lower-case name')
  })

  it('one that fails leaves nothing of itself, and tells file and line', async () => {
    await files({
      'database/migrations/0001-a.sql': 'create table a ();',
      'database/migrations/0002-b.sql': 'create table b ();\n\nselect nonsense;',
    })
    await expect(run()).rejects.toThrow('0002-b.sql, line 3: column "nonsense" does not exist')
    expect(await applied()).toEqual(['0001-a.sql'])
    expect((await test.db.query("select to_regclass('b') as b")).rows).toEqual([{ b: null }])
  })

  it('one that was changed after it was applied is refused', async () => {
    await files({ 'database/migrations/0001-a.sql': 'select 1;\n' })
    await run()
    await files({ 'database/migrations/0001-a.sql': 'select 1;\r\n' })
    await run()
    await files({ 'database/migrations/0001-a.sql': 'select 2;\n' })
    await expect(run()).rejects.toThrow('0001-a.sql was changed after it was applied')
  })

  it('a database of a newer version is refused, and so is a file that comes too late', async () => {
    await files({ 'database/migrations/0001-a.sql': '', 'database/migrations/0003-c.sql': '' })
    await run()
    await files({ 'database/migrations/0002-b.sql': '' })
    await expect(run()).rejects.toThrow('0002-b.sql comes before one that is applied')
    await rm(join(root, 'database/migrations/0002-b.sql'))
    await rm(join(root, 'database/migrations/0003-c.sql'))
    await expect(run()).rejects.toThrow('migrated by a newer Reprise (0003-c.sql)')
  })

  it('two nodes that start together apply each once', async () => {
    await files({
      'database/migrations/0001-a.sql': 'create table steps (n int); select pg_sleep(0.1);',
      'database/migrations/0002-b.sql': 'insert into steps values (1); select pg_sleep(0.1);',
      'features/x/sql/v.sql': 'create or replace view v as select * from steps;',
    })
    await Promise.all([run(), run(), run()])
    expect((await test.db.query('select * from v')).rows).toEqual([{ n: 1 }])
  })

  it('may take longer than a statement of the application may', async () => {
    const hasty = createDatabase({ url: test.url, max: 1, applicationName: 't', statementTimeoutMs: 100, logger })
    await files({ 'database/migrations/0001-a.sql': 'select pg_sleep(0.3);' })
    await migrate(hasty, { ...ownSqlFiles(root), shimFile: undefined, compatSchema: 'public', logger })
    await expect(hasty.query('select pg_sleep(0.3)')).rejects.toMatchObject({ code: '57014' })
    await hasty.close()
  })
})

describe('views, functions and policies', () => {
  it('are applied again when a file changed, all in order and all or none', async () => {
    const view = 'drop view if exists w; drop view if exists v; create view v as select 1 as n;'
    await files({
      'database/migrations/0001-a.sql': 'create table runs (file text);',
      'features/b/sql/one.sql': "insert into runs values ('b'); create view w as select * from v;",
      'features/a/sql/one.sql': `insert into runs values ('a'); ${view}`,
    })
    const runs = async () => (await test.db.query<{ all: string }>("select string_agg(file, '') as all from runs")).rows[0]!.all
    await run()
    await run()
    expect(await runs()).toBe('ab')
    await files({ 'features/a/sql/one.sql': `insert into runs values ('a'); ${view.replace('1', '2')}` })
    await run()
    expect(await runs()).toBe('abab')
    expect((await test.db.query('select n from w')).rows).toEqual([{ n: 2 }])

    await files({ 'features/a/sql/one.sql': 'drop view w; drop view v; select nonsense;' })
    await expect(run()).rejects.toThrow('features/a/sql/one.sql, line 1')
    expect((await test.db.query('select n from w')).rows).toEqual([{ n: 2 }])
  })
})

describe('tables of somebody else', () => {
  const tables = [
    { schema: 'public', table: 'tracks' },
    { schema: 'public', table: 'notices' },
    { schema: 'public', table: 'board' },
  ]

  it('are never touched: the start is refused and names them', async () => {
    await test.db.query('create table public.notices (theirs int)')
    await files({ 'database/migrations/0001-a.sql': 'create table public.tracks (id int);' })
    await expect(run({ tables })).rejects.toThrow('made by somebody else: public.notices.')
    expect(await applied()).toEqual([])
  })

  it('ours are known by their comment, whatever it says besides, and views are too', async () => {
    await files({
      'database/migrations/0001-a.sql': "create table public.tracks (id int); comment on table public.tracks is 'songs'",
      'features/a/sql/board.sql': 'create or replace view public.board as select 1 as n',
    })
    await run({ tables })
    expect((await test.db.query("select obj_description('tracks'::regclass) as v")).rows).toEqual([{ v: 'reprise: songs' }])
    await files({ 'database/migrations/0002-b.sql': 'create table public.notices (id int)' })
    await run({ tables })
    expect(await applied()).toHaveLength(2)
  })

  it('one that appears before a later version needs its name is refused as well', async () => {
    await files({ 'database/migrations/0001-a.sql': 'create table public.tracks (id int)' })
    await run({ tables })
    await test.db.query('create table public.notices (theirs int)')
    await run({ tables })
    await files({ 'database/migrations/0002-b.sql': 'create table if not exists public.notices (id int)' })
    await expect(run({ tables })).rejects.toThrow('public.notices')
  })
})

describe('the Supabase shim', () => {
  const shimFile = ownSqlFiles().shimFile

  it('may be applied twice and replaces nothing that is there', async () => {
    await test.db.query(`
      create schema auth;
      create function auth.uid() returns uuid language sql as $$ select '00000000-0000-0000-0000-00000000000a'::uuid $$;
      create table auth.users (id uuid primary key, theirs text)`)
    await files({})
    await run({ shimFile })
    await test.db.query('delete from reprise.repeatables')
    await run({ shimFile })
    expect((await test.db.query('select auth.uid() as v, auth.jwt() as w')).rows).toEqual([{ v: '00000000-0000-0000-0000-00000000000a', w: null }])
    expect((await test.db.query('select theirs from auth.users')).rows).toEqual([])
    expect((await test.db.query("select storage.foldername('a/b/c.mp3') as v, storage.extension('a/b/c.mp3') as w")).rows).toEqual([
      { v: ['a', 'b'], w: 'mp3' },
    ])
  })

  it('needs no superuser where the roles exist', async () => {
    await files({ 'database/migrations/0001-a.sql': 'create table ${COMPAT_SCHEMA}.mine (id int)' })
    await run({ shimFile }) // makes the roles, which belong to the whole server
    const plain = await createTestDatabase({ migrated: false })
    const name = new URL(plain.url).pathname.slice(1)
    const role = `owner_of_${name}`
    try {
      await plain.db.query(`create role ${role} login password 'p'; alter database ${name} owner to ${role}`)
      const url = Object.assign(new URL(plain.url), { username: role, password: 'p' }).href
      const db = createDatabase({ url, max: 1, applicationName: 't', logger })
      await migrate(db, { ...ownSqlFiles(root), shimFile, compatSchema: 'public', logger }).finally(() => db.close())
      expect((await plain.db.query("select to_regclass('auth.users')::text as v")).rows).toEqual([{ v: 'auth.users' }])
    } finally {
      await plain.db.query(`reassign owned by ${role} to current_user; alter database ${name} owner to current_user; drop owned by ${role}; drop role ${role}`)
      await plain.close()
    }
  })

  it('lets policies written for Supabase tell users apart', async () => {
    const [anna, boris] = ['00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002']
    await files({
      'database/migrations/0001-a.sql': `
        create table \${COMPAT_SCHEMA}.songs (user_id uuid, title text);
        alter table \${COMPAT_SCHEMA}.songs enable row level security;
        grant select, insert on \${COMPAT_SCHEMA}.songs to anon, authenticated, service_role;
        create policy own on \${COMPAT_SCHEMA}.songs using (auth.uid() = user_id) with check (auth.uid() = user_id);`,
    })
    await run({ shimFile })
    await test.asUser(anna!).query('insert into songs values ($1, $2)', [anna, 'mine'])
    await expect(test.asUser(boris!).query('insert into songs values ($1, $2)', [anna, 'forged'])).rejects.toThrow(/row-level security/)
    const titles = async (who: string | null, role?: 'service_role') => (await test.asUser(who, role).query('select title from songs')).rows
    expect(await titles(anna!)).toEqual([{ title: 'mine' }])
    expect(await titles(boris!)).toEqual([])
    expect(await titles(null)).toEqual([])
    expect(await titles(null, 'service_role')).toEqual([{ title: 'mine' }])
  })
})
