import type { MoveListener } from '../../engine/store.ts'

/** Settles the tokens of each move in its transaction: stored results are captured, lost ones released, each once. */
export const settleMoves: MoveListener = async (tx, moves) => {
  const ends = moves.flatMap(({ decision }) => {
    const { generation, attempts, results } = decision.after
    const why = (index: number) =>
      results.find((result) => result.role === 'final' && result.index === index)?.refusedCode ?? generation.errorCode ?? attempts.at(-1)?.errorCode ?? decision.move
    return [
      ...decision.settle.kept.map((index) => ({ generationId: generation.id, index, end: 'captured', reason: 'stored' })),
      ...decision.settle.lost.map((index) => ({ generationId: generation.id, index, end: 'released', reason: why(index) })),
    ]
  })
  if (ends.length === 0) return
  await tx.query({ name: 'settle_items', text: 'select reprise.settle_items($1)', values: [JSON.stringify(ends)] })
}
