import type { Database, Queryable } from '../../database/pool.ts'
import { BUCKETS } from './tracks.listener.ts'
import type { MediaAccess } from './media-access.ts'

type Row = Record<string, any>

/** A track as the API tells it. Durations in milliseconds. */
export interface TrackView {
  [key: string]: unknown
  id: string
  generationId: string | null
  title: string | null
  durationMs: number | null
  variant: number | null
  archived: boolean
  sha256: string | null
  bytes: number | null
  mime: string | null
  /** The best address there is: ours, else where the provider keeps it. */
  audioUrl: string | null
  /** Where its provider keeps the song; equal to `audioUrl` while we have no copy. */
  providerUrl: string | null
  coverUrl: string | null
  /** When the first of the files that are not yet ours goes. */
  expiresAt: string | null
  /** How the archive stands with it: null when there is nothing left to fetch. */
  saving: Saving | null
  /** When it is tried again, while it is `resting`. */
  nextTryAt: string | null
  createdAt: string
}

/** `resting`: the last run did not get it, the next is set. `gone`: nobody has it any more. */
export const SAVING = ['waiting', 'working', 'resting', 'gone'] as const
export type Saving = (typeof SAVING)[number]

/** A stored file by its public name. */
export interface NamedFile {
  bucket: string
  path: string
  blobKey: string
  userId: string
  sha256: string
  bytes: number
  mime: string
}

/** Only what a browser may be given to open: rows are not all ours. */
const webAddress = (url: string | null): string | null => (url && /^https?:\/\//i.test(url) ? url : null)
const foreign = (url: string | null, stored: string | null): string | null => (url === stored ? null : webAddress(url))

export function createTracks({ db, schema, media }: { db: Database; schema: string; media: MediaAccess }) {
  const select = `
    select t.id, t.generation_id, t.title, t.duration_ms, t.track_variant, t.archived_to_storage, t.sha256, t.bytes, t.mime, t.expires_at,
      t.created_at, to_char(t.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as exact_at, t.user_id, a.path as audio_path, c.path as cover_path, c.sha256 as cover_sha256,
      t.audio_url, t.storage_audio_url, t.cover_url, t.storage_cover_url, t.metadata ->> 'provider_url' as provider_url,
      case when q.track_id is null or q.claimed_done then null when q.lease_until > reprise.now() then 'working' when q.next_at = 'infinity' then 'gone'
        when q.next_at <= reprise.now() or q.tries > 0 or q.last_error is null then 'waiting' else 'resting' end as saving, q.next_at
    from "${schema}".tracks t
    left join reprise.archivals q on q.track_id = t.id
    left join reprise.files a on a.bucket = '${BUCKETS.final}' and a.path = split_part(split_part(t.storage_audio_url, '/${BUCKETS.final}/', 2), '?', 1)
    left join reprise.files c on c.bucket = '${BUCKETS.cover}' and c.path = split_part(split_part(t.storage_cover_url, '/${BUCKETS.cover}/', 2), '?', 1)
    where t.deleted_at is null`

  const view = (row: Row): TrackView => {
    const stored = row.audio_path ? media.urlOf(BUCKETS.final, row.audio_path, row.sha256) : null
    const providerUrl = foreign(row.audio_url, row.storage_audio_url) ?? webAddress(row.provider_url)
    return {
      id: row.id, generationId: row.generation_id, title: row.title, durationMs: row.duration_ms, variant: row.track_variant,
      archived: row.archived_to_storage, sha256: row.sha256, bytes: row.bytes, mime: row.mime,
      audioUrl: stored ?? webAddress(row.audio_url) ?? providerUrl, providerUrl,
      coverUrl: row.cover_path ? media.urlOf(BUCKETS.cover, row.cover_path, row.cover_sha256) : foreign(row.cover_url, row.storage_cover_url),
      expiresAt: row.expires_at?.toISOString() ?? null, saving: row.saving, nextTryAt: row.saving === 'resting' ? row.next_at.toISOString() : null,
      createdAt: row.created_at.toISOString(),
    }
  }

  async function rows(where: string, values: unknown[], on: Queryable = db): Promise<Row[]> {
    return (await on.query<Row>(`${select} ${where}`, values)).rows
  }

  return {
    /** `userId` null: whoever owns it (operators). */
    async find(id: string, userId: string | null): Promise<TrackView | null> {
      const found = await rows('and t.id = $1 and ($2::uuid is null or t.user_id = $2)', [id, userId])
      return found[0] ? view(found[0]) : null
    },
    /** Newest first, after the keyset of the page before; `next` is null on the last page. */
    async list(userId: string, limit: number, after: [string, string] | undefined): Promise<{ items: TrackView[]; next: [string, string] | null }> {
      const where = `and t.user_id = $1 ${after ? 'and (t.created_at, t.id) < ($3::timestamptz, $4::uuid)' : ''} order by t.created_at desc, t.id desc limit $2`
      const found = await rows(where, [userId, limit + 1, ...(after ?? [])])
      const page = found.slice(0, limit)
      const last = page.at(-1)
      // To the microsecond: rows that the app itself wrote are not rounded, and a rounded key would skip some.
      return { items: page.map(view), next: last && found.length > limit ? [last.exact_at, last.id] : null }
    },
    /** Stored results of several generations, in the order of their variants; `on` a transaction, when they must fit what it has read. */
    async ofGenerations(ids: string[], on: Queryable = db): Promise<Map<string, TrackView[]>> {
      const byGeneration = new Map<string, TrackView[]>()
      if (ids.length === 0) return byGeneration
      for (const track of (await rows('and t.generation_id = any($1) order by t.track_variant', [ids], on)).map(view)) {
        byGeneration.set(track.generationId!, [...(byGeneration.get(track.generationId!) ?? []), track])
      }
      return byGeneration
    },
    /**
     * The row stays with its date, so that nothing late brings the track back. The names of its files go with it, by a
     * trigger (features/archive): their addresses answer no more. The bytes stay; fixity reports them.
     */
    async remove(id: string, userId: string | null): Promise<boolean> {
      const { rowCount } = await db.query(
        `update "${schema}".tracks set deleted_at = reprise.now(), updated_at = reprise.now()
         where id = $1 and ($2::uuid is null or user_id = $2) and deleted_at is null`, [id, userId])
      return rowCount > 0
    },
    /** Stored files of one track, or of a generation's, that are not deleted; the songs first. */
    async storedFiles(trackOrGeneration: string): Promise<{ blobKey: string; song: boolean }[]> {
      const { rows: found } = await db.query<{ blobKey: string; song: boolean }>(
        `select f.blob_key as "blobKey", bool_or(f.bucket = '${BUCKETS.final}') as song from "${schema}".tracks t join reprise.files f on f.track_id = t.id
         where (t.id = $1 or t.generation_id = $1) and t.deleted_at is null group by f.blob_key order by song desc, f.blob_key`, [trackOrGeneration])
      return found
    },
    async audioFile(id: string, userId: string | null): Promise<(NamedFile & { title: string | null }) | null> {
      const { rows: found } = await db.query<NamedFile & { title: string | null }>(
        `select f.bucket, f.path, f.blob_key as "blobKey", f.user_id as "userId", f.sha256, f.bytes, f.mime, t.title
         from "${schema}".tracks t join reprise.files f on f.track_id = t.id and f.bucket = '${BUCKETS.final}'
         where t.id = $1 and ($2::uuid is null or t.user_id = $2) and t.deleted_at is null order by f.created_at desc limit 1`,
        [id, userId],
      )
      return found[0] ?? null
    },
    async file(bucket: string, path: string): Promise<NamedFile | null> {
      const { rows: found } = await db.query<NamedFile>({
        name: 'named_file', values: [bucket, path],
        text: `select bucket, path, blob_key as "blobKey", user_id as "userId", sha256, bytes, mime from reprise.files where bucket = $1 and path = $2`,
      })
      return found[0] ?? null
    },
  }
}

export type Tracks = ReturnType<typeof createTracks>
