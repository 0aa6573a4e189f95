import type { Refusal } from './candidate.ts'

/** So many rows are named in a report; all are counted. */
const MOST_NAMED = 10_000

export interface Counted {
  reason: string
  rows: number
}

/** What happened to the rows of a source: counted whole, named up to a limit, whatever the size of the source. */
export class Tally {
  read = 0
  readonly named: Refusal[] = []
  readonly #counts = { bad: new Map<string, number>(), skipped: new Map<string, number>(), notes: new Map<string, number>() }

  refuse(refusal: Refusal): void {
    this.#count(refusal.kind, refusal.reason)
    if (this.named.length < MOST_NAMED) this.named.push(refusal)
  }

  note(reason: string): void {
    this.#count('notes', reason)
  }

  /** Most frequent first. */
  reasons(kind: 'bad' | 'skipped' | 'notes'): Counted[] {
    return [...this.#counts[kind]].map(([reason, rows]) => ({ reason, rows })).sort((a, b) => b.rows - a.rows)
  }

  total(kind: 'bad' | 'skipped' | 'notes'): number {
    return this.reasons(kind).reduce((sum, { rows }) => sum + rows, 0)
  }

  #count(kind: 'bad' | 'skipped' | 'notes', reason: string): void {
    const counts = this.#counts[kind]
    counts.set(reason, (counts.get(reason) ?? 0) + 1)
  }
}
