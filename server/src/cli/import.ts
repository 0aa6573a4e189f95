import { parseArgs } from 'node:util'
import { CommandRefused } from '../kernel/command-refused.ts'
import { createDatabase, type Queryable } from '../database/pool.ts'
import { parseMap } from '../features/import/columns.ts'
import { openCsv } from '../features/import/csv-source.ts'
import { createImport } from '../features/import/import.ts'
import { IDENTITY, openTable } from '../features/import/postgres-source.ts'
import { makeReport, printReport } from '../features/import/report.ts'
import type { Source } from '../features/import/source.ts'
import { sleep } from '../kernel/clock.ts'
import { createLogger } from '../kernel/logger.ts'
import { createProgress, type Progress } from './progress.ts'
import { reportWriter } from './report-file.ts'

export const IMPORT_HELP = `reprise import: archives the tracks that a team has already, the most urgent first

  reprise import --from postgres://user:password@host/db [--table tracks]   from another database
  reprise import --table schema.table                                       from another schema of this one
  reprise import --csv tracks.csv                                           from a file whose first line names its columns

  --dry-run            tells what would be done, and writes nothing
  --map FIELD=COLUMN   where a field comes from, when its column has no usual name; several with commas, or repeated.
                       Fields: id user_id audio_url cover_url video_url created_at title prompt lyrics style_tags provider
                       model duration (seconds; from 3600 on milliseconds) duration_ms status deleted_at
                       storage_audio_url storage_cover_url storage_video_url (the team's own copies: taken from there).
                       FIELD= says that there is no such column. Ids that are no UUID get a stable one each.
  --user ID            owner of every track, when the rows name none
  --source NAME        keeps equal ids of different sources apart; the same name when the import is repeated
  --skip-expired       leaves out what its provider has deleted by its calendar; otherwise it is tried, last
  --retry              asks once more for what failed in an earlier import
  --report FILE        writes the report as JSON, too
  --work               archives in this process; without it a running Reprise does
  --no-wait            ends when everything is in the archive's queue
  --encoding, --delimiter   of the CSV file, when they are not found out

--from env:NAME takes the address from an environment variable, out of sight of others on this machine.
It may be stopped at any time and repeated: what is here already is found, and nothing is archived twice.
Exit code 0: all is archived; 3: some tracks or rows are not, or not yet; 1: it could not be done; 2: wrong options.`

export interface ImportContext {
  config: { compatSchema: string; downloadAllowHosts: string[] }
  databaseUrl: () => string
  env: Record<string, string | undefined>
  stdout: NodeJS.WritableStream
  stderr: NodeJS.WriteStream
  /** Ends it early and in order, as Ctrl-C does. */
  signal: AbortSignal
}

const OPTIONS = {
  from: { type: 'string' }, table: { type: 'string' }, csv: { type: 'string' }, map: { type: 'string', multiple: true }, user: { type: 'string' }, source: { type: 'string' },
  encoding: { type: 'string' }, delimiter: { type: 'string' }, report: { type: 'string' }, 'dry-run': { type: 'boolean' }, 'skip-expired': { type: 'boolean' },
  retry: { type: 'boolean' }, work: { type: 'boolean' }, 'no-wait': { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
} as const

const LOOK_MS = 1_000
const NO_WORKER_MS = 30_000
const MOST_TROUBLES = 10_000

/** `reprise import`. Answers the exit code; throws CommandRefused with a message for the operator. */
export async function importCommand(args: string[], context: ImportContext): Promise<number> {
  const { config, env, stdout, signal } = context
  let given: ReturnType<typeof parse>
  try {
    given = parse(args)
  } catch (error) {
    context.stderr.write(`${(error as Error).message}\nSee: reprise import --help\n`)
    return 2
  }
  if (given.help) {
    stdout.write(`${IMPORT_HELP}\n`)
    return 0
  }
  const map = parseMap(given.map ?? [])
  const writeReport = await reportWriter(given.report)

  const startedAt = new Date()
  const worker = given.work && !given['dry-run'] ? await startWorker(env) : null
  const db = createDatabase({ url: context.databaseUrl(), max: 1, applicationName: 'reprise import', statementTimeoutMs: 600_000, logger: createLogger({ level: 'silent' }) })
  const progress = createProgress(context.stderr)
  let source: Source | null = null
  try {
    const session = await db.pool.connect()
    try {
      const queryable: Queryable = {
        async query(query, values) {
          const { text, values: own } = typeof query === 'string' ? { text: query, values } : query
          const result = await session.query(text, own as unknown[] | undefined)
          return { rows: result.rows as never, rowCount: result.rowCount ?? 0 }
        },
      }
      source = await openSource(given, context, queryable)
      const importing = createImport({ session: queryable, schema: config.compatSchema, allowHosts: config.downloadAllowHosts })
      const tally = await importing.stage(source, {
        map, sourceName: given.source ?? null, user: given.user ?? null, skipExpired: given['skip-expired'] ?? false, planOnly: given['dry-run'] ?? false,
      }, (done, of) => progress.show('reading', done, of), signal)
      await source.close()
      const plan = await importing.plan()
      let finished = true
      if (!given['dry-run']) {
        await importing.move((done, of) => progress.show('queueing', done, of), signal)
        if (given.retry && !signal.aborted) await importing.retry()
        finished = await wait(importing, given['no-wait'] ? 0 : Infinity, progress, signal)
      }
      progress.end()
      const outcome = given['dry-run'] ? null : await importing.outcome()
      const troubles = outcome ? await importing.troubles(MOST_TROUBLES) : []
      const report = makeReport({ source, tally, plan, outcome, troubles, startedAt, endedAt: new Date(), finished })
      await writeReport(report)
      const { rows: [time] } = await queryable.query<{ now: Date }>('select reprise.now() as now')
      stdout.write(`${printReport(report, time!.now.getTime())}\n`)
      if (signal.aborted) return 130
      const well = tally.total('bad') === 0 && (!outcome || (finished && outcome.partly + outcome.gone + outcome.failed === 0))
      return well ? 0 : 3
    } finally {
      session.release(true)
    }
  } catch (error) {
    progress.end()
    if (signal.aborted) {
      context.stderr.write('Stopped before anything was imported. The same command begins anew.\n')
      return 130
    }
    throw error
  } finally {
    await source?.close().catch(() => undefined)
    await db.close()
    await worker?.stop()
  }
}

function parse(args: string[]) {
  const { values } = parseArgs({ args, options: OPTIONS, allowPositionals: false })
  if (values.help) return values
  if (values.csv !== undefined && (values.from !== undefined || values.table !== undefined)) throw new Error('Either --csv or a table, not both.')
  if (values.csv === undefined && values.from === undefined && values.table === undefined) throw new Error('Import from where? --csv FILE, --from DATABASE or --table SCHEMA.TABLE.')
  if (values.csv === undefined && (values.encoding !== undefined || values.delimiter !== undefined)) throw new Error('--encoding and --delimiter are for --csv.')
  return values
}

async function openSource(given: ReturnType<typeof parse>, { config, databaseUrl, env }: ImportContext, session: Queryable): Promise<Source> {
  if (given.csv !== undefined) return openCsv({ file: given.csv, encoding: given.encoding, delimiter: given.delimiter })
  const name = given.from?.startsWith('env:') ? given.from.slice(4) : null
  const url = name === null ? given.from : env[name]
  if (name !== null && !url) throw new CommandRefused(`--from env:${name}: ${name} is not set.`)
  const { rows: [here] } = await session.query<{ identity: string }>(IDENTITY)
  return openTable({ url: url ?? databaseUrl(), table: given.table ?? 'tracks', ours: { table: `"${config.compatSchema}".tracks`, sameDatabase: (identity) => identity === here!.identity } })
}

/** Shows how the archive gets on, until every track has come to an end. False when it does not, for want of a worker or of patience. */
async function wait(importing: ReturnType<typeof createImport>, patienceMs: number, progress: Progress, signal: AbortSignal): Promise<boolean> {
  const since = performance.now()
  let all: number | null = null
  for (let lonelySince: number | null = null; ; ) {
    const asked = performance.now()
    const open = await importing.open()
    all ??= open
    if (all > 0 && patienceMs > 0) progress.show('archiving', all - open, all)
    if (open === 0) return true
    if (signal.aborted || performance.now() - since >= patienceMs) return false
    lonelySince = (await importing.hasWorker()) ? null : (lonelySince ?? performance.now())
    if (lonelySince !== null && performance.now() - lonelySince > NO_WORKER_MS) {
      progress.say('Nobody archives: no worker is running. Start Reprise, or run this again with --work.')
      return false
    }
    // The question is cheap for thousands of tracks and takes a second for a million.
    await sleep(Math.max(LOOK_MS, (performance.now() - asked) * 10), signal)
  }
}

/** A worker like any other, in this process. */
async function startWorker(env: Record<string, string | undefined>): Promise<{ stop(): Promise<void> }> {
  const { start } = await import('../start.ts')
  return start({ LOG_LEVEL: 'error', ...env }, 'worker')
}
