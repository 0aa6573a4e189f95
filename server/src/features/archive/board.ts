import type { Database } from '../../database/pool.ts'

/** Seed 002's average sizes, in megabytes, for files that are not there yet. */
const AVERAGE_MB = { audio: 6, cover: 0.4, video: 25 }
const SOON_DAYS = 2
const MONTH_DAYS = 30

export type Board = Awaited<ReturnType<ReturnType<typeof createBoard>['read']>>

/** What the operator sees of the archive. Percentages of the last 30 days; null when there was nothing yet. */
export function createBoard({ db, schema, pricePerGb, nextRun }: { db: Database; schema: string; pricePerGb: number; nextRun: () => Date }) {
  const one = async <T>(text: string): Promise<T> => (await db.query<Record<string, any>>(text)).rows[0] as T

  return {
    async read() {
      const [counts, jobs, lost, growth, run] = await Promise.all([
        one<{ archived: number; pending: number; urgent: number; expired: number; percentage: number; unverified: number }>(
          `select total_archived as archived, pending_archive as pending, urgent_archive_needed as urgent, expired_tracks as expired, archive_percentage::float8 as percentage,
             unverified_archived as unverified from "${schema}".archive_statistics`),
        // A track that failed and was archived later did not fail in the end: counted by tracks, at their last word.
        one<{ tracks: number; failed: number; seconds: number | null; in_time: number; done: number }>(
          `select count(*) as tracks, count(*) filter (where status = 'failed') as failed, (avg(extract(epoch from completed_at - started_at)) filter (where status = 'completed'))::float8 as seconds,
             count(*) filter (where status = 'completed') as done,
             count(*) filter (where status = 'completed' and completed_at <= clock) as in_time
           from (select distinct on (j.track_id) j.status, j.started_at, j.completed_at, t.created_at + reprise.retention_of(coalesce(j.original_audio_url, j.original_cover_url)) as clock
             from "${schema}".track_archiving_jobs j join "${schema}".tracks t on t.id = j.track_id
             where j.completed_at > reprise.now() - interval '${MONTH_DAYS} days' order by j.track_id, j.completed_at desc) last`),
        // Lost: past its time, and the song itself is not ours.
        one<{ count: number; lately: number }>(`select count(*), count(*) filter (where a.expires_at > reprise.now() - interval '${MONTH_DAYS} days') as lately from reprise.archivals a join "${schema}".tracks t on t.id = a.track_id where a.expires_at <= reprise.now() and t.storage_audio_url is null and t.deleted_at is null`),
        one<{ tracks: number; videos: number; audio: number | null }>(
          `select count(*) as tracks, count(video_url) as videos, avg(bytes)::float8 as audio from "${schema}".tracks
           where created_at > reprise.now() - interval '${MONTH_DAYS} days' and status = 'completed' and deleted_at is null`),
        one<{ last_success: Date | null; last_failure: Date | null; last_error: string | null } | undefined>(`select last_success, last_failure, last_error from reprise.schedule_runs where name = 'archive'`),
      ])
      const percent = (part: number, whole: number) => (whole === 0 ? null : Math.round((1000 * part) / whole) / 10)
      const gb = (count: number, megabytes: number) => Math.round(count * megabytes) / 1000
      const audioGb = gb(growth.tracks, growth.audio === null ? AVERAGE_MB.audio : growth.audio / 1e6)
      const [coverGb, videoGb] = [gb(growth.tracks, AVERAGE_MB.cover), gb(growth.videos, AVERAGE_MB.video)]
      const totalGb = Math.round((audioGb + coverGb + videoGb) * 1000) / 1000
      const failed = run?.last_failure && (!run.last_success || run.last_failure > run.last_success)
      const at = failed ? run.last_failure : run?.last_success
      return {
        targets: {
          archivedBeforeExpiry: { percent: percent(jobs.in_time, jobs.done + lost.lately), target: 95 },
          failures: { percent: percent(jobs.failed, jobs.tracks), target: 1 },
          averageSeconds: { seconds: jobs.seconds === null ? null : Math.round(jobs.seconds * 10) / 10, target: 300 },
          lost: { count: lost.count, target: 0 },
        },
        counts,
        forecast: { newTracksPerMonth: growth.tracks, audioGb, coverGb, videoGb, totalGb, pricePerGbMonth: pricePerGb, usdPerMonth: Math.round(totalGb * pricePerGb * 100) / 100 },
        expiringSoon: await expiringSoon(),
        failures: await failures(),
        runs: { last: at ? { at: at.toISOString(), ok: !failed, error: failed ? run!.last_error : null } : null, nextAt: nextRun().toISOString() },
      }
    },
  }

  async function expiringSoon() {
    // In two ordered parts, so that any number of expired rows stays behind what can still be saved.
    const part = (where: string, order: string) => `(select a.* from reprise.archivals a where ${where} order by a.expires_at ${order}, a.track_id limit 50)`
    const { rows } = await db.query<Record<string, any>>(
      `select t.id, t.user_id, t.title, a.expires_at, round((extract(epoch from a.expires_at - reprise.now()) / 86400)::numeric, 1)::float8 as days,
         t.storage_audio_url is not null as audio_stored, a.last_error, case when isfinite(a.next_at) then a.next_at end as next_at
       from (${part(`a.expires_at > reprise.now() and (a.expires_at <= reprise.now() + interval '${SOON_DAYS} days' or a.last_error is not null)`, 'asc')}
         union all ${part('a.expires_at <= reprise.now()', 'desc')}) a
       join "${schema}".tracks t on t.id = a.track_id and t.deleted_at is null order by a.expires_at <= reprise.now(), a.expires_at limit 50`)
    return rows.map((row) => ({
      trackId: row.id as string, userId: row.user_id as string, title: row.title as string | null, expiresAt: row.expires_at.toISOString() as string, daysUntilExpiry: row.days as number,
      audioStored: row.audio_stored as boolean, lastError: row.last_error as string | null, nextAt: (row.next_at?.toISOString() ?? null) as string | null,
    }))
  }

  async function failures() {
    const { rows } = await db.query<Record<string, any>>(
      `select j.id, j.track_id, t.title, j.error_message, j.completed_at from "${schema}".track_archiving_jobs j join "${schema}".tracks t on t.id = j.track_id
       where j.status = 'failed' and t.deleted_at is null and not t.archived_to_storage and j.completed_at > reprise.now() - interval '7 days' order by j.completed_at desc limit 50`)
    return rows.map((row) => ({ jobId: row.id as string, trackId: row.track_id as string, title: row.title as string | null, error: row.error_message as string | null, at: row.completed_at.toISOString() as string }))
  }
}
