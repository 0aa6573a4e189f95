import { en, type Key } from '../../i18n/en.ts'

/** One line of a generation's history, as the server tells it. `type` is the id of the move. */
export interface TimelineEvent {
  id: string | number
  at: string
  type: string
  state?: string | null
  attempt?: number | null
  cause?: string | null
  data?: Record<string, unknown> | null
}

export type Tone = 'good' | 'bad' | 'plain'

export interface Sentence {
  key: Key | undefined
  tone: Tone
  tokens: number
  bytes: number | undefined
}

const GOOD = words(
  'accepted_request accepted adopted partial succeeded succeeded_all_stored stored stored_after_cancel complete',
)
const BAD = words(
  'no_credits blocked rejected unknown owner_lost submit_unknown empty finished_empty provider_failed unreachable',
  'nothing_saved unsaved timed_out',
)

/** The sentence of an event, `undefined` when this page is older than the event. `tokens` fills `{amount}`. */
export function eventSentence(event: TimelineEvent): Sentence {
  const key = `event.${event.type}`
  const data = event.data ?? {}
  return {
    key: Object.hasOwn(en, key) ? (key as Key) : undefined,
    tone: GOOD.has(event.type) ? 'good' : BAD.has(event.type) ? 'bad' : 'plain',
    tokens: numberOf(data.amount) ?? numberOf(data.cost) ?? 0,
    bytes: numberOf(data.bytes),
  }
}

/** What to show for a type without a sentence: its own name, readable. */
export const plainType = (type: string) => type.replace(/[._-]+/g, ' ')

const numberOf = (value: unknown) => (typeof value === 'number' ? value : undefined)

function words(...lines: string[]): Set<string> {
  return new Set(lines.join(' ').split(' '))
}
