import type { AppliedMove, MoveListener } from '../../engine/store.ts'
import { label, LANGUAGES } from '../../texts/texts.ts'

/** What happened to a generation that is worth a notice: an occasion of `reprise.sayings`. */
export type Occasion = 'started' | 'done' | 'partly_done' | 'failed' | 'late'

/**
 * Tells the owner, in the transaction of the move, what became of a generation. To be called after the tokens are
 * settled. Pictures of a job are told by their job, and what users cancel they know.
 */
export const tellMoves: MoveListener = async (tx, moves) => {
  const notices = moves.flatMap((move) => occasionsOf(move).map((occasion) => noticeOf(move, occasion)))
  if (notices.length === 0) return
  await tx.query({ name: 'notify_all', text: 'select reprise.notify_all($1)', values: [JSON.stringify(notices)] })
}

export function occasionsOf({ decision: { before, after } }: Pick<AppliedMove, 'decision'>): Occasion[] {
  const was = before.generation
  const is = after.generation
  if (is.origin === 'image-jobs') return []
  if (was.arrivedLateAt === null && is.arrivedLateAt !== null) return ['late']
  if (was.state === is.state) return []
  if (is.state === 'complete') return [is.missing > 0 ? 'partly_done' : 'done']
  if (is.state === 'failed' || is.state === 'timed_out') return ['failed']
  const waited = was.state === 'queued' || was.state === 'submitting'
  return waited && ['generating', 'previewing', 'saving'].includes(is.state) ? ['started'] : []
}

/** As `reprise.notify_all` takes it. */
function noticeOf({ decision: { after } }: AppliedMove, occasion: Occasion) {
  const { id, userId, request, missing, errorCode } = after.generation
  const reason = Object.fromEntries(LANGUAGES.map((language) => [language, label(language, errorCode ?? 'provider_failed')]))
  return { userId, occasion, key: `${occasion}:${id}`, link: `/generations/${id}`, generationId: id, about: { name: request.title ?? request.prompt, missing, reason } }
}
