import { parseArgs } from 'node:util'
import { CommandRefused } from '../kernel/command-refused.ts'
import { createDatabase } from '../database/pool.ts'
import { checkRefundStatement, openForeignDatabase, type PlannedRepair } from '../features/stale-jobs/foreign-database.ts'
import { createStaleJobs, totalsOf, type ClosedJob, type StaleJobsReport } from '../features/stale-jobs/stale-jobs.ts'
import { createLogger } from '../kernel/logger.ts'
import { reportWriter } from './report-file.ts'

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
  --refund STATEMENT   $user, $amount, $reason and $job stand for values, and are put in as SQL writes them: no quotes around.
                       It must change a row or answer one; a function that answers false or null has refunded nothing
  --json               prints the report as JSON
  --report FILE        writes the report as JSON into a file

Stuck is: the job or a card of it is open, nobody works on it, and it is 10 minutes old by started_at, or by created_at when
that is empty. Finished cards are kept; a job that had ended keeps its status. Of the others each gives back its part of the job's own tokens_cost; cards that had failed were refunded by
whoever failed them. It may be repeated: a job is closed and refunded once.
Exit code 0: all is well; 3: some jobs could not be closed, or have changed meanwhile; 1: it could not be done; 2: wrong options.`

export interface RepairContext {
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

export type RepairReport = { database: string; applied: boolean } & ReturnType<typeof totalsOf> & Pick<StaleJobsReport, 'jobs' | 'errors'>

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
  const writeReport = await reportWriter(given.report)
  const { report, sql } = given.database === undefined ? await repairOwn(given, context) : await repairForeign(given.database, given, context)
  await writeReport(report)
  context.stdout.write(given.json ? `${JSON.stringify(report, null, 2)}\n` : (sql ?? printed(report)))
  return report.errors.length ? 3 : 0
}

async function repairOwn({ apply = false }: Options, { databaseUrl }: RepairContext): Promise<{ report: RepairReport; sql: null }> {
  const logger = createLogger({ level: 'silent' })
  const db = createDatabase({ url: databaseUrl(), max: 1, applicationName: 'reprise repair-stuck', logger })
  try {
    const { jobs, errors } = await createStaleJobs({ db, logger }).run(apply ? 'apply' : 'plan')
    return { report: { database: 'Reprise', applied: apply, ...totalsOf(jobs), jobs, errors }, sql: null }
  } finally {
    await db.close()
  }
}

const HOW_TO_REFUND = `--refund 'select refund_tokens($user, $amount, $reason)'`

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
    const unpaid = !statement && plan.some((one) => one.refund > 0)
    if (!apply) {
      const jobs = plan.map(jobOf)
      const report: RepairReport = { database: foreign.name, applied: false, ...totalsOf(jobs), jobs, errors: [] }
      const words = [...summary(report).split('\n'), ...(unpaid ? [`Jobs that give tokens back refuse to be closed by this: plan again with ${HOW_TO_REFUND}`] : [])]
      return { report, sql: [foreign.preparation, ...plan.map(({ sql }) => sql), ...words.map((line) => `-- ${line}`), ''].join('\n') }
    }

    if (unpaid) throw new CommandRefused(`Tokens are to be given back and nobody has said how: ${HOW_TO_REFUND}`)
    if (plan.length) await foreign.prepare()
    const jobs: ClosedJob[] = []
    const errors: RepairReport['errors'] = []
    for (const one of plan) {
      const tell = (error: string) => errors.push({ table: 'generation_jobs', jobId: one.jobId, error })
      try {
        const outcome = await foreign.repair(one)
        if (outcome === 'changed') tell('it has changed since it was planned: run this again')
        else if (outcome === 'busy') tell('it is busy, somebody writes it at this moment: run this again')
        else if (outcome !== 'alive') jobs.push({ ...jobOf(one), ...(outcome === 'closed' && { refunded: 0 }) })
      } catch (error) {
        tell((error as Error).message)
      }
    }
    return { report: { database: foreign.name, applied: true, ...totalsOf(jobs), jobs, errors }, sql: null }
  } finally {
    await foreign.close()
  }
}

function printed(report: RepairReport): string {
  const { jobs, errors } = report
  return [
    ...jobs.map((job) => `${job.status.padEnd(9)} ${job.table}/${job.jobId}: ${job.kept} kept, ${job.unfinished} not made, ${job.refunded} tokens back to ${job.userId}`),
    ...errors.map((error) => `NOT DONE  ${error.table}/${error.jobId}: ${error.error}`),
    summary(report),
    '',
  ].join('\n')
}

function summary({ database, applied, closed, completed, failed, neverStarted, tokensRefunded }: RepairReport): string {
  const will = applied ? 'were' : 'would be'
  const told = `${database}: ${closed} stuck jobs ${will} closed (${neverStarted} without started_at): ${completed} completed in part, ${failed} failed; ${tokensRefunded} tokens ${will} given back.`
  return applied || closed === 0 ? told : `${told}\nNothing was written. To do it: --apply`
}
