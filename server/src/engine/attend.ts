import type { Database } from '../database/pool.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Registry } from '../providers/registry.ts'
import type { Attempt, Evidence, GenerationRecord } from './state.ts'
import type { Crash } from './crash.ts'
import { dueStep } from './due.ts'
import type { PatientKnock } from './knock.ts'
import type { Leases } from './leases.ts'
import { createLoop } from './loop.ts'
import type { Store } from './store.ts'

interface Deps {
  db: Database
  store: Store
  knock: PatientKnock
  registry: Registry
  leases: Leases
  /** Takes over waiting work that nobody else will send. */
  adopt: () => Promise<void>
  /** Looks up what accounts allow; answers at once. */
  followLimits: () => void
  node: string
  leaseMs: number
  crash: Crash
  logger: Logger
  atOnce?: number
}

/** A provider account whose callbacks arrived within this time is believed when it stays silent. */
const CALLBACKS_SEEN_WITHIN = '24 hours'

/**
 * Looks after every generation whose time has come: asks the provider, ends graces and deadlines, takes over what a
 * dead worker left. This is poll, safety net and sweep in one: a row that is due is claimed, whoever wrote it.
 */
export function createAttendant(deps: Deps) {
  const { db, store, knock, registry, leases, adopt, followLimits, node, leaseMs, crash, logger, atOnce = 64 } = deps
  const busy = new Set<Promise<void>>()
  const stopping = new AbortController()

  async function round(): Promise<'more' | 'done'> {
    const room = atOnce - busy.size
    if (room <= 0) return 'done'
    const { rows } = await db.query<{ id: string; fence: number }>({
      name: 'claim_generations', text: 'select id, fence from reprise.claim_generations($1, $2, $3)', values: [node, room, leaseMs],
    })
    if (rows.length) {
      const { records, now } = await store.read(rows.map((row) => row.id))
      const fences = new Map(rows.map((row) => [row.id, row.fence]))
      for (const record of records) {
        const work = attend(record, fences.get(record.generation.id)!, now)
          .catch((error) => logger.error({ err: error, generationId: record.generation.id }, 'attending broke off; the lease lapses'))
          .finally(() => {
            busy.delete(work)
            if (busy.size === atOnce - 1) loop.wake()
          })
        busy.add(work)
      }
    }
    await stamp()
    return rows.length === room ? 'more' : 'done'
  }

  async function attend(record: GenerationRecord, fence: number, now: number): Promise<void> {
    const { id: generationId, provider, account } = record.generation
    const repeatable = registry.find(provider)?.descriptor.repeatable === true
    const due = dueStep(record, now)
    const tell = (evidence: Evidence) => knock({ generationId, evidence, cause: due.step === 'ask' ? 'poll' : 'sweep', lease: { fence } })
    const letGo = leases.hold('generation', generationId, fence)
    try {
      switch (due.step) {
        case 'ask':
          return void (await tell(await ask(due.attempt, now)))
        case 'grace_over':
          return void (await tell({ kind: 'grace_over', callbacksWork: await callbacksWork(account), repeatable }))
        case 'lease_lost':
          return void (await tell({ kind: 'lease_lost', repeatable }))
        case 'idle':
          return void (await tell({ kind: 'looked' }))
        default:
          return void (await tell({ kind: due.step }))
      }
    } finally {
      letGo()
    }
  }

  async function ask(attempt: Attempt, askedAt: number): Promise<Evidence> {
    await crash('before_check')
    const provider = registry.forAttempt(attempt.provider, attempt.account)
    if (!provider) {
      return { kind: 'unreachable', attemptId: attempt.id, askedAt, error: { code: 'provider_auth', detail: `no key is configured for ${attempt.provider}` } }
    }
    const outcome = await provider.check(attempt.taskId!, stopping.signal)
    await crash('after_check')
    // Cut short by our own stop, which says nothing about the provider.
    if (stopping.signal.aborted && outcome.kind === 'unreachable') return { kind: 'looked' }
    if (outcome.kind === 'unreachable') return { kind: 'unreachable', attemptId: attempt.id, error: outcome.error, askedAt }
    return { kind: 'snapshot', attemptId: attempt.id, snapshot: outcome.snapshot, askedAt }
  }

  async function callbacksWork(account: string): Promise<boolean> {
    const { rows } = await db.query<{ works: boolean }>(
      `select last_valid_callback_at > reprise.now() - interval '${CALLBACKS_SEEN_WITHIN}' as works from reprise.provider_accounts where account = $1`,
      [account],
    )
    return rows[0]?.works === true
  }

  let stampedAt = -Infinity
  /** One row per process and a few seconds: the heartbeat of everything that is armed. */
  async function stamp(): Promise<void> {
    if (performance.now() - stampedAt < 5_000) return
    stampedAt = performance.now()
    await db.query(
      `insert into reprise.nodes (node, role, started_at, round_at, accounts) values ($1, 'worker', reprise.now(), reprise.now(), $2)
       on conflict (node) do update set round_at = excluded.round_at, accounts = excluded.accounts`,
      [node, registry.all.map((provider) => provider.account)],
    )
    followLimits()
    await adopt()
  }

  const loop = createLoop('attend', 1_000, round, logger)
  return {
    ...loop,
    async stop(): Promise<void> {
      stopping.abort()
      await loop.stop()
      await Promise.allSettled(busy)
      // Whoever comes next need not wait until we count as gone.
      await db.query(`update reprise.nodes set accounts = '{}' where node = $1`, [node]).catch(() => undefined)
    },
  }
}
