/** At most `count` requests in any `windowMs`; null = no limit. */
export type Rate = { count: number; windowMs: number } | null

/** A sliding window per key, in memory: a restart of the service forgets it too. */
export function createRateLimit(rate: Rate) {
  const seen = new Map<string, number[]>()
  let limit = rate
  return {
    /** Counts the request and says whether it may pass. Refused ones do not count. */
    allow(key: string, now: number): boolean {
      if (!limit) return true
      const { count, windowMs } = limit
      const recent = (seen.get(key) ?? []).filter((moment) => moment > now - windowMs)
      const passes = recent.length < count
      if (passes) recent.push(now)
      seen.set(key, recent)
      return passes
    },
    set(next: Rate) {
      limit = next
      seen.clear()
    },
    get: (): Rate => limit,
  }
}

export type RateLimit = ReturnType<typeof createRateLimit>
