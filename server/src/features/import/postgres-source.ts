import pg from 'pg'
import { BATCH, ImportRefused, type Source } from './source.ts'

export interface TableOptions {
  /** Of the database that holds the table. Never shown. */
  url: string
  /** `table` or `schema.table`, written as PostgreSQL keeps it. */
  table: string
  /** Reprise's own `tracks`, which is no source; and how its database is told from others. */
  ours?: { table: string; sameDatabase: (identity: string) => boolean }
}

const CONNECT_MS = 10_000

/** Tells one database from another, wherever it is reached. */
export const IDENTITY = `select concat_ws(' ', (select oid from pg_database where datname = current_database()), pg_postmaster_start_time()) as identity`

/** A table or view, read by a cursor in one read-only snapshot. Throws ImportRefused when it cannot be read. */
export async function openTable({ url, table, ours }: TableOptions): Promise<Source> {
  const client = connectionTo(url)
  client.on('error', () => undefined) // told by the statement that needs the connection
  const database = `${client.host}/${client.database}`
  const run = <Row extends unknown[]>(text: string) =>
    client.query<Row>({ text, rowMode: 'array' }).catch((error: unknown) => Promise.reject(refusalOf(error, database, table)))
  try {
    await client.connect().catch((error: unknown) => Promise.reject(refusalOf(error, database, table)))
    await run(`set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0`)
    await run('begin isolation level repeatable read read only')
    const [schema, name] = table.includes('.') ? [table.slice(0, table.indexOf('.')), table.slice(table.indexOf('.') + 1)] : [null, table]
    const quoted = [schema, name].filter((part) => part !== null).map((part) => client.escapeIdentifier(part)).join('.')
    const { fields } = await run(`select * from ${quoted} limit 0`).catch((error: unknown) => withHint(error))
    if (ours) {
      const { rows: [row] } = await run<[string, string]>(`select (${IDENTITY}), '${quoted.replaceAll("'", "''")}'::regclass::oid = to_regclass('${ours.table.replaceAll("'", "''")}')::oid`)
      if (row?.[1] as unknown === true && ours.sameDatabase(row![0])) {
        throw new ImportRefused(`${table} is Reprise's own table of tracks: what finished songs it names is archived without being imported. Name the table that holds yours.`)
      }
    }
    const { rows: [counted] } = await run<[string]>(`select count(*)::text from ${quoted}`)
    const total = Number(counted![0])

    return {
      name: `${table} in ${database}`, counts: 'row', columns: fields.map((field) => field.name),
      async *read(columns) {
        const list = columns.map((column) => `${client.escapeIdentifier(column)}::text`).join(', ')
        await run(`declare reading no scroll cursor for select ${list} from ${quoted}`)
        for (let done = 0; ; ) {
          const { rows } = await run<(string | null)[]>(`fetch ${BATCH} from reading`)
          yield { rows: rows.map((values, index) => ({ place: done + index + 1, values })), done: done += rows.length, of: Math.max(total, done) }
          if (rows.length < BATCH) return
        }
      },
      close: () => client.end(),
    }
  } catch (error) {
    await client.end().catch(() => undefined)
    throw error
  }

  /** Tables that could be meant. */
  async function withHint(error: unknown): Promise<never> {
    if (!(error instanceof ImportRefused) || (error.cause as { code?: string }).code !== '42P01') throw error
    await client.query('rollback')
    const { rows } = await run<[string]>(
      `select distinct table_schema || '.' || table_name from information_schema.columns
       where column_name ilike '%url%' and table_schema not in ('pg_catalog', 'information_schema', 'reprise', 'auth', 'storage') order by 1 limit 10`)
    throw new ImportRefused(`${error.message}${rows.length ? ` Tables there that name addresses: ${rows.map(([name]) => name).join(', ')}.` : ''}`)
  }
}

function connectionTo(url: string): pg.Client {
  try {
    if (!/^postgres(ql)?:\/\//.test(url)) throw new TypeError()
    return new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MS, keepAlive: true, application_name: 'reprise import' })
  } catch {
    throw new ImportRefused('--from is not the address of a PostgreSQL. Write it like postgres://user:password@host:5432/database.')
  }
}

/** In words, without the address, which holds the password. */
function refusalOf(error: unknown, database: string, table: string): ImportRefused {
  const { code = '', message } = error as { code?: string; message: string }
  const say = (): string => {
    switch (code) {
      case 'ECONNREFUSED': return `Nobody answers at ${database}. Is it running, and is the port right?`
      case 'ENOTFOUND':
      case 'EAI_AGAIN': return `${database}: there is no such host.`
      case '28P01':
      case '28000': return `${database} does not let us in: wrong user or password.`
      case '3D000': return `${database}: there is no such database.`
      case '42P01':
      case '3F000': return `There is no table ${table} in ${database}.`
      case '42501': return `${database}: this user may not read ${table}.`
      case 'SELF_SIGNED_CERT_IN_CHAIN':
      case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE': return `${database} shows a certificate that this machine does not know. Give it (sslrootcert=FILE), or trust it unseen: sslmode=no-verify.`
      default: return `${database}: ${message || code || 'the connection failed'}`
    }
  }
  return new ImportRefused(say(), { cause: error })
}
