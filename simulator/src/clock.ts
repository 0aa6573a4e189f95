/**
 * The simulator's own time: real time plus a shift that only grows. Fifteen days of retention are one call of
 * `advance`. Milliseconds since the epoch.
 */
export interface SimulatorClock {
  now(): number
  /** Moves time forward by `ms` (negative values are refused) and tells everyone who waits for a moment. */
  advance(ms: number): void
  shift(): number
  /** Sets the shift without telling anyone; used when state is loaded. */
  restore(shift: number): void
  onMove(listener: () => void): void
}

export function createClock(real: () => number = Date.now): SimulatorClock {
  let shift = 0
  const listeners: (() => void)[] = []
  return {
    now: () => real() + shift,
    advance(ms) {
      if (!Number.isFinite(ms) || ms < 0) throw new RangeError('the clock only moves forward')
      shift += ms
      for (const listener of listeners) listener()
    },
    shift: () => shift,
    restore: (value) => {
      shift = value
    },
    onMove: (listener) => {
      listeners.push(listener)
    },
  }
}
