import { MOVES, type MoveRow } from './moves.ts'
import { FINAL_STATES, OPEN_STATES, type GenerationState } from './state.ts'

const SETTLEMENTS: Record<MoveRow['settle'], string> = {
  none: '–',
  lose: 'all tokens given back',
  split: 'stored results paid, the rest given back',
  keep_stored: 'stored results paid, the rest stays held until the deadline',
}

/** The table of moves as a page of the documentation; `npm run docs` writes it to `docs/moves.md`. */
export function movesAsMarkdown(): string {
  const rows = MOVES.map(({ id, from, on, when, to, settle, why }: MoveRow) =>
    `| \`${id}\` | ${statesAsText(from)} | ${on} | ${when?.replaceAll('_', ' ') ?? 'always'} | ${to === 'same' ? '–' : to} | ${SETTLEMENTS[settle]} | ${why} |`,
  )
  return [
    '# What can happen to a generation',
    '',
    'Made from `server/src/engine/moves.ts`, the table by which every decision is taken. Rows are tried from the top; the',
    'first whose state, evidence and condition hold is taken. Evidence that no row takes is kept in the timeline and',
    'changes nothing. Open states only move right, final states never change:',
    '',
    `${OPEN_STATES.map((state) => `\`${state}\``).join(' → ')} → ${FINAL_STATES.map((state) => `\`${state}\``).join(', ')}`,
    '',
    '| move | from | evidence | when | to | tokens | why |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

function statesAsText(states: readonly GenerationState[]): string {
  const has = (list: readonly GenerationState[]) => list.every((state) => states.includes(state))
  if (has(OPEN_STATES) && has(FINAL_STATES)) return 'any'
  if (states.length === OPEN_STATES.length && has(OPEN_STATES)) return 'any open'
  if (states.length === FINAL_STATES.length && has(FINAL_STATES)) return 'any final'
  return states.join(', ')
}
