import { connectForeign } from '../../database/foreign.ts'
import { CommandRefused } from '../../kernel/command-refused.ts'
import { BATCH, type Source } from './source.ts'

export interface TableOptions {
  /** Of the database that holds the table. Never shown. */
  url: string
  /** `table` or `schema.table`, written as PostgreSQL keeps it. */
  table: string
  /** Reprise's own `tracks`, which is no source; and how its database is told from others. */
  ours?: { table: string; sameDatabase: (identity: string) => boolean }
}

/** Tells one database from another, wherever it is reached. */
export const IDENTITY = `select concat_ws(' ', (select oid from pg_database where datname = current_database()), pg_postmaster_start_time()) as identity`

/** A table or view, read by a cursor in one read-only snapshot. Throws CommandRefused when it cannot be read. */
export async function openTable({ url, table, ours }: TableOptions): Promise<Source> {
  const { client, name: database, refusalOf } = await connectForeign(url, { option: '--from', command: 'reprise import' })
  const noTable = `There is no table ${table} in ${database}.`
  const said = { '42P01': noTable, '3F000': noTable, '42501': `${database}: this user may not read ${table}.` }
  const run = <Row extends unknown[]>(text: string) =>
    client.query<Row>({ text, rowMode: 'array' }).catch((error: unknown) => Promise.reject(refusalOf(error, said)))
  try {
    await run(`set timezone = 'UTC'; set datestyle = 'ISO, YMD'; set statement_timeout = 0; set idle_in_transaction_session_timeout = 0`)
    await run('begin isolation level repeatable read read only')
    const [schema, name] = table.includes('.') ? [table.slice(0, table.indexOf('.')), table.slice(table.indexOf('.') + 1)] : [null, table]
    const quoted = [schema, name].filter((part) => part !== null).map((part) => client.escapeIdentifier(part)).join('.')
    const { fields } = await run(`select * from ${quoted} limit 0`).catch((error: unknown) => withHint(error))
    if (ours) {
      const { rows: [row] } = await run<[string, string]>(`select (${IDENTITY}), '${quoted.replaceAll("'", "''")}'::regclass::oid = to_regclass('${ours.table.replaceAll("'", "''")}')::oid`)
      if (row?.[1] as unknown === true && ours.sameDatabase(row![0])) {
        throw new CommandRefused(`${table} is Reprise's own table of tracks: what finished songs it names is archived without being imported. Name the table that holds yours.`)
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
    if (!(error instanceof CommandRefused) || (error.cause as { code?: string }).code !== '42P01') throw error
    await client.query('rollback')
    const { rows } = await run<[string]>(
      `select distinct table_schema || '.' || table_name from information_schema.columns
       where column_name ilike '%url%' and table_schema not in ('pg_catalog', 'information_schema', 'reprise', 'auth', 'storage') order by 1 limit 10`)
    throw new CommandRefused(`${error.message}${rows.length ? ` Tables there that name addresses: ${rows.map(([name]) => name).join(', ')}.` : ''}`)
  }
}
