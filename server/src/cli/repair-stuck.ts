import { access, constants, rename, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { CommandRefused } from '../kernel/command-refused.ts'
import { createDatabase } from '../database/pool.ts'
import { checkRefundStatement, openForeignDatabase, type PlannedRepair } from '../features/stale-jobs/foreign-database.ts'
import { createStaleJobs, type ClosedJob } from '../features/stale-jobs/stale-jobs.ts'
import { createLogger } from '../kernel/logger.ts'

export const REPAIR_HELP = `reprise repair-stuck: closes jobs that nobody works on any more, and gives their tokens back

  reprise repair-stuck                 tells what would be done in Reprise's own tables, and writes nothing
  reprise repair-stuck --apply         does it: what a running Reprise does every 5 minutes by itself
  reprise repair-stuck --database postgres://user:password@host/db
                                       prints a plan as SQL for the tables generation_jobs and generation_tasks of an app
                                       that does not run on Reprise; each job is one transaction, and once for ever
  … --apply --refund 'select refund_tokens($user, $amount, $reason)'
                                       does it there; the statement gives one user tokens back

  --database env:NAME  takes the address from an environment variable, out of sight of others on this machine
  --schema NAME        where the tables are (public)
  --refund STATEMENT   $user, $amount, $reason and $job stand for values, and are put in as SQL writes them: no quotes around
  --json               prints the report as JSON
  --report FILE        writes the report as JSON into a file

Stuck is: open, nobody works on it, and 10 minutes old by started_at, or by created_at when that is empty. Finished cards
are kept. Of the others each gives back its part of the job's own tokens_cost; cards that had failed were refunded by
whoever failed them. It may be repeated: a job is closed and refunded once.
Exit code 0: all is well; 3: some jobs could not be closed, or have changed meanwhile; 1: it could not be done; 2: wrong options.`

export interface RepairContext {
  config: { compatSchema: string; appLinkBase?: string }
  databaseUrl: () => string
  env: Record<string, string | undefined>
  stdout: NodeJS.WritableStream
  stderr: NodeJS.WritableStream
}

const OPTIONS = {
  apply: { type: 'boolean' }, json: { type: 'boolean' }, report: { type: 'string' }, database: { type: 'string' }, schema: { type: 'string' },
  refund: { type: 'string' }, help: { type: 'boolean', short: 'h' },
} as const
type Options = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

export interface RepairReport {
  database: string
  applied: boolean
  closed: number
  completed: number
  failed: number
  neverStarted: number
  tokensRefunded: number
  jobs: ClosedJob[]
  errors: { table: string; jobId: string; error: string }[]
}

/** `reprise repair-stuck`. Answers the exit code; throws CommandRefused with a message for the operator. */
export async function repairCommand(args: string[], context: RepairContext): Promise<number> {
  let given: Options
  try {
    given = parseArgs({ args, options: OPTIONS, allowPositionals: false }).values
    if (given.database === undefined && (given.refund !== undefined || given.schema !== undefined)) throw new Error('--refund and --schema are for --database.')
  } catch (error) {
    context.stderr.write(`${(error as Error).message}\nSee: reprise repair-stuck --help\n`)
    return 2
  }
  if (given.help) {
    context.stdout.write(`${REPAIR_HELP}\n`)
    return 0
  }
  const file = given.report === undefined ? null : resolve(given.report)
  if (file) await access(dirname(file), constants.W_OK).catch(() => Promise.reject(new CommandRefused(`--report ${given.report}: its folder cannot be written.`)))
  const { report, sql } = given.database === undefined ? await repairOwn(given, context) : await repairForeign(given.database, given, context)
  if (file) {
    await writeFile(`${file}.new`, `${JSON.stringify(report, null, 2)}\n`)
    await rename(`${file}.new`, file)
  }
  context.stdout.write(given.json ? `${JSON.stringify(report, null, 2)}\n` : (sql ?? printed(report)))
  return report.errors.length ? 3 : 0
}

async function repairOwn({ apply = false }: Options, { config, databaseUrl }: RepairContext): Promise<{ report: RepairReport; sql: null }> {
  const logger = createLogger({ level: 'silent' })
  const db = createDatabase({ url: databaseUrl(), max: 1, applicationName: 'reprise repair-stuck', logger })
  try {
    const staleJobs = createStaleJobs({ db, linkBase: config.appLinkBase?.replace(/\/+$/, '') ?? '', logger })
    const { jobs, errors } = await staleJobs.run(apply ? 'apply' : 'plan')
    return { report: reportOf('Reprise', apply, jobs, errors), sql: null }
  } finally {
    await db.close()
  }
}

async function repairForeign(database: string, { apply = false, schema = 'public', refund }: Options, { env }: RepairContext): Promise<{ report: RepairReport; sql: string | null }> {
  const statement = refund === undefined ? null : checkRefundStatement(refund)
  const variable = database.startsWith('env:') ? database.slice(4) : null
  const url = variable === null ? database : env[variable]
  if (!url) throw new CommandRefused(`--database env:${variable}: ${variable} is not set.`)
  const foreign = await openForeignDatabase({ url, schema })
  try {
    const plan = await foreign.plan(statement)
    const jobOf = ({ jobId, userId, status, kept, unfinished, refund: refunded, neverStarted }: PlannedRepair): ClosedJob =>
      ({ table: 'generation_jobs', jobId, userId, status, kept, unfinished, refunded, neverStarted })
    if (!apply) return { report: reportOf(foreign.name, false, plan.map(jobOf), []), sql: [foreign.preparation, ...plan.map(({ sql }) => sql)].join('\n') }

    if (!statement && plan.some((one) => one.refund > 0)) {
      throw new CommandRefused(`Tokens are to be given back and nobody has said how: --refund 'select refund_tokens($user, $amount, $reason)'`)
    }
    if (plan.length) await foreign.prepare()
    const jobs: ClosedJob[] = []
    const errors: RepairReport['errors'] = []
    for (const one of plan) {
      const tell = (error: string) => errors.push({ table: 'generation_jobs', jobId: one.jobId, error })
      try {
        const outcome = await foreign.repair(one)
        if (outcome === 'changed') tell('it has changed since it was planned: run this again')
        else if (outcome !== 'ended') jobs.push({ ...jobOf(one), ...(outcome === 'closed' && { refunded: 0 }) })
      } catch (error) {
        tell((error as Error).message)
      }
    }
    return { report: reportOf(foreign.name, true, jobs, errors), sql: null }
  } finally {
    await foreign.close()
  }
}

function reportOf(database: string, applied: boolean, jobs: ClosedJob[], errors: RepairReport['errors']): RepairReport {
  return {
    database, applied, closed: jobs.length, completed: jobs.filter(({ status }) => status === 'completed').length, failed: jobs.filter(({ status }) => status === 'failed').length,
    neverStarted: jobs.filter(({ neverStarted }) => neverStarted).length, tokensRefunded: jobs.reduce((sum, { refunded }) => sum + refunded, 0), jobs, errors,
  }
}

function printed({ database, applied, closed, completed, failed, neverStarted, tokensRefunded, jobs, errors }: RepairReport): string {
  const will = applied ? 'were' : 'would be'
  return [
    ...jobs.map((job) => `${job.status.padEnd(9)} ${job.table}/${job.jobId}: ${job.kept} kept, ${job.unfinished} not made, ${job.refunded} tokens back to ${job.userId}`),
    ...errors.map((error) => `NOT DONE  ${error.table}/${error.jobId}: ${error.error}`),
    `${database}: ${closed} stuck jobs ${will} closed (${neverStarted} without started_at): ${completed} completed in part, ${failed} failed; ${tokensRefunded} tokens ${will} given back.`,
    ...(applied || closed === 0 ? [] : ['Nothing was written. To do it: --apply']),
    '',
  ].join('\n')
}
