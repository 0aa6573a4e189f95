import type { Database } from '../../database/pool.ts'
import { fileNameIn } from '../../storage/file-address.ts'

const PAGE = 200

export interface StoredFile {
  blobKey: string
  path: string
  sha256: string
  bytes: number
  mime: string
}

/** A track with its files, as it is exported. */
export interface LibraryTrack {
  id: string
  title: string | null
  /** What its sidecar tells. */
  told: Record<string, unknown>
  createdAt: Date
  files: StoredFile[]
  /** Files that the track has, but not in our storage. */
  elsewhere: Elsewhere[]
}

export interface Elsewhere {
  file: 'audio' | 'cover' | 'video'
  url: string
  /** Said to be stored there for good; otherwise it is still to be fetched. */
  kept: boolean
}

const FILES = `jsonb_build_object('blobKey', f.blob_key, 'path', f.path, 'sha256', f.sha256, 'bytes', f.bytes, 'mime', f.mime)`

export function createLibrary({ db, schema }: { db: Database; schema: string }) {
  return {
    /** Everything of a user that was not deleted, the oldest first. */
    async *tracks(userId: string): AsyncGenerator<LibraryTrack> {
      for (let last: [string, string] | null = null; ; ) {
        const { rows }: { rows: Record<string, any>[] } = await db.query(
          `select t.*, to_char(t.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as exact_at,
             (select coalesce(jsonb_agg(${FILES} order by f.mime, f.path), '[]')
              from (select distinct on (s.blob_key) s.* from reprise.files s where s.track_id = t.id order by s.blob_key, s.bucket desc) f) as files,
             array(select s.bucket || '/' || s.path from reprise.files s where s.track_id = t.id) as names
           from "${schema}".tracks t
           where t.user_id = $1 and t.deleted_at is null ${last ? 'and (t.created_at, t.id) > ($2::timestamptz, $3::uuid)' : ''}
             and (t.status = 'completed' or exists (select from reprise.files s where s.track_id = t.id))
           order by t.created_at, t.id limit ${PAGE}`, [userId, ...(last ?? [])])
        for (const row of rows) yield trackOf(row)
        if (rows.length < PAGE) return
        last = [rows.at(-1)!.exact_at, rows.at(-1)!.id]
      }
    },

    /** Files of a user that belong to no track. */
    async others(userId: string): Promise<StoredFile[]> {
      const { rows } = await db.query<{ file: StoredFile }>(
        `select ${FILES} as file from (select distinct on (s.blob_key) s.* from reprise.files s
           where s.user_id = $1 and s.track_id is null and not exists (select from reprise.files named where named.blob_key = s.blob_key and named.track_id is not null)
           order by s.blob_key, s.path) f`, [userId])
      return rows.map((row) => row.file)
    },

    /** A user by subject or id; null when nobody is known under it. */
    async knows(userId: string): Promise<boolean> {
      return (await db.query('select from reprise.accounts where user_id = $1', [userId])).rowCount > 0
    },
  }
}

function trackOf(row: Record<string, any>): LibraryTrack {
  const elsewhere = (['audio', 'cover', 'video'] as const).flatMap((file): Elsewhere[] => {
    const kept = row[`storage_${file}_url`]
    const url = kept || row[`${file}_url`]
    // Whatever a column says: it is ours when a record of this track backs its address.
    return !url || row.names.includes(nameIn(url)) ? [] : [{ file, url, kept: Boolean(kept) }]
  })
  return {
    id: row.id, title: row.title, createdAt: row.created_at, files: row.files, elsewhere,
    told: {
      id: row.id, title: row.title, prompt: row.prompt, lyrics: row.lyrics, styleTags: row.style_tags, provider: row.provider, model: row.model,
      providerTaskId: row.metadata.provider_task_id ?? null, providerResultId: row.metadata.provider_result_id ?? null,
      generationId: row.generation_id, variant: row.track_variant, totalVariants: row.total_variants, durationMs: row.duration_ms,
      projectId: row.project_id, artistId: row.artist_id, createdAt: row.created_at, archivedAt: row.archived_at,
    },
  }
}

/** The name under which a file lies in a store, by its address: `bucket/path`. */
function nameIn(url: string): string | null {
  const name = fileNameIn(url)
  return name && `${name.bucket}/${name.path}`
}

export type Library = ReturnType<typeof createLibrary>
