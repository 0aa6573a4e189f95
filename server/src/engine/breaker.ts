import type { Queryable } from '../database/pool.ts'
import type { ErrorCode } from '../kernel/errors.ts'
import type { Logger } from '../kernel/logger.ts'

/** Failures in a row before an account that answers `unavailable` or `transient` is left alone for a while. */
const FAILURES = 5
const PAUSE_SEC = { no_credits: 60, provider_auth: 60, unavailable: 30, transient: 15, rate_limited: 10 } as const

/**
 * The circuit breaker of a provider account, kept in the database so that it holds for all nodes: no credits and a
 * refused key open it at once, trouble after several failures in a row. While open no slots are given out; after
 * the pause one round tries again.
 */
export function createBreaker({ db, logger }: { db: Queryable; logger: Logger }) {
  return {
    async failed(account: string, code: ErrorCode): Promise<void> {
      const pause = PAUSE_SEC[code as keyof typeof PAUSE_SEC]
      if (pause === undefined) return
      const atOnce = code === 'no_credits' || code === 'provider_auth' || code === 'rate_limited'
      const { rows } = await db.query<{ opened: boolean }>(
        `update reprise.provider_accounts set breaker_failures = breaker_failures + 1,
           breaker_reason = case when $3 or breaker_failures + 1 >= $4 then $2 else breaker_reason end,
           breaker_until = case when $3 or breaker_failures + 1 >= $4 then reprise.now() + $5 * interval '1 second' else breaker_until end
         where account = $1 returning breaker_until > reprise.now() as opened`,
        [account, code, atOnce, FAILURES, pause],
      )
      // The operator's alert: somebody has to top up or mend the key.
      if (rows[0]?.opened && (code === 'no_credits' || code === 'provider_auth')) logger.error({ account, code }, 'ALERT: the provider account refuses work')
    },
    async succeeded(account: string): Promise<void> {
      await db.query({
        name: 'breaker_closed',
        text: `update reprise.provider_accounts set breaker_failures = 0, breaker_reason = null, breaker_until = null
          where account = $1 and (breaker_failures > 0 or breaker_reason is not null)`,
        values: [account],
      })
    },
  }
}

export type Breaker = ReturnType<typeof createBreaker>
