import { en, type Key } from '../../i18n/en.ts'

/** What an entry does to what can be spent: a capture moves only what had been set aside. */
const SIGNS: Record<string, 1 | -1 | 0> = { signup: 1, grant: 1, release: 1, refund: 1, hold: -1, adjustment: -1, capture: 0 }
export const signOf = (kind: string): 1 | -1 | 0 => SIGNS[kind] ?? 0

/** Why it moved. What Reprise notes for itself is said by the kind already; an error is told in words, people's reasons as they wrote them. */
export const toldOf = (entry: { kind: string; reason?: string | null; text?: string | null }): string | null =>
  entry.text ?? (entry.kind === 'grant' || entry.kind === 'adjustment' ? (entry.reason ?? null) : null)

/** A movement's kind in the reader's words. */
export function kindText(kind: string, t: (key: Key) => string): string {
  const key = `ledger.${kind}`
  return t(Object.hasOwn(en, key) ? (key as Key) : 'ledger.other')
}
