import type { Queryable } from '../../database/pool.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { BlobStore } from '../../storage/blob-store.ts'

export const UPLOADS = 'image-uploads'
/** So long an upload waits for a job that names it. */
const KEPT_DAYS = 7
/** Younger bytes may be without a record because it is just being written. */
const YOUNG_MS = 24 * 3_600_000
const TOGETHER = 500

/** Whatever looks like an id in what the user `$1` ever asked for, here or in the team's own rows: rather too many of them than too few. */
const named = (schema: string) => `named as materialized (
  select lower(m[1]) as id from (
    select (g.request #> '{options,images}')::text as words from reprise.generations g where g.user_id = $1 and g.kind <> 'song'
    union all
    select concat_ws(' ', j.product_images::text, j.style_source_image_url) from "${schema}".generation_jobs j where j.user_id = $1
  ) asked, regexp_matches(asked.words, '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})', 'gi') m)`

/** Uploads of the user `$1`: `track_id` for the index of files that belong to no track. */
const OWN = `f.user_id = $1 and f.track_id is null and f.bucket = '${UPLOADS}'`
const UNNAMED = `${OWN} and not exists (select from named n where n.id = lower(split_part(split_part(f.path, '/', 2), '.', 1)))`
/** Named just now, it is as good as new: who names it has not written that down yet. */
const OLD = `greatest(f.created_at, f.used_at) < reprise.now() - interval '${KEPT_DAYS} days'`

/** What is kept of a user's uploads although nothing names it; not looked for while all of them are below `enough`. */
export async function countUnnamed(db: Queryable, schema: string, userId: string, enough: { files: number; bytes: number }): Promise<{ files: number; bytes: number }> {
  const count = async (text: string) => (await db.query<{ files: number; bytes: number }>(text, [userId])).rows[0]!
  const sums = 'select count(*) as files, coalesce(sum(f.bytes), 0) as bytes from reprise.files f where'
  const all = await count(`${sums} ${OWN}`)
  return all.files < enough.files && all.bytes < enough.bytes ? all : count(`with ${named(schema)} ${sums} ${UNNAMED}`)
}

/**
 * Deletes uploads that nothing named for days: their records first, then all bytes without one. Whoever dies between the
 * two leaves bytes that the next sweep finds, as it finds those whose record was never written. Answers how many went.
 */
export async function sweepUploads({ db, schema, blobs, now }: { db: Queryable; schema: string; blobs: Pick<BlobStore, 'list' | 'head' | 'delete'>; now: number }): Promise<{ records: number; files: number }> {
  const gone = { records: 0, files: 0 }
  const { rows: users } = await db.query<{ id: string }>(`select distinct f.user_id as id from reprise.files f where f.bucket = '${UPLOADS}' and ${OLD}`)
  // One statement for each: a job that names one of them at this moment waits for it or is waited for.
  for (const { id } of users) gone.records += (await db.query(`with ${named(schema)} delete from reprise.files f where ${UNNAMED} and ${OLD}`, [id])).rowCount

  async function sweep(keys: string[]): Promise<void> {
    const { rows } = await db.query<{ key: string }>('select k.key from unnest($1::text[]) k (key) where not exists (select from reprise.files f where f.blob_key = k.key)', [keys])
    for (const { key } of rows) {
      const [, userId, name] = key.split('/')
      const head = isUuid(userId ?? '') ? await blobs.head(key) : null
      if (!head || head.modifiedAt.getTime() > now - YOUNG_MS) continue
      const { rowCount } = await db.query(`with ${named(schema)} select from named where id = lower($2)`, [userId, name!.split('.')[0]])
      if (rowCount > 0) continue
      await blobs.delete(key)
      gone.files++
    }
  }
  let keys: string[] = []
  for await (const { key } of blobs.list(`${UPLOADS}/`)) {
    if (keys.push(key) < TOGETHER) continue
    await sweep(keys)
    keys = []
  }
  await sweep(keys)
  return gone
}
