import type { Database, Queryable } from '../../database/pool.ts'

export const ROLES = ['audio', 'cover', 'video'] as const
export type Role = (typeof ROLES)[number]

/** A track that this process has claimed. Addresses are null where the row names no such file. */
export interface Claim {
  trackId: string
  fence: number
}

export interface Work extends Claim {
  userId: string
  title: string | null
  tries: number
  providerUrl: string | null
  /** Where the files are now, and our own address of each when there is one. */
  urls: Record<Role, string | null>
  stored: Record<Role, string | null>
}

/** A verified file of ours, by its public name. */
export interface Kept {
  bucket: string
  path: string
  blobKey: string
  sha256: string
  bytes: number
  mime: string
  durationMs: number | null
  sourceUrl: string | null
}

const MAX_TRIES = 3
const RETRY_MS = 5_000
/** After that long past its time nobody has the file any more; milliseconds. */
const HOPE_DAYS = 7

/** The transactions of the archive. Each asks first whether the claim still holds: a stale worker writes nothing. */
export function createArchiveRecords({ db, schema, node, leaseMs, linkBase }: { db: Database; schema: string; node: string; leaseMs: number; linkBase: string }) {
  /** Locks track and claim, always in that order; null when either is gone. */
  async function hold(tx: Queryable, { trackId, fence }: Claim): Promise<Work | null> {
    // Our own writes need no second look.
    await tx.query(`select set_config('reprise.vouched', 'on', true)`)
    const { rows: [track] } = await tx.query<Record<string, any>>(
      `select user_id, title, audio_url, cover_url, video_url, storage_audio_url, storage_cover_url, storage_video_url, metadata ->> 'provider_url' as provider_url
       from "${schema}".tracks where id = $1 for no key update`, [trackId])
    // Gone with its track, when that was deleted.
    const { rows: [claim] } = await tx.query<{ tries: number }>(
      'select tries from reprise.archivals where track_id = $1 and fence = $2 and lease_owner = $3 for update', [trackId, fence, node])
    if (!track || !claim) return null
    return {
      trackId, fence, userId: track.user_id, title: track.title, tries: claim.tries, providerUrl: track.provider_url,
      urls: { audio: track.audio_url, cover: track.cover_url, video: track.video_url },
      stored: { audio: track.storage_audio_url, cover: track.storage_cover_url, video: track.storage_video_url },
    }
  }

  const endJobs = (tx: Queryable, trackId: string, status: 'completed' | 'failed', error: string | null) => tx.query(
    `update "${schema}".track_archiving_jobs j set status = $2, error_message = $3, completed_at = reprise.now(), updated_at = reprise.now(),
       started_at = coalesce(j.started_at, reprise.now()),
       storage_audio_url = t.storage_audio_url, storage_cover_url = t.storage_cover_url, storage_video_url = t.storage_video_url
     from "${schema}".tracks t where t.id = j.track_id and j.track_id = $1 and j.status in ('pending', 'processing')`, [trackId, status, error])

  return {
    async claim(limit: number): Promise<Claim[]> {
      const { rows } = await db.query<{ track_id: string; fence: number }>({
        name: 'claim_archivals', text: 'select * from reprise.claim_archivals($1, $2, $3)', values: [node, limit, leaseMs],
      })
      return rows.map((row) => ({ trackId: row.track_id, fence: row.fence }))
    },

    async renew(claims: Claim[]): Promise<void> {
      await db.query({ name: 'renew_archivals', text: 'select reprise.renew_archivals($1, $2, $3)', values: [claims.map((one) => one.trackId), claims.map((one) => one.fence), leaseMs] })
    },

    /** What there is to do, with a job that says so: the pending ones, else the one of the try before, else a new one. */
    async begin(claim: Claim): Promise<Work | null> {
      return db.transaction(async (tx) => {
        const work = await hold(tx, claim)
        if (!work) return null
        const original = [work.providerUrl ?? work.urls.audio, work.urls.cover, work.urls.video]
        const { rowCount } = await tx.query(
          `update "${schema}".track_archiving_jobs set status = 'processing', started_at = coalesce(started_at, reprise.now()), updated_at = reprise.now(),
             original_audio_url = coalesce(original_audio_url, $2), original_cover_url = coalesce(original_cover_url, $3), original_video_url = coalesce(original_video_url, $4)
           where track_id = $1 and status in ('pending', 'processing')`, [work.trackId, ...original])
        if (rowCount === 0) await tx.query(
          `insert into "${schema}".track_archiving_jobs (track_id, user_id, status, started_at, original_audio_url, original_cover_url, original_video_url, metadata)
           values ($1, $2, 'processing', reprise.now(), $3, $4, $5, $6)`, [work.trackId, work.userId, ...original, { cause: ROLES.some((role) => work.stored[role]) ? 'verification' : 'schedule' }])
        return work
      })
    },

    /**
     * One file is stored and was looked at: under this address of ours, with what is known of it, or, without that, where
     * the team keeps it itself. False when the claim is lost, or the row meanwhile names another file.
     */
    async keep(work: Work, role: Role, url: string, file: Kept | null): Promise<boolean> {
      return db.transaction(async (tx) => {
        const now = await hold(tx, work)
        if (!now || now.urls[role] !== work.urls[role] || now.stored[role] !== work.stored[role]) return false
        if (file) await tx.query(
          `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, track_id, source_url) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
           on conflict (bucket, path) do nothing`,
          [file.bucket, file.path, file.blobKey, work.userId, file.sha256, file.bytes, file.mime, work.trackId, file.sourceUrl])
        await tx.query(`update "${schema}".tracks set ${role}_url = $2, storage_${role}_url = $2, updated_at = reprise.now() where id = $1`, [work.trackId, url])
        if (role === 'audio') await tx.query(
          `update "${schema}".tracks set metadata = metadata || jsonb_strip_nulls(jsonb_build_object('provider_url', $2::text)), sha256 = coalesce($3, sha256),
             bytes = coalesce($4, bytes), mime = coalesce($5, mime), duration_ms = coalesce($6, duration_ms), duration = coalesce(duration, round($6 / 1000.0)::int) where id = $1`,
          [work.trackId, work.urls.audio === url ? null : (work.providerUrl ?? work.urls.audio), file?.sha256 ?? null, file?.bytes ?? null, file?.mime ?? null, file?.durationMs ?? null])
        await expireByWhatIsLeft(tx, work.trackId)
        return true
      })
    },

    /**
     * Archived, when every file that the row names now is one that this run has looked at. When it names others by now,
     * it is taken up again.
     */
    async finish(claim: Claim, seen: ReadonlyMap<Role, string>): Promise<'archived' | 'more' | 'lost'> {
      return db.transaction(async (tx) => {
        const work = await hold(tx, claim)
        if (!work) return 'lost'
        if (ROLES.some((role) => (work.urls[role] ?? work.stored[role]) !== (seen.get(role) ?? null) || work.stored[role] !== (seen.get(role) ?? null))) {
          await tx.query(`update reprise.archivals set next_at = '-infinity', tries = 0, lease_owner = null, lease_until = null where track_id = $1`, [work.trackId])
          return 'more'
        }
        await tx.query(`update "${schema}".tracks set archived_to_storage = true, archived_at = coalesce(archived_at, reprise.now()), expires_at = null, updated_at = reprise.now() where id = $1`, [work.trackId])
        await tx.query('delete from reprise.archivals where track_id = $1', [work.trackId])
        await endJobs(tx, work.trackId, 'completed', null)
        return 'archived'
      })
    },

    /** Gives the claim back for so long, and it counts for nothing. */
    async wait({ trackId, fence }: Claim, seconds: number): Promise<void> {
      await db.query(
        `update reprise.archivals set next_at = reprise.now() + $4 * interval '1 second', lease_owner = null, lease_until = null where track_id = $1 and fence = $2 and lease_owner = $3`,
        [trackId, fence, node, seconds])
    },

    /** Three tries, 5 and 10 s apart. False when that was the last one, and then nothing is written; null when the claim is lost. */
    async retry(claim: Claim, error: string): Promise<boolean | null> {
      return db.transaction(async (tx) => {
        const work = await hold(tx, claim)
        if (!work) return null
        const tries = work.tries + 1
        if (tries >= MAX_TRIES) return false
        await tx.query(
          `update reprise.archivals set tries = $2, last_error = $3, next_at = reprise.now() + $4 * interval '1 millisecond', lease_owner = null, lease_until = null where track_id = $1`,
          [work.trackId, tries, error, RETRY_MS * tries])
        return true
      })
    },

    /**
     * The job has failed. A flag that somebody set is taken back, and so are the addresses of files that are not where
     * somebody said (`missing`): what the provider has is fetched then. The owner is told, once for each track, when it is
     * the song itself that is not ours. The next run is tomorrow's, or sooner when the provider deletes sooner.
     */
    async fail(claim: Claim, error: string, missing: Role[]): Promise<void> {
      await db.transaction(async (tx) => {
        const work = await hold(tx, claim)
        if (!work) return
        for (const role of missing) await tx.query(
          `update "${schema}".tracks set storage_${role}_url = null, updated_at = reprise.now(),
             ${role}_url = case when ${role}_url is distinct from storage_${role}_url then ${role}_url ${role === 'audio' ? `else metadata ->> 'provider_url'` : ''} end where id = $1`, [work.trackId])
        await tx.query(`update "${schema}".tracks set archived_to_storage = false, archived_at = null where id = $1`, [work.trackId])
        await expireByWhatIsLeft(tx, work.trackId)
        const { rows: [row] } = await tx.query<{ noticed_at: Date | null; safe: boolean; anything: boolean }>(
          `update reprise.archivals a set tries = 0, claimed_done = false, last_error = $2, lease_owner = null, lease_until = null,
             next_at = case
               -- without any address left there is nothing to try
               when coalesce(t.audio_url, t.cover_url, t.video_url) is null then 'infinity'::timestamptz
               when $3 then '-infinity'::timestamptz
               -- what only our own copy is missing of does not depend on the provider's clock
               when t.expires_at is not null and a.expires_at + interval '${HOPE_DAYS} days' < reprise.now() then 'infinity'::timestamptz
               when a.expires_at > reprise.now() then least(n.run, reprise.now() + greatest((a.expires_at - reprise.now()) / 4, interval '1 minute'))
               else n.run end
           from "${schema}".tracks t, (select ((date_trunc('day', reprise.now() at time zone 'UTC' - interval '3 hours') + interval '27 hours') at time zone 'UTC') as run) n
           where a.track_id = $1 and t.id = a.track_id returning a.noticed_at, t.storage_audio_url is not null as safe`, [work.trackId, error, missing.length > 0])
        await endJobs(tx, work.trackId, 'failed', error)
        if (row!.noticed_at || row!.safe) return
        await tx.query('update reprise.archivals set noticed_at = reprise.now() where track_id = $1', [work.trackId])
        const notice = { userId: work.userId, occasion: 'archive_failed', link: `${linkBase}/workspace/library?track=${work.trackId}`, about: { name: work.title } }
        await tx.query('select reprise.notify_all($1)', [JSON.stringify([notice])])
      })
    },
  }

  /** What is stored does not expire: of the rest, the first that goes decides, for the track and its place in the queue. */
  async function expireByWhatIsLeft(tx: Queryable, trackId: string): Promise<void> {
    await tx.query(`update "${schema}".tracks t set expires_at = reprise.expiry_of(t) where t.id = $1`, [trackId])
    await tx.query(`update reprise.archivals a set expires_at = coalesce(t.expires_at, a.expires_at) from "${schema}".tracks t where t.id = a.track_id and a.track_id = $1`, [trackId])
  }
}

export type ArchiveRecords = ReturnType<typeof createArchiveRecords>
