import type { Fault } from '../faults.ts'

/** What is kept of one accepted request. Everything else about it is worked out from this and the clock. */
export interface SunoTask {
  id: string
  /** The simulator's clock, ms. */
  createdAt: number
  /** Times faster than the real service when it was accepted; 0 = no delays. */
  speed: number
  faults: Fault[]
  /** Prompt, style and title as sent: what fault rules and songs are matched by. */
  text: string
  /** The request as a JSON string, as record-info gives it back. */
  param: string
  callBackUrl: string
  model: string
  title: string
  style: string
  lyrics: string
  instrumental: boolean
  songs: { id: string; durationSec: number }[]
}
