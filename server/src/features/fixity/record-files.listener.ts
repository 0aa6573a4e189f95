import type { AppliedMove, MoveListener } from '../../engine/store.ts'
import { jsonForDatabase } from '../../kernel/json.ts'

/**
 * Results that become no track (pictures, clips) get the record of their file here, in the transaction of the move:
 * what has no record is neither read again nor exported.
 */
export const recordFiles: MoveListener = async (tx, moves) => {
  const files = moves.flatMap(newlyStored)
  if (files.length === 0) return
  await tx.query({
    name: 'record_files', values: [jsonForDatabase(files)],
    text: `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, source_url)
      select f.bucket, f.path, f.blob_key, f.user_id, f.sha256, f.bytes, f.mime, f.source_url
      from jsonb_to_recordset($1) as f (bucket text, path text, blob_key text, user_id uuid, sha256 text, bytes bigint, mime text, source_url text)
      on conflict (bucket, path) do nothing`,
  })
}

function newlyStored({ decision: { before, after } }: AppliedMove): object[] {
  if (after.generation.kind === 'song') return []
  const old = new Map(before.results.map((result) => [result.id, result.state]))
  return after.results.flatMap(({ id, state, file, sourceUrl }) => {
    if (state !== 'stored' || !file || old.get(id) === 'stored') return []
    const { blobKey, sha256, bytes, mime } = file
    const slash = blobKey.indexOf('/')
    return [{
      bucket: blobKey.slice(0, slash), path: blobKey.slice(slash + 1), blob_key: blobKey, user_id: after.generation.userId, sha256, bytes, mime, source_url: sourceUrl,
    }]
  })
}
