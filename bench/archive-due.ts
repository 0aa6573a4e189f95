import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../server/src/database/embedded.ts'
import { migrate, ownSqlFiles } from '../server/src/database/migrate.ts'
import { createDatabase } from '../server/src/database/pool.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { options, percentile, report } from './kit/report.ts'

/** The archive's queries while a million tracks wait, a third of them expired. See bench/README.md. */
const settings = options({ tracks: 1_000_000, samples: 200 })

const logger = createLogger({ level: process.env.BENCH_LOG ?? 'error' })
const folder = await mkdtemp(join(tmpdir(), 'reprise-bench-'))
await chmod(folder, 0o755) // as root, the database's user must pass through
const postgres = await startEmbeddedPostgres({ dataDir: folder, logger })
const db = createDatabase({ url: postgres.url, max: 4, applicationName: 'bench', logger, statementTimeoutMs: 600_000 })
try {
  await migrate(db, { ...ownSqlFiles(), compatSchema: 'public', logger })
  // A third has expired, a third expires within the next 15 days untried, a third waits for its next try.
  await db.transaction(async (tx) => {
    await tx.query(`select set_config('reprise.vouched', 'on', true)`)
    await tx.query(
      `insert into public.tracks (user_id, title, status, audio_url, created_at, archive_scheduled_at, expires_at)
       select '00000000-0000-4000-8000-000000000001', 'track ' || n, 'completed', 'https://cdn.example/' || n || '.mp3', now() - age, now() - age + interval '13 days', now() - age + interval '15 days'
       from (select n, (case n % 3 when 0 then 15 + random() * 300 else random() * 15 end) * interval '1 day' as age from generate_series(1, $1::int) n) plot`, [settings.tracks])
    await tx.query(
      `insert into reprise.archivals (track_id, user_id, expires_at, next_at)
       select id, user_id, expires_at, case when substr(title, 7)::int % 3 = 2 then now() + (random() - 0.01) * interval '1 day' else '-infinity' end from public.tracks`)
  })
  await db.query('analyze')

  const measure = async (run: () => Promise<unknown>, samples = settings.samples, afterwards = async (): Promise<unknown> => undefined) => {
    const times: number[] = []
    for (let sample = 0; sample < samples; sample++) {
      const from = performance.now()
      await run()
      times.push(performance.now() - from)
      await afterwards()
    }
    return times
  }
  // Each claim is real, and its tracks wait for tomorrow afterwards: the next one takes others.
  const claims = await measure(
    () => db.query({ name: 'claim_archivals', text: 'select * from reprise.claim_archivals($1, $2, $3)', values: ['bench', 16, 600_000] }), settings.samples,
    () => db.query(`update reprise.archivals set lease_owner = null, lease_until = null, next_at = next_at + interval '1 day' where next_at > now() - interval '1 minute' and next_at <= now() and lease_owner = 'bench'`))
  const needing = await measure(() => db.query('select * from public.get_tracks_needing_archiving(50)'))
  const statistics = await measure(() => db.query('select * from public.archive_statistics'), 5)
  const scan = await measure(() => db.query(
    `select id from public.tracks where status = 'completed' and not archived_to_storage and archive_scheduled_at <= now() order by created_at limit 50`), 5)

  report(4, `archive: what is due of ${settings.tracks} tracks`, {
    figures: [
      { what: 'claim of 16 tracks, p99', value: percentile(claims, 0.99), unit: 'ms', bar: 10, aim: 2 },
      { what: 'claim of 16 tracks, p50', value: percentile(claims, 0.5), unit: 'ms' },
      { what: 'get_tracks_needing_archiving(50), p99', value: percentile(needing, 0.99), unit: 'ms', bar: 10, aim: 2 },
      { what: 'get_tracks_needing_archiving(50), p50', value: percentile(needing, 0.5), unit: 'ms' },
      { what: 'archive_statistics, p50', value: percentile(statistics, 0.5), unit: 'ms' },
    ],
    peers: [{ what: 'the usual query without a queue (sequential scan), p50', value: percentile(scan, 0.5), unit: 'ms' }],
    settings,
  })
} finally {
  await db.close()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}
