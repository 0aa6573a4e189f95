import type { Queryable } from '../../database/pool.ts'
import type { AppliedMove, MoveListener } from '../../engine/store.ts'
import { jsonForDatabase } from '../../kernel/json.ts'
import { ORIGIN } from './jobs.ts'

interface Deps {
  /** With which URLs in columns begin. */
  base: (tx: Queryable) => Promise<string>
  /** The address of a stored file as it stands in a column. */
  urlOf: (base: string, bucket: string, path: string, sha256: string) => string
  /** Called after the commit when pictures were stored. */
  onStored: () => void
}

/** Keeps cards and jobs as their generations are, in the transaction of each move; late pictures too. */
export function followImageJobs({ base, urlOf, onStored }: Deps): MoveListener {
  return async (tx, moves) => {
    const cards = moves.filter(({ decision }) => decision.after.generation.origin === ORIGIN && decision.move !== 'ignored')
    if (cards.length === 0) return
    const files = cards.flatMap(newlyStored)
    const address = files.length ? await base(tx) : ''
    const stored = files.map(({ generationId, blobKey, sha256 }) => {
      const slash = blobKey.indexOf('/')
      const [bucket, path] = [blobKey.slice(0, slash), blobKey.slice(slash + 1)]
      return { generationId, imageUrl: urlOf(address, bucket, path, sha256), storagePath: path }
    })
    const ids = [...new Set(cards.map(({ decision }) => decision.after.generation.id))]
    await tx.query({ name: 'follow_image_cards', text: 'select reprise.follow_image_cards($1, $2)', values: [ids, jsonForDatabase(stored)] })
    if (stored.length) return onStored
  }
}

function newlyStored({ decision: { before, after } }: AppliedMove) {
  return after.results.flatMap(({ id, role, state, file }) =>
    role === 'final' && state === 'stored' && file && before.results.find((old) => old.id === id)?.state !== 'stored'
      ? [{ generationId: after.generation.id, blobKey: file.blobKey, sha256: file.sha256 }]
      : [])
}
