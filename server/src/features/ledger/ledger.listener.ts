import type { MoveListener } from '../../engine/store.ts'

/** Settles the tokens of each move in its transaction: stored results are captured, lost ones released, each once. */
export const settleMoves: MoveListener = async (tx, moves) => {
  const ends = moves.flatMap(({ decision }) => {
    const { id } = decision.after.generation
    const reason = decision.after.generation.errorCode ?? decision.move
    return [
      ...decision.settle.kept.map((index) => ({ generationId: id, index, end: 'captured', reason: 'stored' })),
      ...decision.settle.lost.map((index) => ({ generationId: id, index, end: 'released', reason })),
    ]
  })
  if (ends.length === 0) return
  await tx.query({ name: 'settle_items', text: 'select reprise.settle_items($1)', values: [JSON.stringify(ends)] })
}
