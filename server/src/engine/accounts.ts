import type { Database } from '../database/pool.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Provider } from '../providers/provider.ts'
import type { Registry } from '../providers/registry.ts'

export interface AccountStatus {
  /** Why the account refuses all work now (the open breaker), else null. */
  refusing: 'no_credits' | 'provider_auth' | null
  /** Last known credits in the provider's own unit; null when they could not be told. Never read as 0. */
  credits: number | null
  /** How many tasks the account runs at once, as it last told itself; null when it never did. */
  concurrency: number | null
}

/** How old what we answer may be, and how old it may be while somebody looks anew. */
const FRESH_MS = 1_000
const STALE_MS = 5_000
const CREDITS_EVERY_MS = 60_000
/** A worker that was not seen for so long serves its accounts no more. */
const NODE_LIVES = '30 seconds'
const ADOPT_AT_ONCE = 10_000

/**
 * What we know of the provider accounts, for checks at the door: never delays an answer, never asks the provider more
 * than once a minute.
 */
export function createAccountWatch({ db, registry, logger }: { db: Database; registry: Registry; logger: Logger }) {
  const known = new Map<string, { status: AccountStatus; at: number }>()
  const looking = new Map<string, Promise<AccountStatus>>()

  async function look(account: string): Promise<AccountStatus> {
    const { rows } = await db.query<{ refusing: AccountStatus['refusing']; credits: number | null; concurrency: number | null; old: boolean }>({
      name: 'account_status', values: [account, CREDITS_EVERY_MS],
      text: `select case when breaker_until > reprise.now() and breaker_reason in ('no_credits', 'provider_auth') then breaker_reason end as refusing,
          credits, concurrency, coalesce(credits_at < reprise.now() - $2 * interval '1 millisecond', true) as old
        from reprise.provider_accounts where account = $1`,
    })
    const { refusing = null, credits = null, concurrency = null, old = false } = rows[0] ?? {}
    const provider = registry.all.find((one) => one.account === account)
    if (old && provider?.credits) void refresh(provider)
    // Yesterday's balance says nothing about today's: unknown until it is told anew.
    const status = { refusing, credits: old ? null : credits, concurrency }
    known.set(account, { status, at: performance.now() })
    return status
  }

  async function refresh(provider: Provider): Promise<void> {
    try {
      // Claimed first, so that many processes ask once a minute in all.
      const { rowCount } = await db.query(
        `update reprise.provider_accounts set credits_at = reprise.now(), credits = null
         where account = $1 and (credits_at is null or credits_at < reprise.now() - $2 * interval '1 millisecond')`,
        [provider.account, CREDITS_EVERY_MS],
      )
      if (rowCount === 0) return
      const told = await provider.credits!(AbortSignal.timeout(10_000))
      await db.query(
        'update reprise.provider_accounts set credits = $2, concurrency = coalesce($3, concurrency) where account = $1',
        [provider.account, told?.amount ?? null, told?.concurrency ?? null],
      )
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

    /** Makes the accounts known. */
    async register(): Promise<void> {
      for (const { account, descriptor } of registry.all) {
        await db.query('insert into reprise.provider_accounts (account, provider) values ($1, $2) on conflict do nothing', [account, descriptor.id])
      }
    },

    /** For workers, again and again: an account's own limit on tasks at once grows and shrinks, also while nobody asks for anything. */
    followLimits(): void {
      for (const provider of registry.all) if (provider.descriptor.concurrency !== null && provider.credits) void refresh(provider)
    },

    /**
     * For workers, again and again: gives waiting work of an account that no live worker has any more (a replaced key,
     * an API process that still has the old one) to ours. Two workers with different keys leave each other's work.
     * Rows that somebody holds at this moment are left for the next time.
     */
    async adopt(): Promise<void> {
      for (const { account, descriptor } of registry.all) {
        const { rowCount } = await db.query({
          name: 'adopt_waiting', values: [account, descriptor.id],
          text: `with waiting as materialized (
              select g.id from reprise.provider_accounts a
              join reprise.generations g on g.account = a.account and g.provider = a.provider and g.dispatch_at is not null
              where a.provider = $2 and a.account <> $1 and not exists (
                select from reprise.nodes n where a.account = any (n.accounts) and n.round_at > reprise.now() - interval '${NODE_LIVES}')
              limit ${ADOPT_AT_ONCE} for update of g skip locked
            )
            update reprise.generations g set account = $1 from waiting where g.id = waiting.id`,
        })
        if (rowCount > 0) logger.info({ account, count: rowCount }, 'waiting work of an account that no worker has was adopted')
      }
    },
  }
}
