import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { inject } from 'vitest'
import { sha256Hex } from '../../kernel/ids.ts'
import { createLogger, type Logger } from '../../kernel/logger.ts'
import { migrate, ownSqlFiles } from '../migrate.ts'
import { createDatabase, type Database, type Queryable } from '../pool.ts'
import type {} from './postgres.global.ts'

export interface TestDatabase extends AsyncDisposable {
  url: string
  db: Database
  /**
   * Runs each query as PostgREST would for a signed-in user: in a transaction of its own (committed), under that
   * role and with `request.jwt.claims`. `null` is a visitor: role `anon`, no `sub`.
   */
  asUser(userId: string | null, role?: 'anon' | 'authenticated' | 'service_role'): Queryable
  /** Closes `db` and drops the database. */
  close(): Promise<void>
}

interface Options {
  /** With all our migrations (default), or empty. */
  migrated?: boolean
  compatSchema?: string
  /** Connections of `db`. */
  max?: number
  /** Default: warnings and errors, so that what goes wrong in the background is seen. */
  logger?: Logger
}

const TEMPLATE_LOCK = 7_236_502
const warnings = createLogger({ level: 'warn' })

/** A database of its own for a test file: call it in `beforeAll`, `close()` it in `afterAll`. */
export async function createTestDatabase(options: Options = {}): Promise<TestDatabase> {
  const { migrated = true, compatSchema = 'public', max = 5, logger = warnings } = options
  const serverUrl = inject('postgresUrl')
  const name = `test_${randomBytes(8).toString('hex')}`
  await asAdmin(serverUrl, async (admin) => {
    const template = migrated ? await ensureTemplate(admin, serverUrl, compatSchema) : 'template1'
    await admin.query(`create database ${name} template ${template}`)
  })
  const url = urlOf(serverUrl, name)
  const db = createDatabase({ url, max, applicationName: 'reprise-test', logger })
  const close = async () => {
    await db.close()
    await asAdmin(serverUrl, (admin) => admin.query(`drop database if exists ${name} with (force)`))
  }
  return {
    url,
    db,
    asUser: (userId, role = userId === null ? 'anon' : 'authenticated') => ({
      query: (query, values) =>
        db.transaction(async (tx) => {
          const claims = JSON.stringify({ role, ...(userId !== null && { sub: userId }) })
          await tx.query("select set_config('request.jwt.claims', $1, true), set_config('role', $2, true)", [claims, role])
          return tx.query(query, values)
        }),
    }),
    close,
    [Symbol.asyncDispose]: close,
  }
}

const urlOf = (serverUrl: string, name: string) => Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href

async function asAdmin<T>(serverUrl: string, work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({ connectionString: urlOf(serverUrl, 'postgres') })
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.end()
  }
}

/** Migrated once per content of the SQL files; test files that start at the same moment wait for the first. */
async function ensureTemplate(admin: pg.Client, serverUrl: string, compatSchema: string): Promise<string> {
  const files = ownSqlFiles()
  const template = `template_${sha256Hex(`${compatSchema}\n${contentOf(files)}`).slice(0, 16)}`
  await admin.query('select pg_advisory_lock($1)', [TEMPLATE_LOCK])
  try {
    const { rowCount } = await admin.query('select 1 from pg_database where datname = $1', [template])
    if (rowCount) return template
    const draft = `${template}_draft`
    await admin.query(`drop database if exists ${draft} with (force)`)
    await admin.query(`create database ${draft}`)
    const url = urlOf(serverUrl, draft)
    const db = createDatabase({ url, max: 1, applicationName: 'reprise-test-template', logger: warnings })
    await migrate(db, { ...files, compatSchema, logger: warnings }).finally(() => db.close())
    await admin.query(`alter database ${draft} rename to ${template}`)
    return template
  } finally {
    await admin.query('select pg_advisory_unlock($1)', [TEMPLATE_LOCK])
  }
}

function contentOf({ migrationsDir, shimFile, repeatableDirs }: ReturnType<typeof ownSqlFiles>): string {
  const inDirs = [migrationsDir, ...repeatableDirs].flatMap((dir) => {
    try {
      return readdirSync(dir).filter((name) => name.endsWith('.sql')).sort().map((name) => join(dir, name))
    } catch {
      return []
    }
  })
  return [shimFile, ...inDirs].map((path) => `${path}\n${readFileSync(path, 'utf8')}`).join('\n')
}
