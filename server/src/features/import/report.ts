import type { Refusal } from './candidate.ts'
import type { Outcome, Plan, Trouble } from './import.ts'
import type { Source } from './source.ts'
import type { Counted, Tally } from './tally.ts'

/** What an import did, or (without `outcome`) would do. As it is written by `--report`. */
export interface Report {
  source: string
  dryRun: boolean
  startedAt: string
  endedAt: string
  /** Whether every track has come to an end; else the workers go on. */
  finished: boolean
  rows: { read: number; bad: Counted[]; skipped: Counted[]; notes: Counted[] }
  plan: Plan
  outcome: Outcome | null
  /** Rows that were not taken, in the order of the source; at most 10,000. */
  refused: (Omit<Refusal, 'place'> & { line?: number; row?: number })[]
  /** Tracks without (all) their files; at most 10,000. */
  troubles: Trouble[]
}

export function makeReport(given: { source: Source; tally: Tally; plan: Plan; outcome: Outcome | null; troubles: Trouble[]; startedAt: Date; endedAt: Date; finished: boolean }): Report {
  const { source, tally, plan, outcome, troubles, startedAt, endedAt, finished } = given
  return {
    source: source.name, dryRun: outcome === null, startedAt: startedAt.toISOString(), endedAt: endedAt.toISOString(), finished,
    rows: { read: tally.read, bad: tally.reasons('bad'), skipped: tally.reasons('skipped'), notes: tally.reasons('notes') },
    plan, outcome, refused: tally.named.map(({ place, ...refusal }) => ({ [source.counts]: place, ...refusal })), troubles,
  }
}

const EXAMPLES = 10

/** The report for people. */
export function printReport(report: Report, now: number): string {
  const { plan, rows, outcome } = report
  const lines = [`${report.source}: ${count(rows.read)} rows read${report.dryRun ? ' (dry run: nothing was written)' : ''}`, '']
  lines.push(...(outcome ? outcomeLines(outcome, report.finished) : planLines(plan, now)))
  const refused = (title: string, kind: Refusal['kind'], counted: Counted[]) => {
    if (counted.length === 0) return
    lines.push('', `${title}:`, ...counted.slice(0, EXAMPLES).map(({ reason, rows: some }) => `${cell(some)}  ${reason}`))
    if (kind === 'skipped') return
    const named = report.refused.filter((one) => one.kind === kind)
    lines.push('', ...named.slice(0, EXAMPLES).map((one) => `  ${placeOf(one)}: ${one.reason}${one.value === undefined ? '' : ` (${one.value})`}`))
    if (named.length > EXAMPLES) lines.push(`  … and ${count(named.length - EXAMPLES)} more; --report FILE names them`)
  }
  refused('Bad rows, not taken', 'bad', rows.bad)
  refused('Left out', 'skipped', rows.skipped)
  if (rows.notes.length) lines.push('', 'Taken in part:', ...rows.notes.map(({ reason, rows: some }) => `${cell(some)}  ${reason}`))
  if (report.troubles.length) {
    lines.push('', 'Without (all) their files:', ...report.troubles.slice(0, EXAMPLES).map((one) =>
      `  ${one.title ?? 'Untitled'} (${one.sourceId.slice(0, 60)}): ${one.error}${one.nextTry ? `; tried again ${one.nextTry.toISOString().slice(0, 16)}Z` : ''}`))
    if (report.troubles.length > EXAMPLES) lines.push(`  … and ${count(report.troubles.length - EXAMPLES)} more; --report FILE names them`)
  }
  return lines.join('\n')
}

function planLines(plan: Plan, now: number): string[] {
  const lines = [
    ...table([
      ['to be imported', plan.new], ['here and archived already', plan.alreadyArchived], ['here, still to be archived', plan.underWay],
      ['with a new address, which is taken', plan.moved], ['with a new address, but stored already: ours stays', plan.kept], ['deleted here by their owners: stay deleted', plan.deletedHere],
    ]),
    '', 'Of those to be archived:',
    ...table([['expire within two days, and go first', plan.urgent], ['expired by their provider’s calendar, and tried last', plan.expired]]),
  ]
  if (plan.hosts.length) {
    lines.push('', '    tracks  expired   urgent  keeps     first expires  host', ...plan.hosts.slice(0, 20).map((one) =>
      [cell(one.tracks), cell(one.expired, 7), cell(one.urgent, 7), keeps(one.keepsDays).padEnd(8), (one.firstExpiry ? inWords(one.firstExpiry, now) : '-').padEnd(13), one.host].join('  ')))
  }
  if (plan.mostUrgent.length) {
    lines.push('', 'Most urgent:', ...plan.mostUrgent.map((one) => `  ${inWords(one.expiresAt, now).padEnd(10)} ${one.title ?? 'Untitled'} (${one.sourceId.slice(0, 60)}) at ${one.host}`))
  }
  const { audio, covers, videos, total } = plan.bytes
  lines.push('', `About ${gb(total)} of storage: ${gb(audio)} audio, ${gb(covers)} covers, ${gb(videos)} videos.`)
  return lines
}

const outcomeLines = (outcome: Outcome, finished: boolean): string[] => [
  ...table([
    [`archived (${gb(outcome.bytes)} of audio)`, outcome.archived], ['there already', outcome.alreadyArchived], ['song archived, but not its cover or video', outcome.partly],
    ['expired and gone', outcome.gone], ['failed, and tried again by the archive', outcome.failed], ['waiting for a worker', outcome.waiting], ['deleted here by their owners', outcome.deletedHere],
  ]),
  ...(finished ? [] : ['', 'Not finished. What waits is in the archive’s queue; the same command again goes on from here.']),
]

/** Lines with a count; those of none are left out, except the first. */
const table = (rows: [string, number][]): string[] => rows.filter(([, some], index) => some > 0 || index === 0).map(([says, some]) => `${cell(some)}  ${says}`)
const count = (number: number): string => number.toLocaleString('en')
const cell = (number: number, width = 10): string => count(number).padStart(width)
const gb = (bytes: number): string => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`)
const keeps = (days: number | null): string => (days === null ? '-' : days < 1 ? `${Math.round(days * 24)} h` : `${Math.round(days * 10) / 10} days`)
const placeOf = (one: { line?: number; row?: number; id: string | null }): string =>
  one.line !== undefined ? `line ${one.line}` : one.id === null ? `row ${one.row}` : `id ${one.id.slice(0, 60)}`

function inWords(at: Date, now: number): string {
  const hours = (at.getTime() - now) / 3_600_000
  return hours < 0 ? 'expired' : hours < 1 ? `in ${Math.ceil(hours * 60)} min` : hours < 48 ? `in ${Math.round(hours)} h` : `in ${Math.round(hours / 24)} days`
}
