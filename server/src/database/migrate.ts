import { readdir, readFile } from 'node:fs/promises'
import { globSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import type pg from 'pg'
import { sha256Hex } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Database } from './pool.ts'

export interface Table {
  schema: string
  table: string
}

export interface MigrateOptions {
  /** Holds `NNNN-name.sql`: applied once each, in order, never changed afterwards. */
  migrationsDir: string
  /** Hold views, functions and policies: applied again, all of them, whenever one changed or a migration ran. */
  repeatableDirs: string[]
  /** Applied before the migrations, when it changed (`supabase-shim.sql`). */
  shimFile?: string
  /** Replaces `${COMPAT_SCHEMA}` in every file. */
  compatSchema: string
  /** The tables that are ours. A table of that name that we did not make is never touched: we refuse to start. */
  tables?: Table[]
  logger: Logger
}

/** The database is not one that this version of Reprise can run on. The message is for the operator. */
export class DatabaseRefusedError extends Error {
  override name = 'DatabaseRefusedError'
}

const LOCK = 7_236_501 // any number of our own; nodes that start together go one after the other
const MARK = 'reprise' // begins the comment of every table and view of ours
const NO_LIMIT = { query_timeout: 2 ** 31 - 1 } // a migration takes the time that it takes

/** The SQL files of this program. `root` is the folder that holds `database/` and `features/`. */
export function ownSqlFiles(root = dirname(import.meta.dirname)) {
  const dirs = ['engine/sql', 'database/repeatable', ...globSync('features/*/sql', { cwd: root })]
  return {
    migrationsDir: join(root, 'database/migrations'),
    shimFile: join(root, 'database/supabase-shim.sql'),
    repeatableDirs: dirs.map((dir) => join(root, dir)),
  }
}

/** Brings the database to this version. Safe to run from several nodes at once. Throws DatabaseRefusedError. */
export async function migrate(db: Database, options: MigrateOptions): Promise<void> {
  const { compatSchema, logger, tables = [] } = options
  if (!/^[a-z_][a-z0-9_]*$/.test(compatSchema)) {
    throw new DatabaseRefusedError(`COMPAT_SCHEMA: ${JSON.stringify(compatSchema)} is not a plain lower-case name`)
  }
  const migrations = await readMigrations(options.migrationsDir)
  const shim = options.shimFile ? await readSqlFiles([options.shimFile], options.migrationsDir) : []
  const repeatables = await readRepeatables(options)
  const expand = (text: string) => text.replaceAll('${COMPAT_SCHEMA}', `"${compatSchema}"`)

  const client = await db.pool.connect()
  let fault: Error | undefined
  try {
    await refuseUnfit(client)
    await inTransaction(client, () => ensureRecords(client, compatSchema))
    await inTransaction(client, async () => {
      if (!(await areCurrent(client, 'shim', shim))) await applyRepeatables(client, 'shim', shim, expand)
    })
    let applied = 0
    // Each in its own transaction, looking anew what another node may have applied meanwhile.
    while (
      await inTransaction(client, async () => {
        const next = pending(migrations, await readApplied(client), compatSchema)[0]
        if (!next) return false
        await refuseForeign(client, tables)
        await execute(client, next.name, expand(next.text))
        await markOurs(client, tables)
        await client.query(
          'insert into reprise.migrations (number, name, sha256, compat_schema) values ($1, $2, $3, $4)',
          [next.number, next.name, next.sha256, compatSchema],
        )
        logger.info({ migration: next.name }, 'migration applied')
        return true
      })
    ) {
      applied++
    }
    await inTransaction(client, async () => {
      if (applied === 0 && (await areCurrent(client, 'repeatable', repeatables))) return
      await refuseForeign(client, tables)
      await applyRepeatables(client, 'repeatable', repeatables, expand)
      // PostgreSQL lets everybody call a new function; ours are for us, and for whom their own files name.
      await client.query('revoke execute on all functions in schema reprise from public')
      await markOurs(client, tables)
      logger.info({ files: repeatables.length }, 'views, functions and policies applied')
    })
  } catch (error) {
    fault = error as Error
    throw error
  } finally {
    client.release(fault ?? false)
  }
}

// Files

interface SqlFile {
  name: string
  text: string
  sha256: string
}

interface Migration extends SqlFile {
  number: number
}

async function readMigrations(dir: string): Promise<Migration[]> {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.sql')).sort()
  const migrations = await Promise.all(
    names.map(async (name): Promise<Migration> => {
      const number = Number(/^(\d{4})-[a-z0-9-]+\.sql$/.exec(name)?.[1])
      if (Number.isNaN(number)) throw new Error(`${name}: a migration is named NNNN-name.sql`)
      return { number, ...(await readSql(join(dir, name), name)) }
    }),
  )
  for (const [index, { number, name }] of migrations.entries()) {
    if (migrations[index - 1]?.number === number) throw new Error(`${name}: number ${number} is used twice`)
  }
  return migrations
}

async function readRepeatables({ repeatableDirs, migrationsDir }: MigrateOptions): Promise<SqlFile[]> {
  const paths: string[] = []
  for (const dir of repeatableDirs) {
    const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    paths.push(...names.filter((name) => name.endsWith('.sql')).map((name) => join(dir, name)))
  }
  return readSqlFiles(paths, migrationsDir)
}

/** Named by their path below the folder that holds `database/`, so alike on every machine, and in that order. */
async function readSqlFiles(paths: string[], migrationsDir: string): Promise<SqlFile[]> {
  const root = join(migrationsDir, '../..')
  const files = await Promise.all(paths.map((path) => readSql(path, relative(root, path).split(sep).join('/'))))
  return files.sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function readSql(path: string, name: string): Promise<SqlFile> {
  const text = (await readFile(path, 'utf8')).replaceAll('\r\n', '\n') // a checkout on Windows is no change
  return { name, text, sha256: sha256Hex(text) }
}

// The database

async function refuseUnfit(client: pg.PoolClient): Promise<void> {
  const { rows } = await client.query<{ fsync: string; version: string; number: number }>(
    `select current_setting('fsync') as fsync, current_setting('server_version') as version,
            current_setting('server_version_num')::int as number`,
  )
  const { fsync, version, number } = rows[0]!
  if (number < 150_000) throw new DatabaseRefusedError(`Reprise needs PostgreSQL 15 or newer, this is ${version}`)
  if (fsync !== 'on') {
    throw new DatabaseRefusedError(
      'This PostgreSQL runs with fsync=off: a power cut could lose or damage what Reprise has promised to keep. ' +
        'Set fsync=on and restart the database.',
    )
  }
}

async function ensureRecords(client: pg.PoolClient, compatSchema: string): Promise<void> {
  await client.query(`
    create schema if not exists reprise;
    create schema if not exists "${compatSchema}";
    create table if not exists reprise.migrations (
      number int primary key,
      name text not null,
      sha256 text not null,
      compat_schema text not null,
      applied_at timestamptz not null default now()
    );
    create table if not exists reprise.repeatables (
      kind text not null,
      name text not null,
      sha256 text not null,
      applied_at timestamptz not null default now(),
      primary key (kind, name)
    );`)
}

interface Applied {
  number: number
  name: string
  sha256: string
  compat_schema: string
}

async function readApplied(client: pg.PoolClient): Promise<Applied[]> {
  const { rows } = await client.query<Applied>('select * from reprise.migrations order by number')
  return rows
}

function pending(migrations: Migration[], applied: Applied[], compatSchema: string): Migration[] {
  const newest = migrations.at(-1)?.number ?? 0
  for (const row of applied) {
    const file = migrations.find(({ number }) => number === row.number)
    if (!file && row.number > newest) {
      throw new DatabaseRefusedError(`This database was migrated by a newer Reprise (${row.name}): update this one`)
    }
    if (!file) {
      throw new DatabaseRefusedError(`Migration ${row.name} was applied to this database, but its file is missing`)
    }
    if (file.sha256 !== row.sha256) {
      throw new DatabaseRefusedError(
        `Migration ${file.name} was changed after it was applied to this database. Put it back and write a new one.`,
      )
    }
    if (row.compat_schema !== compatSchema) {
      throw new DatabaseRefusedError(
        `This database was set up with COMPAT_SCHEMA=${row.compat_schema}, not ${compatSchema}`,
      )
    }
  }
  const last = applied.at(-1)?.number ?? -1
  const open = migrations.filter(({ number }) => !applied.some((row) => row.number === number))
  const late = open.find(({ number }) => number < last)
  if (late) {
    throw new DatabaseRefusedError(
      `Migration ${late.name} comes before one that is applied already: give it a new number`,
    )
  }
  return open
}

interface Unmarked extends Table {
  kind: 'table' | 'view' | 'materialized view' | 'foreign table'
  comment: string
}

async function unmarked(client: pg.PoolClient, tables: Table[]): Promise<Unmarked[]> {
  const { rows } = await client.query<Unmarked>(
    `select n.nspname as schema, c.relname as table, coalesce(obj_description(c.oid, 'pg_class'), '') as comment,
            case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table'
              else 'table' end as kind
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     join unnest($1::text[], $2::text[]) as ours(schema, name) on ours.schema = n.nspname and ours.name = c.relname
     where c.relkind in ('r', 'p', 'v', 'm', 'f') order by 1, 2`,
    [tables.map(({ schema }) => schema), tables.map(({ table }) => table)],
  )
  return rows.filter(({ comment }) => !comment.toLowerCase().startsWith(MARK))
}

async function refuseForeign(client: pg.PoolClient, tables: Table[]): Promise<void> {
  const foreign = await unmarked(client, tables)
  if (foreign.length === 0) return
  const names = foreign.map(({ schema, table }) => `${schema}.${table}`).join(', ')
  throw new DatabaseRefusedError(
    `This database has tables of the names that Reprise needs, made by somebody else: ${names}. ` +
      'Choose another schema with COMPAT_SCHEMA, or another database. ' +
      'Tracks in such a table are then brought in by: reprise import --table schema.table',
  )
}

async function markOurs(client: pg.PoolClient, tables: Table[]): Promise<void> {
  for (const { schema, table, kind, comment } of await unmarked(client, tables)) {
    const name = `${client.escapeIdentifier(schema)}.${client.escapeIdentifier(table)}`
    const mark = client.escapeLiteral(comment ? `${MARK}: ${comment}` : MARK)
    await client.query(`comment on ${kind} ${name} is ${mark}`)
  }
}

async function areCurrent(client: pg.PoolClient, kind: string, files: SqlFile[]): Promise<boolean> {
  const { rows } = await client.query<SqlFile>('select name, sha256 from reprise.repeatables where kind = $1', [kind])
  const known = new Map(rows.map(({ name, sha256 }) => [name, sha256]))
  return known.size === files.length && files.every(({ name, sha256 }) => known.get(name) === sha256)
}

async function applyRepeatables(client: pg.PoolClient, kind: string, files: SqlFile[], expand: (text: string) => string) {
  for (const { name, text } of files) await execute(client, name, expand(text))
  await client.query('delete from reprise.repeatables where kind = $1', [kind])
  await client.query(
    'insert into reprise.repeatables (kind, name, sha256) select $1, * from unnest($2::text[], $3::text[])',
    [kind, files.map(({ name }) => name), files.map(({ sha256 }) => sha256)],
  )
}

async function inTransaction<T>(client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  await client.query('begin; set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0')
  try {
    await client.query({ text: `select pg_advisory_xact_lock(${LOCK})`, ...NO_LIMIT })
    const result = await work()
    await client.query('commit')
    return result
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function execute(client: pg.PoolClient, name: string, text: string): Promise<void> {
  try {
    await client.query({ text, ...NO_LIMIT })
  } catch (error) {
    const { position, message } = error as Error & { position?: string }
    const line = position ? `, line ${text.slice(0, Number(position)).split('\n').length}` : ''
    throw new Error(`${name}${line}: ${message}`, { cause: error })
  }
}
