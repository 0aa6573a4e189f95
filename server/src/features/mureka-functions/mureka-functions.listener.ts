import type { MoveListener } from '../../engine/store.ts'

/** Keeps the rows of `ai_generations` as the records are, in the transaction of every move of a Mureka generation. */
export const followMurekaFunctions: MoveListener = async (tx, moves) => {
  const ids = moves.map(({ decision }) => decision.after.generation).filter(({ provider }) => provider === 'mureka').map(({ id }) => id)
  if (ids.length > 0) await tx.query({ name: 'follow_ai_generations', text: 'select reprise.follow_ai_generations($1)', values: [ids] })
}
