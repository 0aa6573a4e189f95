import type { Database, Queryable } from '../../database/pool.ts'
import { AppError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'

/** How a request may name a generation; `userId` null looks at everybody's (the service role). */
export interface Named {
  generationId?: string | undefined
  taskId?: string | undefined
  trackId?: string | undefined
  userId: string | null
}

export interface GenerationRow {
  id: string
  userId: string
  service: string
  status: string
  taskId: string | null
  /** Of our own record; null when the row is the team's. */
  state: string | null
}

/** One result of a generation as it stands. */
export interface SongState {
  index: number
  /** The song's id, also before it is in `tracks`; null for one that the team's row alone knows. */
  trackId: string | null
  /** It is in `tracks`. */
  exists: boolean
  deleted: boolean
  providerId: string | null
  providerUrl: string | null
  title: string | null
  lyrics: string | null
  /** Whole seconds. */
  duration: number | null
  /** The best playable address, as it stands in the column. */
  audioUrl: string | null
  /** Our copy, null while there is none. `path` is within its bucket; no `blobKey` where the team keeps it itself. */
  stored: { url: string; path: string; bytes: number; blobKey: string | null; verifiedLately: boolean } | null
  /** What the engine knows of it; null for the team's own. */
  engine: { state: string; busy: boolean; since: Date | null } | null
}

/** Nobody reads a file whole again whose bytes were hashed less than so long ago. */
const LATELY_MIN = 5

const ROW = 'g.id, g.user_id as "userId", g.service, g.status, g.task_id as "taskId", (select o.state from reprise.generations o where o.id = g.id) as state'

/** Reads generations as seed 000 knows them. */
export function createGenerationQueries({ db, schema }: { db: Database; schema: string }) {
  const generations = `"${schema}".ai_generations g`
  const mine = '($2::uuid is null or g.user_id = $2)'

  async function rows(where: string, value: string, userId: string | null): Promise<GenerationRow[]> {
    return (await db.query<GenerationRow>(`select ${ROW} from ${generations} where ${mine} and ${where} order by g.created_at desc`, [value, userId])).rows
  }

  return {
    /**
     * The generation that all the given ids mean. Throws AppError: not_found when one of them means nothing (or somebody
     * else's), validation_failed when they disagree or there is none.
     */
    async find({ generationId, taskId, trackId, userId }: Named): Promise<GenerationRow> {
      const meant: GenerationRow[][] = []
      if (generationId !== undefined) meant.push(isUuid(generationId) ? await rows('g.id = $1', generationId, userId) : [])
      if (taskId !== undefined) meant.push(await rows('g.task_id = $1', taskId, userId))
      if (trackId !== undefined) meant.push(isUuid(trackId) ? await rows(
        `g.id in (select generation_id from reprise.results where id = $1 union select generation_id from "${schema}".tracks where id = $1 and deleted_at is null union select n.id from ${generations.replace(' g', ' n')} where n.track_id = $1)`,
        trackId, userId) : [])
      if (meant.length === 0) throw new AppError('validation_failed', {}, [{ path: 'generation_id', rule: 'required', message: '' }])
      if (meant.some((found) => found.length === 0)) throw new AppError('not_found')
      const [same] = meant[0]!.filter((one) => meant.every((found) => found.some(({ id }) => id === one.id)))
      if (!same) throw new AppError('validation_failed', {}, [{ path: generationId === undefined ? 'taskId' : 'generation_id', rule: 'conflict', message: 'These ids do not mean the same generation.' }])
      return same
    },

    async songs(generationId: string, on: Queryable = db): Promise<SongState[]> {
      const { rows: found } = await on.query<Record<string, any>>(
        `select k.index, coalesce(t.id, r.id, k.track_id) as track_id, t.id is not null as exists, t.deleted_at is not null as deleted, k.provider_id, k.provider_url,
           coalesce(t.title, k.title) as title, coalesce(t.lyrics, k.lyrics) as lyrics, coalesce(t.duration, round(r.provider_duration_ms / 1000.0)::int) as duration,
           coalesce(t.audio_url, k.provider_url) as audio_url, t.storage_audio_url, t.bytes, f.path, f.sha256, f.bytes as file_bytes, f.blob_key,
           -- a file is stored hashed: until it is read again its creation counts
           coalesce((case when f.checked_at is null then f.created_at when f.verified_at >= f.checked_at then f.verified_at end) > reprise.now() - interval '${LATELY_MIN} minutes', false) as verified_lately,
           r.state, r.lease_until > reprise.now() as busy, r.known_at
         from reprise.results_of($1) k
         left join "${schema}".tracks t on t.id = k.track_id
         left join reprise.results r on r.id = k.track_id
         left join "${schema}".ai_generations g on g.id = $1
         left join lateral (select e ->> 'local_storage_path' as path from jsonb_path_query(g.metadata, '$.results[*]') e where e ->> 'index' = k.index::text limit 1) told on true
         left join reprise.files f on f.bucket = 'albert-tracks' and f.path = told.path and f.track_id = t.id
         order by k.index`, [generationId])
      return found.map((row) => ({
        index: row.index, trackId: row.track_id, exists: row.exists, deleted: row.deleted, providerId: row.provider_id, providerUrl: row.provider_url,
        title: row.title, lyrics: row.lyrics, duration: row.duration, audioUrl: row.deleted ? null : row.audio_url,
        stored: storedOf(row), engine: row.state === null ? null : { state: row.state, busy: row.busy === true, since: row.known_at },
      }))
    },

    /** The id that a song of ours has from the beginning. */
    async ownSongId(generationId: string, index: number): Promise<string | null> {
      const { rows: found } = await db.query<{ id: string }>(`select id from reprise.results where generation_id = $1 and role = 'final' and index = $2`, [generationId, index])
      return found[0]?.id ?? null
    },

    /** Makes the songs of the team's row, or gives them project and artist; see the function of that name. */
    async makeTracks(generationId: string, projectId: string | null = null, artistId: string | null = null, on: Queryable = db): Promise<void> {
      await on.query(`select "${schema}".create_or_update_track_from_generation($1, $2, $3)`, [generationId, projectId, artistId])
    },

    /** A title for a song of a generation, the first time that one is told. */
    async nameSong(generationId: string, index: number, title: string, on: Queryable): Promise<void> {
      await on.query('select reprise.lock_songs($1)', [generationId])
      const { rowCount } = await on.query(
        `update ${generations} set metadata = metadata || jsonb_build_object('titles', case when jsonb_typeof(metadata -> 'titles') = 'object' then metadata -> 'titles' else '{}' end || jsonb_build_object($2::text, $3::text))
         where id = $1 and metadata -> 'titles' ->> $2::text is null`, [generationId, String(index), title])
      if (rowCount > 0) await on.query(
        `update "${schema}".tracks set title = $3, updated_at = reprise.now() where generation_id = $1 and track_variant = $2 and deleted_at is null`, [generationId, index + 1, title])
    },

    /** The file name that somebody would like; it counts until the song has one. */
    async wishName(generationId: string, index: number, filename: string): Promise<void> {
      await db.query(
        `update ${generations} set metadata = metadata || jsonb_build_object('filenames', case when jsonb_typeof(metadata -> 'filenames') = 'object' then metadata -> 'filenames' else '{}' end || jsonb_build_object($2::text, $3::text))
         where id = $1 and metadata -> 'filenames' ->> $2::text is null`, [generationId, String(index), filename.slice(0, 200)])
    },

    /** The archive's open job for a track, a new one when there is none or it only waits for its next try: many that ask at once get the same. */
    async openJob(trackId: string): Promise<string> {
      return db.transaction(async (tx) => {
        await tx.query(`select pg_advisory_xact_lock(hashtextextended('archive ' || $1, 0))`, [trackId])
        const { rows: [open] } = await tx.query<{ id: string }>(
          `select id from "${schema}".track_archiving_jobs where track_id = $1 and (status = 'pending' or (status = 'processing'
             and exists (select from reprise.archivals where track_id = $1 and lease_until > reprise.now()))) order by created_at desc limit 1`, [trackId])
        if (open) return open.id
        const { rows: [fresh] } = await tx.query<{ id: string }>(
          `insert into "${schema}".track_archiving_jobs (track_id, user_id, metadata) select id, user_id, '{"cause": "request"}' from "${schema}".tracks where id = $1 returning id`, [trackId])
        return fresh!.id
      })
    },

    async job(id: string): Promise<{ failed: boolean; since: Date } | null> {
      const { rows: [job] } = await db.query<{ failed: boolean; since: Date }>(
        `select status = 'failed' as failed, coalesce(started_at, created_at) as since from "${schema}".track_archiving_jobs where id = $1`, [id])
      return job ?? null
    },

    /** Who holds the download's lock now: since when, and how long it may last; seconds. */
    async lock(generationId: string, index: number): Promise<{ since: Date; lastsSec: number } | null> {
      const { rows: [lock] } = await db.query<{ since: Date; lastsSec: number }>(
        `select acquired_at as since, ceil(extract(epoch from expires_at - reprise.clock()))::int as "lastsSec" from reprise.operation_locks
         where key = any ($1) and expires_at > reprise.clock() order by acquired_at limit 1`, [[`download:${generationId}:${index}`, `download:${generationId}`]])
      return lock ?? null
    },
  }
}

export type GenerationQueries = ReturnType<typeof createGenerationQueries>

function storedOf(row: Record<string, any>): SongState['stored'] {
  if (row.deleted || !row.storage_audio_url) return null
  const [base, name = ''] = (row.storage_audio_url as string).split('/storage/v1/object/public/')
  if (row.path) return { url: `${base}/storage/v1/object/public/albert-tracks/${row.path}?v=${row.sha256.slice(0, 8)}`, path: row.path, bytes: row.file_bytes, blobKey: row.blob_key, verifiedLately: row.verified_lately }
  // Where the team keeps it itself.
  return { url: row.storage_audio_url, path: name.split('?')[0]!.split('/').slice(1).join('/'), bytes: row.bytes, blobKey: null, verifiedLately: false }
}
