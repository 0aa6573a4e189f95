import type { Attempt, Evidence, GenerationRecord, Policy } from '../state.ts'

/** One line of the timeline, without the things that the store fills in. */
export interface NewEvent {
  type: string
  attempt: number | null
  data: Record<string, unknown>
}

export interface Outgoing {
  topic: 'provider.cancel'
  payload: { provider: string; account: string; taskId: string }
}

/** Everything a move may look at and change. `record` is a working copy. */
export interface Work {
  record: GenerationRecord
  evidence: Evidence
  attempt: Attempt | null
  now: number
  policy: Policy
  events: NewEvent[]
  outgoing: Outgoing[]
}
