import { parseArgs } from 'node:util'
import { acceptsUnderKills } from './accepts-under-kills.ts'
import { bagit } from './bagit.ts'
import { chaos, SCENARIO_NAMES } from './chaos.ts'
import { crashPoints, type CrashReport } from './crash-points.ts'
import type { SongProvider } from './fleet.ts'
import { fuzzedCallbacks, hostileAddresses } from './hostile.ts'
import { imagesUnderKills } from './images.ts'
import { thirtyDays } from './thirty-days.ts'

/**
 * The proofs behind goals.md. `npm run prove` runs all in small (about half an hour), `--full` with the numbers of the goals;
 * `npm run prove -- chaos hostile --seed 7` some of them, with a seed that was printed before. Ends with 1 if a promise broke.
 */
const { values: given, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { seed: { type: 'string' }, full: { type: 'boolean', default: false }, count: { type: 'string' }, songs: { type: 'string' } },
})
const seed = Number(given.seed ?? Math.floor(Math.random() * 1e9))
const { full } = given
const say = (line: string) => console.log(line)
const count = (small: number, goal: number) => Number(given.count ?? (full ? goal : small))

async function crashes(provider: SongProvider): Promise<string[]> {
  const { reports, leftovers } = await crashPoints({ seed, tripStep: full ? 1 : 12, provider, say })
  const sum = (of: (report: CrashReport) => number) => reports.reduce((so, report) => so + of(report), 0)
  say(`    ${sum(({ died }) => Number(died))} deaths, ${sum(({ repeats }) => repeats)} POSTs repeated for a reason, ${sum(({ unclear }) => Number(unclear))} given back: not known whether they were taken`)
  return [...reports.flatMap(({ point, time, broken }) => broken.map((line) => `${point}:${time}: ${line}`)), ...left(leftovers)]
}

/** Proofs that could not be had here: they neither hold nor broke. */
const unproved = new Map<string, string>()

const PROOFS: Record<string, () => Promise<string[]>> = {
  async chaos() {
    const songs = Number(given.songs ?? 50)
    const { reports, leftovers } = await chaos({ seed, songs, speed: 20, leaseMs: 10_000, withinMs: 120_000, say })
    const slow = reports.filter(({ figures }) => (figures.takeoverP99Ms ?? 0) > 20_000).map(({ scenario, figures }) => `${scenario}: taken over after ${figures.takeoverP99Ms} ms (p99)`)
    if (reports.length !== SCENARIO_NAMES.length) slow.push('not every scenario ran')
    return [...reports.flatMap(({ scenario, broken }) => broken.map((line) => `${scenario}: ${line}`)), ...slow, ...left(leftovers)]
  },
  'crash-points': () => crashes('suno'),
  'crash-points-mureka': () => crashes('mureka'),
  async 'accepts-under-kills'() {
    const { lost, doubled, broken, leftovers, ...figures } = await acceptsUnderKills({
      seed, accepts: count(1_000, 20_000), appKills: full ? 200 : 20, databaseKills: full ? 50 : 5, say,
    })
    say(`    ${JSON.stringify({ ...figures, lost: lost.length, doubled: doubled.length })}`)
    return [...lost.map((line) => `lost: ${line}`), ...doubled.map((line) => `doubled: ${line}`), ...broken, ...left(leftovers)]
  },
  async hostile() {
    const { notRefused, canaryHits } = await hostileAddresses(seed, 2_000)
    say(`    2000 hostile addresses: ${canaryHits} canary hits, ${notRefused.length} not refused`)
    const { failures, effects, leftovers, ...figures } = await fuzzedCallbacks({ seed, count: count(10_000, 100_000), say })
    say(`    ${JSON.stringify({ ...figures, failures: failures.length, effects: effects.length })}`)
    return [...(canaryHits ? [`${canaryHits} canary hits`] : []), ...notRefused, ...failures, ...effects, ...left(leftovers)]
  },
  async images() {
    const { broken, leftovers, ...figures } = await imagesUnderKills({ seed, jobs: count(50, 1_000), withinMs: full ? 3_600_000 : 600_000, say })
    say(`    ${JSON.stringify({ ...figures, broken: broken.length })}`)
    return [...broken, ...left(leftovers)]
  },
  async 'thirty-days'() {
    const { broken, ...figures } = await thirtyDays({ seed, tracks: count(1_000, 1_000), say })
    say(`    ${JSON.stringify(figures)}`)
    return broken
  },
  async bagit() {
    const { broken, unproved: lacking, ...figures } = await bagit({ large: full, say })
    say(`    ${JSON.stringify(figures)}`)
    if (lacking) unproved.set('bagit', lacking)
    return broken
  },
}

const left = (leftovers: string[]) => leftovers.map((one) => `still runs: ${one}`)

const unknown = wanted.filter((name) => !PROOFS[name])
if (unknown.length) {
  console.error(`No proof ${unknown.join(', ')}. There are: ${Object.keys(PROOFS).join(', ')}`)
  process.exit(2)
}
say(`seed ${seed}`)
let broke = 0
for (const [name, proof] of Object.entries(PROOFS)) {
  if (wanted.length && !wanted.includes(name)) continue
  say(`\n${name}`)
  const begun = performance.now()
  const broken = await proof().catch((error: Error) => [error.stack ?? String(error)])
  broke += broken.length
  for (const line of broken.slice(0, 50)) say(`  BROKEN  ${line}`)
  say(`  ${broken.length ? `${broken.length} promises broken` : unproved.has(name) ? `NOT TRIED: ${unproved.get(name)}` : 'holds'}, ${Math.round((performance.now() - begun) / 1000)} s`)
}
process.exit(broke ? 1 : 0)
