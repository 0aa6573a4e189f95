import type { Queryable } from '../database/pool.ts'
import type { BlobStore } from '../storage/blob-store.ts'

/** Where the bytes of answers wait to be verified and published. */
export const INCOMING = 'incoming/'
const TOGETHER = 500

/**
 * Throws away answers that nobody will look at any more: their worker died before it could tell of them, or another
 * attempt was sooner. What a result that is not stored still names stays. Answers how many went.
 */
export async function sweepIncoming({ db, blobs, olderThanMs, now }: { db: Queryable; blobs: Pick<BlobStore, 'list' | 'head' | 'delete'>; olderThanMs: number; now: number }): Promise<number> {
  let gone = 0
  const sweep = async (keys: string[]) => {
    const { rows } = await db.query<{ key: string }>(`select staged_key as key from reprise.results where staged_key = any ($1) and state <> 'stored'`, [keys])
    const wanted = new Set(rows.map(({ key }) => key))
    for (const key of keys) {
      const head = wanted.has(key) ? null : await blobs.head(key)
      if (!head || head.modifiedAt.getTime() > now - olderThanMs) continue
      await blobs.delete(key)
      gone++
    }
  }
  let keys: string[] = []
  for await (const { key } of blobs.list(INCOMING)) {
    if (keys.push(key) < TOGETHER) continue
    await sweep(keys)
    keys = []
  }
  if (keys.length) await sweep(keys)
  return gone
}
