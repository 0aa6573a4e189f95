import { createHash } from 'node:crypto'

/** A stable 32-bit number for a text. */
export function hash32(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32LE(0)
}

/** A stable UUID for a text, for ids that must be the same after a restart. */
export function hashUuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Repeatable randomness: the same seed text gives the same song, picture and delays on every machine. */
export interface Dice {
  /** From 0 up to, not including, 1. */
  next(): number
  between(low: number, high: number): number
  /** Whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number
  pick<T>(items: readonly T[]): T
  chance(probability: number): boolean
}

export function createDice(seed: string): Dice {
  let state = hash32(seed)
  // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  const whole = (low: number, high: number) => low + Math.floor(next() * (high - low + 1))
  return {
    next,
    between: (low, high) => low + next() * (high - low),
    whole,
    pick: (items) => items[whole(0, items.length - 1)]!,
    chance: (probability) => next() < probability,
  }
}
