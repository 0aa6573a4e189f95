import type { Database } from '../database/pool.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Provider } from '../providers/provider.ts'
import type { Registry } from '../providers/registry.ts'

export interface AccountStatus {
  /** Why the account refuses all work now (the open breaker), else null. */
  refusing: 'no_credits' | 'provider_auth' | null
  /** Last known credits in the provider's own unit; null when they could not be told. Never read as 0. */
  credits: number | null
}

/** How old what we answer may be, and how old it may be while somebody looks anew. */
const FRESH_MS = 1_000
const STALE_MS = 5_000
const CREDITS_EVERY_MS = 60_000

/**
 * What we know of the provider accounts, for checks at the door: never delays an answer, never asks the provider more
 * than once a minute.
 */
export function createAccountWatch({ db, registry, logger }: { db: Database; registry: Registry; logger: Logger }) {
  const known = new Map<string, { status: AccountStatus; at: number }>()
  const looking = new Map<string, Promise<AccountStatus>>()

  async function look(account: string): Promise<AccountStatus> {
    const { rows } = await db.query<{ refusing: AccountStatus['refusing']; credits: number | null; old: boolean }>({
      name: 'account_status', values: [account, CREDITS_EVERY_MS],
      text: `select case when breaker_until > reprise.now() and breaker_reason in ('no_credits', 'provider_auth') then breaker_reason end as refusing,
          credits, coalesce(credits_at < reprise.now() - $2 * interval '1 millisecond', true) as old
        from reprise.provider_accounts where account = $1`,
    })
    const { refusing = null, credits = null, old = false } = rows[0] ?? {}
    const provider = registry.all.find((one) => one.account === account)
    if (old && provider?.credits) void refresh(provider)
    const status = { refusing, credits }
    known.set(account, { status, at: performance.now() })
    return status
  }

  async function refresh(provider: Provider): Promise<void> {
    try {
      // Claimed first, so that many processes ask once a minute in all.
      const { rowCount } = await db.query(
        `update reprise.provider_accounts set credits_at = reprise.now()
         where account = $1 and (credits_at is null or credits_at < reprise.now() - $2 * interval '1 millisecond')`,
        [provider.account, CREDITS_EVERY_MS],
      )
      if (rowCount === 0) return
      const told = await provider.credits!(AbortSignal.timeout(10_000))
      await db.query('update reprise.provider_accounts set credits = $2 where account = $1', [provider.account, told?.amount ?? null])
    } catch (error) {
      logger.warn({ err: error, account: provider.account }, 'credits could not be looked up')
    }
  }

  return {
    async status(account: string): Promise<AccountStatus> {
      const before = known.get(account)
      if (before && performance.now() - before.at < FRESH_MS) return before.status
      let looked = looking.get(account)
      if (!looked) {
        looked = look(account).finally(() => looking.delete(account))
        looking.set(account, looked)
        looked.catch(() => undefined)
      }
      // Older than that it says nothing: after a quiet hour the first request must not hear of last hour's trouble.
      return before && performance.now() - before.at < STALE_MS ? before.status : looked
    },

    /** Makes the accounts known, and gives waiting work of a replaced key to the current one. */
    async register(): Promise<void> {
      for (const { account, descriptor } of registry.all) {
        await db.query('insert into reprise.provider_accounts (account, provider) values ($1, $2) on conflict do nothing', [account, descriptor.id])
        await db.query('update reprise.generations set account = $1 where provider = $2 and account <> $1 and dispatch_at is not null', [account, descriptor.id])
      }
    },
  }
}
