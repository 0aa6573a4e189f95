/** One row of a source: the wanted columns as text, or why the row cannot be read at all. */
export interface RawRow {
  /** Line of the file (its first, when a row has several), or number of the row in the table. */
  place: number
  values: (string | null)[] | { unreadable: string }
}

/** A table or file with a team's tracks. */
export interface Source {
  /** For people; holds no password. */
  name: string
  /** What a `place` counts. */
  counts: 'line' | 'row'
  columns: string[]
  /** These columns of every row, in batches. `done` and `of` measure how far it is (rows or bytes). */
  read(columns: string[]): AsyncIterable<{ rows: RawRow[]; done: number; of: number }>
  close(): Promise<void>
}

export const BATCH = 1_000
