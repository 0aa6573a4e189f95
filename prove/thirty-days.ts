import { randomUUID } from 'node:crypto'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../server/src/database/embedded.ts'
import { migrate, ownSqlFiles } from '../server/src/database/migrate.ts'
import { createDatabase } from '../server/src/database/pool.ts'
import { createObtain } from '../server/src/engine/obtain.ts'
import { createArchive } from '../server/src/features/archive/archive.ts'
import { createArchiveRecords } from '../server/src/features/archive/records.ts'
import { createRun } from '../server/src/features/archive/run.ts'
import { publicUrl } from '../server/src/features/tracks/tracks.listener.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { createDiskStore } from '../server/src/storage/disk/disk-store.ts'
import { seeded } from '../server/src/storage/hostile-urls.ts'
import { createGuardedFetch } from '../server/src/storage/guarded-fetch.ts'
import { startFileHost, type Fault } from '../tests/file-host.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const BASE = 'https://reprise.example'
const LEASE_MS = 30 * 60_000

/** Three providers with their clocks. While Replicate is out it makes nothing: within its hour nobody could save it. */
const PROVIDERS = [
  { name: 'suno', ip: '127.0.0.1', keeps: 14 * DAY, outages: [[3, 4], [17.2, 18.2]] },
  { name: 'mureka', ip: '127.0.0.2', keeps: 15 * DAY, outages: [[9.5, 10.5]] },
  { name: 'replicate', ip: '127.0.0.3', keeps: HOUR, outages: [[12, 13]], silent: true },
] as const

export interface ThirtyDays {
  tracks: number
  archived: number
  expiredUnarchived: number
  /** Tracks whose archiving failed for good. */
  failedTracks: number
  badDownloads: number
  downloads: number
  failedRuns: number
  notices: number
  doubledNotices: number
  /** Of jobs, from their start to their end; simulated seconds. */
  p50Sec: number
  p99Sec: number
  /** Files fetched whole more often than once. */
  fetchedTwice: number
  broken: string[]
}

/**
 * Thirty days in a minute or two: tracks from three providers finish at random moments, each CDN has outages of 24 hours,
 * one download in twenty is bad, files vanish when their provider's clock says so; two nodes work on one real database.
 */
export async function thirtyDays({ seed, tracks, say = () => undefined }: { seed: number; tracks: number; say?: (line: string) => void }): Promise<ThirtyDays> {
  const random = seeded(seed)
  const folder = await mkdtemp(join(tmpdir(), 'reprise-thirty-days-'))
  const hosts = await Promise.all(PROVIDERS.map(({ ip }) => startFileHost(ip)))
  const logger = createLogger({ level: process.env.PROOF_LOG ?? 'silent' })
  await chmod(folder, 0o755) // as root, the database's user must pass through
  const postgres = await startEmbeddedPostgres({ dataDir: folder, logger })
  const db = createDatabase({ url: postgres.url, max: 12, applicationName: 'thirty days', logger })
  await migrate(db, { ...ownSqlFiles(), compatSchema: 'public', logger })
  const blobs = createDiskStore({ root: join(folder, 'files') })
  const guardedFetch = createGuardedFetch({ allowHosts: hosts.map(({ host }) => host) })
  const obtain = createObtain({ blobs, guardedFetch, limits: { timeoutMs: 5_000, idleTimeoutMs: 1_000 } })
  for (const { ip, keeps } of PROVIDERS) await db.query(`insert into reprise.retentions (host, keeps) values ($1, $2 * interval '1 millisecond')`, [ip, keeps])

  const nodes = ['one', 'two'].map((node) => {
    const records = createArchiveRecords({ db, schema: 'public', node, leaseMs: LEASE_MS, linkBase: '' })
    const run = createRun({ db, records, blobs, obtain, base: async () => BASE, urlOf: publicUrl, heal: async () => 'whole', storeIsThere: async () => undefined, logger })
    return createArchive({ db, schema: 'public', records, run, leaseMs: LEASE_MS, atOnce: 4, logger, wake: () => nodes.forEach((one) => one.wake()) })
  })

  // The plot: who finishes when, and which downloads are bad.
  const began = Date.now()
  let now = began
  const plot = Array.from({ length: tracks }, (_, place) => {
    const which = place % PROVIDERS.length
    const { outages, ...provider } = PROVIDERS[which]!
    let at = random() * 30 * DAY
    while ('silent' in provider && outages.some(([from, to]) => at > from * DAY - HOUR && at < to * DAY)) at = random() * 30 * DAY
    const cover = place % 2 === 0 ? hosts[which]!.cover(`track-${place}`) : null
    return { id: randomUUID(), which, at, url: hosts[which]!.song(`track-${place}`), cover, vanishes: at + provider.keeps }
  }).sort((a, b) => a.at - b.at)
  const vanishes = new Map(plot.flatMap(({ url, cover, vanishes: at }) => [url, ...(cover ? [cover] : [])].map((one) => [new URL(one).pathname, at] as const)))
  let badDownloads = 0
  const whole = new Map<string, number>()
  hosts.forEach((host, which) => {
    host.judge = (path) => {
      const day = (now - began) / DAY
      if (PROVIDERS[which]!.outages.some(([from, to]) => day >= from && day < to)) return 'down'
      if (now - began > vanishes.get(path)!) return 'missing'
      if (random() < 0.05) {
        badDownloads++
        return (['cut', 'page', 'missing', 'down'] as Fault[])[Math.floor(random() * 4)]
      }
      whole.set(path, (whole.get(path) ?? 0) + 1)
      return undefined
    }
  })

  const advanceTo = async (time: number) => {
    now = Math.max(now, began + time)
    await db.setClockOffset(now - Date.now())
    nodes.forEach((one) => one.wake())
  }
  /** Until nobody works and nothing is due at this simulated moment. */
  const idle = async (): Promise<number | null> => {
    for (;;) {
      const { rows: [row] } = await db.query<{ busy: number; next: number | null }>(
        `select count(*) filter (where lease_until > reprise.now() or next_at <= reprise.now()) as busy,
           (extract(epoch from min(next_at) filter (where isfinite(next_at) and next_at > reprise.now())) * 1000)::float8 as next from reprise.archivals`)
      if (row!.busy === 0) return row!.next && row!.next - began
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  try {
    nodes.forEach((one) => one.start())
    let place = 0
    let daily = 3 * HOUR
    for (;;) {
      const next = await idle()
      const moments = [plot[place]?.at, daily, next ?? Infinity].filter((moment) => moment !== undefined)
      const moment = Math.min(...moments)
      if (moment > 46 * DAY || (place === plot.length && next === null)) break
      await advanceTo(moment + 1)
      if (moment === daily) {
        daily += DAY
        await nodes[0]!.daily()
      }
      if (place < plot.length && moment === plot[place]!.at) {
        const { id, url, cover } = plot[place++]!
        await db.query(
          `insert into public.tracks (id, user_id, title, status, audio_url, cover_url, created_at) values ($1, $2, $3, 'completed', $4, $5, reprise.now())`,
          [id, '00000000-0000-4000-8000-000000000001', `track ${place}`, url, cover])
        nodes.forEach((one) => one.wake()) // as the database's notice would
        if (place % 250 === 0) say(`    day ${(plot[place - 1]!.at / DAY).toFixed(1)}: ${place} tracks`)
      }
    }
    const one = async <T>(text: string): Promise<T> => (await db.query<Record<string, any>>(text)).rows[0] as T
    const ends = await one<{ archived: number; late: number; open: number }>(
      `select count(*) filter (where archived_to_storage) as archived, count(*) filter (where archived_at > created_at + reprise.retention_of(metadata ->> 'provider_url')) as late,
         count(*) filter (where not archived_to_storage) as open from public.tracks`)
    const jobs = await one<{ failed: number; lost: number; p50: number; p99: number }>(
      `select count(*) filter (where status = 'failed') as failed, count(*) filter (where status in ('pending', 'processing')) as lost,
         (percentile_cont(0.5) within group (order by extract(epoch from completed_at - started_at)))::float8 as p50,
         (percentile_cont(0.99) within group (order by extract(epoch from completed_at - started_at)))::float8 as p99 from public.track_archiving_jobs`)
    const told = await one<{ notices: number; tracks: number; without: number }>(
      `select count(*) as notices, count(distinct link) as tracks,
         -- of a cover that failed alone nobody is told
         (select count(distinct track_id) from public.track_archiving_jobs where status = 'failed' and error_message like '%audio:%') - count(distinct link) as without from public.notifications`)
    const wrong = await one<{ wrong: number }>(
      `select count(*) as wrong from public.tracks t where archived_to_storage and not exists (select from reprise.files f where f.track_id = t.id and f.sha256 = t.sha256)`)
    const broken: string[] = []
    if (ends.open + ends.late > 0) broken.push(`${ends.open} tracks were never archived, ${ends.late} after their time`)
    if (ends.archived !== tracks) broken.push(`${ends.archived} of ${tracks} archived`)
    if (told.notices !== told.tracks || told.without !== 0) broken.push(`${told.notices} notices about ${told.tracks} tracks, ${told.without} failed tracks untold`)
    if (jobs.lost > 0) broken.push(`${jobs.lost} jobs without an end`)
    if (wrong.wrong > 0) broken.push(`${wrong.wrong} archived tracks without their file`)
    const twice = [...whole.values()].filter((times) => times > 1).length
    if (twice > 0) broken.push(`${twice} files were fetched whole more than once`)
    return {
      tracks, archived: ends.archived, expiredUnarchived: ends.open + ends.late, failedTracks: ends.open, badDownloads,
      downloads: hosts.reduce((sum, host) => sum + [...host.asked.values()].reduce((a, b) => a + b, 0), 0),
      failedRuns: jobs.failed, notices: told.notices, doubledNotices: told.notices - told.tracks, p50Sec: jobs.p50, p99Sec: jobs.p99, fetchedTwice: twice, broken,
    }
  } finally {
    await Promise.all(nodes.map((node) => node.stop()))
    await Promise.all(hosts.map((host) => host.close()))
    await guardedFetch.close()
    await db.close()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
