import type { AppliedMove, MoveListener } from '../../engine/store.ts'
import { label, type Language } from '../../texts/texts.ts'
import { sayings, type Occasion, type Said } from './notice-texts.ts'

/** As `reprise.notify_all` takes it. */
interface Notice {
  userId: string
  kind: string
  key: string
  link: string
  generationId: string
  texts: Record<Language, Said>
}

const LONGEST_NAME = 60

/**
 * Tells the owner, in the transaction of the move, what became of a generation. To be called after the tokens are
 * settled. Pictures of a job are told by their job, and what users cancel they know.
 */
export const tellMoves: MoveListener = async (tx, moves) => {
  const notices = moves.flatMap((move) => occasionsOf(move).map((occasion) => noticeOf(move, occasion)))
  if (notices.length === 0) return
  await tx.query({ name: 'notify_all', text: 'select reprise.notify_all($1)', values: [JSON.stringify(notices)] })
}

/** What happened in this move that is worth a notice. */
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

function noticeOf({ decision: { after } }: AppliedMove, occasion: Occasion): Notice {
  const { id, userId, request, missing, errorCode } = after.generation
  return {
    userId, generationId: id, link: `/generations/${id}`, key: `${occasion}:${id}`,
    kind: occasion === 'late' ? 'done' : occasion,
    texts: sayings(occasion, { name: shortened(request.title ?? request.prompt), missing, reason: (language) => label(language, errorCode ?? 'provider_failed') }),
  }
}

/** The first words; a character of two halves is never cut. */
function shortened(text: string): string {
  const all = [...text.replace(/\s+/g, ' ').trim()]
  return all.length <= LONGEST_NAME ? all.join('') : `${all.slice(0, LONGEST_NAME - 1).join('').trimEnd()}…`
}
