import { CRASH_POINTS, type CrashPoint } from '../server/src/engine/crash.ts'
import { sleep } from '../server/src/kernel/clock.ts'
import { seeded } from '../server/src/storage/hostile-urls.ts'
import { startFleet, type Fleet, type Song, type SongProvider } from './fleet.ts'
import { judge } from './invariants.ts'

export interface CrashReport {
  point: CrashPoint
  time: number
  /** False: the song was finished before the place was reached so often. */
  died: boolean
  broken: string[]
  repeats: number
  /** Nobody could know whether the provider took it: given back. */
  unclear: boolean
}

const LEASE_MS = 800

/**
 * Kills a worker at every named place of a song's life, the first to the `times`-th time that it comes there (all
 * times, when none is given: until the song is finished first); a new worker must end it right. Of the round trips
 * every one, or with `tripStep` one in so many at least, chosen by the seed.
 */
export async function crashPoints(options: { seed?: number; times?: number; tripStep?: number; points?: readonly CrashPoint[]; provider?: SongProvider; say?: (line: string) => void }): Promise<{ reports: CrashReport[]; leftovers: string[] }> {
  const { seed = 1, times = 400, points = CRASH_POINTS, provider = 'suno', say = () => undefined } = options
  const random = seeded(seed)
  const stepOf = (point: CrashPoint) => (point === 'trip' ? Math.floor(random() * (options.tripStep ?? 1)) : 0)
  const fleet = await startFleet({ speed: 200, leaseMs: LEASE_MS, graceSec: 2, deadlineSec: 60 })
  const reports: CrashReport[] = []
  let leftovers: string[] = []
  try {
    if (provider === 'suno') await callbacksArrive(fleet)
    for (const point of points) {
      for (let time = 1 + stepOf(point); time <= times; time++) {
        const report = await crashOnce(fleet, provider, point, time)
        reports.push(report)
        if (report.broken.length || !report.died || time === 1 || point === 'trip') say(`${report.broken.length ? 'BROKEN' : 'ok'}  ${point}:${time} ${report.died ? 'died there' : 'not reached'}${report.repeats ? `, ${report.repeats} POST repeated for a reason` : ''}${report.unclear ? ', given back: not known whether it was taken' : ''}`)
        for (const line of report.broken) say(`        ${line}`)
        if (!report.died) break
        time += stepOf(point)
      }
    }
  } finally {
    leftovers = await fleet.stop()
  }
  return { reports, leftovers }
}

/** Only an account whose callbacks are known to arrive may repeat a POST that left no sign; any other gives the tokens back. */
async function callbacksArrive(fleet: Fleet): Promise<void> {
  const [songs, worker] = await Promise.all([fleet.ask(1), fleet.startServer('worker')])
  await fleet.settled(songs, 30_000)
  await worker.kill('SIGTERM')
}

async function crashOnce(fleet: Fleet, provider: SongProvider, point: CrashPoint, time: number): Promise<CrashReport> {
  const [songs, victim] = await Promise.all([fleet.ask(1, undefined, provider), fleet.startServer('worker', { REPRISE_CRASH_AT: `${point}:${time}` }).catch(() => null)])
  // It may have died before it could say that it is ready.
  const died = victim === null || (await diedBefore(fleet, songs, victim.ended))
  await victim?.kill()
  const heir = await fleet.startServer('worker')
  await fleet.settled(songs, 30_000)
  const { broken, repeats, unclear } = await judge(fleet, songs)
  await heir.kill('SIGTERM')
  return { point, time, died, broken, repeats, unclear: unclear > 0 }
}

async function diedBefore(fleet: Fleet, songs: Song[], ended: () => string | number | null): Promise<boolean> {
  const over = fleet.settled(songs, 60_000).then(() => true)
  over.catch(() => undefined)
  while (ended() === null) {
    if (await Promise.race([over, sleep(20).then(() => false)])) {
      // What comes after the last move (a notice, a tidy-up) may still be reached.
      await sleep(150)
      return ended() !== null
    }
  }
  return true
}
