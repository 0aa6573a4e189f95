import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrate, ownSqlFiles } from '../server/src/database/migrate.ts'
import { createTestDatabase } from '../server/src/database/testing/test-database.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

const DENIED = /permission denied|row-level security/

describe('what users reach in the database itself', () => {
  let reprise: Harness
  let owner: TestUser
  let stranger: TestUser
  let trackId: string

  beforeAll(async () => {
    reprise = await startHarness()
    owner = await reprise.user('owner')
    stranger = await reprise.user('stranger')
    const asked = await reprise.call('POST', '/api/generations', { token: owner.token, body: { provider: 'suno', kind: 'song', prompt: 'mine' } })
    trackId = (await reprise.settled(asked.body.id, owner)).tracks[0].id
    const channel = await reprise.call('POST', '/api/channels', { token: owner.token, body: { name: 'mine', musicClipsSettings: { sunoPrompt: 'x' } } })
    await reprise.call('POST', `/api/music-clips/channels/${channel.body.id}/runOnce`, { token: owner.token })
  })
  afterAll(() => reprise.close())

  const as = (who: TestUser | null, role?: 'anon' | 'authenticated' | 'service_role') => reprise.database.asUser(who?.id ?? null, role)
  const count = async (who: TestUser | null, role?: 'anon' | 'authenticated' | 'service_role') =>
    (await as(who, role).query<{ id: string }>('select id from public.tracks')).rows.length

  it('a user reads their own tracks and nobody else’s', async () => {
    expect(await count(owner)).toBeGreaterThanOrEqual(2)
    expect(await count(stranger)).toBe(0)
    await expect(count(null)).rejects.toThrow(DENIED)
  })

  it('a deleted track is not readable, not even by its owner', async () => {
    const before = await count(owner)
    await reprise.call('DELETE', `/api/tracks/${trackId}`, { token: owner.token })
    expect(await count(owner)).toBe(before - 1)
  })

  it.each([
    ['insert', `insert into public.tracks (user_id, title) values (auth.uid(), 'forged')`],
    ['update', `update public.tracks set archived_to_storage = false`],
    ['delete', `delete from public.tracks`],
    ['truncate', `truncate public.tracks`],
  ])('no user may %s tracks', async (_name, sql) => {
    for (const role of ['anon', 'authenticated'] as const) await expect(as(owner, role).query(sql)).rejects.toThrow(DENIED)
  })

  it('the service role reads and writes tracks, as the app’s own server does', async () => {
    expect(await count(owner, 'service_role')).toBeGreaterThanOrEqual(2)
    const { rows } = await as(null, 'service_role').query<{ id: string }>(`insert into public.tracks (user_id, title) values ($1, 'imported') returning id`, [stranger.id])
    expect(await count(stranger)).toBe(1)
    await as(null, 'service_role').query('delete from public.tracks where id = $1', [rows[0]!.id])
  })

  it('jobs of music clips are for the service role only', async () => {
    for (const role of ['anon', 'authenticated'] as const) await expect(as(owner, role).query('select * from public.music_clips_jobs')).rejects.toThrow(DENIED)
    expect((await as(null, 'service_role').query('select * from public.music_clips_jobs')).rows.length).toBeGreaterThan(0)
  })

  it('nothing in our own schema can be read, written or called by users', async () => {
    const { rows: relations } = await reprise.database.db.query<{ name: string; kind: string }>(
      `select c.oid::regclass::text as name, c.relkind::text as kind from pg_class c where c.relnamespace = 'reprise'::regnamespace and c.relkind in ('r', 'v', 'S')`)
    const { rows: functions } = await reprise.database.db.query<{ oid: string; name: string }>(
      `select p.oid::text, p.oid::regprocedure::text as name from pg_proc p where p.pronamespace = 'reprise'::regnamespace`)
    expect(relations.length).toBeGreaterThan(10)
    expect(functions.length).toBeGreaterThan(10)
    const open: string[] = []
    for (const role of ['anon', 'authenticated']) {
      const { rows } = await reprise.database.db.query<{ usage: boolean; creates: boolean }>(
        `select has_schema_privilege($1, 'reprise', 'usage') as usage, has_schema_privilege($1, 'reprise', 'create') as creates`, [role])
      expect(rows[0]).toEqual({ usage: false, creates: false })
      for (const { name, kind } of relations) {
        const rights = kind === 'S' ? 'usage,select,update' : 'select,insert,update,delete,truncate,references,trigger'
        const { rows: found } = await reprise.database.db.query<{ has: boolean }>(
          `select has_${kind === 'S' ? 'sequence' : 'table'}_privilege($1, $2, $3) as has`, [role, name, rights])
        if (found[0]!.has) open.push(`${role}: ${name}`)
      }
      for (const { oid, name } of functions) {
        const { rows: found } = await reprise.database.db.query<{ has: boolean }>(`select has_function_privilege($1, $2::oid, 'execute') as has`, [role, oid])
        if (found[0]!.has) open.push(`${role}: ${name}`)
      }
    }
    expect(open).toEqual([])
  })

  it('a user who calls the functions that move tokens is refused', async () => {
    for (const sql of ['select reprise.settle_items($1::jsonb)', 'select reprise.accept_generation($1::jsonb)']) {
      await expect(as(owner).query(sql, ['[]'])).rejects.toThrow(DENIED)
    }
    await expect(as(owner).query(`update reprise.wallets set available = 1000000`)).rejects.toThrow(DENIED)
    await expect(as(owner).query('select value from reprise.secrets')).rejects.toThrow(DENIED)
  })

  it('a function that runs with its owner’s rights is a trigger or for the service role alone, and fixes where it looks names up', async () => {
    const { rows } = await reprise.database.db.query<{ name: string }>(
      `select p.oid::regprocedure::text as name from pg_proc p where p.prosecdef and p.pronamespace in ('reprise'::regnamespace, 'public'::regnamespace)
         and (not (p.proconfig @> '{search_path=pg_catalog}') or (p.prorettype <> 'trigger'::regtype
           and (has_function_privilege('anon', p.oid, 'execute') or has_function_privilege('authenticated', p.oid, 'execute'))))`)
    expect(rows).toEqual([])
  })

  it('every table of ours that users can see has row-level security', async () => {
    const { rows } = await reprise.database.db.query(
      `select c.relname from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and not c.relrowsecurity`)
    expect(rows).toEqual([])
  })

  it('where new tables are open to everybody by default, as at Supabase, ours are closed all the same', async () => {
    await using database = await createTestDatabase({ migrated: false })
    await database.db.query('alter default privileges in schema public grant all on tables to anon, authenticated, service_role')
    await migrate(database.db, { ...ownSqlFiles(), compatSchema: 'public', logger: createLogger({ level: 'error' }) })
    const { rows } = await database.db.query(
      `select table_name, grantee, privilege_type from information_schema.role_table_grants
       where table_schema = 'public' and grantee in ('PUBLIC', 'anon', 'authenticated')`)
    expect(new Set(rows.map((row: any) => `${row.grantee} ${row.privilege_type} ${row.table_name}`))).toEqual(new Set([
      'authenticated SELECT tracks', 'authenticated SELECT ai_generations', 'authenticated SELECT track_archiving_jobs', 'authenticated INSERT track_archiving_jobs', 'authenticated SELECT notifications',
      'authenticated SELECT generation_jobs', 'authenticated SELECT generation_tasks',
    ]))
  })
})
