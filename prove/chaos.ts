import { readFile } from 'node:fs/promises'
import { sleep } from '../server/src/kernel/clock.ts'
import { seeded } from '../server/src/storage/hostile-urls.ts'
import type { Fleet, Song } from './fleet.ts'
import { startFleet } from './fleet.ts'
import { judge } from './invariants.ts'
import type { Child } from './processes.ts'

export interface ChaosOptions {
  seed: number
  songs: number
  speed: number
  leaseMs: number
  /** All songs of a scenario must be in a final state this long after the last disturbance. */
  withinMs: number
  only?: string[]
  say?: (line: string) => void
}

export interface ChaosReport {
  scenario: string
  broken: string[]
  settledMs: number
  /** Tasks at the provider beyond one per song, each with its reason in the timeline. */
  repeats: number
  /** Drafts that killed workers left in staging. */
  swept: number
  figures: Record<string, number>
}

interface Stage {
  fleet: Fleet
  random: () => number
  leaseMs: number
  songs: Song[]
  workers: Child[]
  figures: Record<string, number>
}

/** Half of the songs are slow to be accepted, some slow to be fetched: whatever is killed holds work of every kind. */
const tags = (place: number) => ['[[fault:submit-slow=2500:1]]', '[[fault:file-slow=9000]]', '', '[[fault:callback-never]]'][place % 4]!

const SCENARIOS: Record<string, (stage: Stage) => Promise<void>> = {
  /** The other worker takes over what the killed one held. */
  async 'worker killed'(stage) {
    const { fleet, workers, figures } = stage
    const [victim] = workers.splice(0, 1)
    await heldBy(fleet, victim!, 5)
    await victim!.kill()
    await takenOver(stage, victim!)
    figures.exit = victim!.ended() === 'SIGKILL' ? 1 : 0
    workers.push(await fleet.startServer('worker'))
  },

  async 'everything killed'({ fleet, workers }) {
    await sleep(1_500)
    const all = fleet.children().filter((child) => child.ended() === null)
    fleet.killDatabase()
    await Promise.all(all.map((child) => child.kill()))
    workers.length = 0
    await fleet.rows('select 1')
    await fleet.startSimulator()
    await fleet.startServer('api')
    workers.push(await fleet.startServer('worker'), await fleet.startServer('worker'))
  },

  async 'database killed'({ fleet, random, figures }) {
    for (figures.kills = 0; figures.kills < 4; figures.kills++) {
      await sleep(600 + random() * 1_200)
      fleet.killDatabase()
      await sleep(200)
      await fleet.rows('select 1')
    }
  },

  async 'all side jobs deleted'({ fleet, figures }) {
    figures.deleted = 0
    for (let i = 0; i < 5; i++) {
      // What the schedules would send in hours is sent now, so that there is something to lose.
      await fleet.rows("insert into reprise_boss.job (name, data) select name, '{}' from reprise_boss.queue")
      await sleep(50)
      const rows = await fleet.rows<{ n: number }>('with gone as (delete from reprise_boss.job returning 1) select count(*)::int as n from gone')
      figures.deleted += rows[0]!.n
      await sleep(350)
    }
    if (figures.deleted === 0) throw new Error('there was no side job to delete')
    await fleet.rows('drop schema reprise_boss cascade')
  },

  /** Frozen for longer than its lease, then back: what it still believes to hold is not its own any more. */
  async 'worker frozen'(stage) {
    const { fleet, workers, figures, leaseMs } = stage
    const [victim] = workers
    await heldBy(fleet, victim!, 5)
    await victim!.kill('SIGSTOP')
    await takenOver(stage, victim!)
    await sleep(leaseMs)
    await victim!.kill('SIGCONT')
    await sleep(3_000)
    figures.fenced = victim!.lines().filter((line) => line.includes('taken over')).length
  },

  /** Frozen in the middle of a transaction: the rows that it has locked must not stay locked. */
  async 'worker frozen in a transaction'(stage) {
    const { fleet, figures, songs } = stage
    const begun = Date.now()
    const victim = await fleet.startServer('worker', { REPRISE_CRASH_AT: 'before_commit:2:stop' })
    await fleet.settled(songs, 60_000)
    figures.ms = Date.now() - begun
    figures.stopped = /^State:\s+T/m.test(await readFile(`/proc/${victim.pid}/status`, 'utf8').catch(() => '')) ? 1 : 0
    await victim.kill('SIGCONT')
    await sleep(1_000)
    figures.fenced = victim.lines().filter((line) => line.includes('taken over')).length
    await victim.kill('SIGTERM')
  },

  async 'api killed'({ fleet, random }) {
    for (let i = 0; i < 3; i++) {
      await sleep(500 + random() * 1_000)
      await fleet.children().find((child) => child.name === 'api' && child.ended() === null)!.kill()
      await fleet.startServer('api')
    }
  },
}

export const SCENARIO_NAMES = Object.keys(SCENARIOS)

/** Runs every scenario with so many songs in flight on one fleet; each is judged before the next begins. */
export async function chaos(options: ChaosOptions): Promise<{ reports: ChaosReport[]; leftovers: string[] }> {
  const { seed, songs: count, speed, leaseMs, withinMs, only = SCENARIO_NAMES, say = () => undefined } = options
  const random = seeded(seed)
  const fleet = await startFleet({ speed, leaseMs })
  const reports: ChaosReport[] = []
  let leftovers: string[] = []
  try {
    const workers = [await fleet.startServer('worker'), await fleet.startServer('worker')]
    // Callbacks are known to reach us, as in any house that has run for a day: a submit whose outcome is lost for good is
    // made again then. On the very first day it would fail instead and give the tokens back, which is not judged here.
    await fleet.settled(await fleet.ask(1, () => ''), withinMs)
    for (const scenario of only) {
      const figures: Record<string, number> = {}
      const songs = await fleet.ask(count, tags)
      await SCENARIOS[scenario]!({ fleet, random, leaseMs, songs, workers, figures })
      const settledMs = await fleet.settled(songs, withinMs)
      const report = { scenario, settledMs, figures, ...(await judge(fleet, songs)) }
      reports.push(report)
      say(`${report.broken.length ? 'BROKEN' : 'ok'}  ${scenario}: ${count} songs final ${settledMs} ms after it; ${JSON.stringify({ ...figures, repeats: report.repeats, swept: report.swept })}`)
      for (const line of report.broken) say(`        ${line}`)
    }
  } finally {
    leftovers = await fleet.stop()
  }
  return { reports, leftovers }
}

interface Held {
  id: string
  fence: number
}

/** Waits until the worker holds at least so many leases (or 10 s): killing an idle one would prove nothing. */
async function heldBy(fleet: Fleet, worker: Child, atLeast: number): Promise<Held[]> {
  const end = Date.now() + 10_000
  for (;;) {
    const held = await fleet.rows<Held>(
      `select id, fence from reprise.generations where lease_owner like $1 and lease_until > reprise.now()
       union all select id, fence from reprise.results where lease_owner like $1 and lease_until > reprise.now()`,
      [`%-${worker.pid}-%`],
    )
    if (held.length >= atLeast || Date.now() > end) return held
    await sleep(50)
  }
}

/** Until everything that the dead (or frozen) worker held has another owner, has ended, or waits for a later time. */
async function takenOver({ fleet, figures }: Stage, victim: Child): Promise<void> {
  const since = Date.now()
  let held = await heldBy(fleet, victim, 0)
  figures.held = held.length
  const took: number[] = []
  while (held.length > 0) {
    if (Date.now() - since > 60_000) throw new Error(`${held.length} leases of a dead worker not taken over within 60 s: ${held.map((one) => one.id).join(', ')}`)
    const still = await fleet.rows<Held>(
      `select h.id, h.fence from jsonb_to_recordset($1) as h (id uuid, fence bigint)
       left join reprise.generations g on g.id = h.id left join reprise.results r on r.id = h.id
       where coalesce(g.fence, r.fence) = h.fence and coalesce(g.next_at, r.next_at) <= greatest(reprise.now(), coalesce(g.lease_until, r.lease_until))`,
      [JSON.stringify(held)],
    )
    took.push(...Array.from({ length: held.length - still.length }, () => Date.now() - since))
    held = still
    await sleep(50)
  }
  took.sort((a, b) => a - b)
  figures.takeoverP50Ms = took[Math.floor(took.length * 0.5)] ?? 0
  figures.takeoverP99Ms = took[Math.floor(took.length * 0.99)] ?? 0
}
