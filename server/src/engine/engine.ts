import type { Database } from '../database/pool.ts'
import { isLasting } from '../database/transient.ts'
import type { Ids } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Registry } from '../providers/registry.ts'
import type { BlobStore } from '../storage/blob-store.ts'
import { createAccountWatch } from './accounts.ts'
import { createAttendant } from './attend.ts'
import { createBreaker } from './breaker.ts'
import { createCallbackDoor } from './callbacks.ts'
import { noCrash, type Crash } from './crash.ts'
import { createDispatcher } from './dispatch.ts'
import { createHealer } from './heal.ts'
import { createPatientKnock } from './knock.ts'
import { createLeases } from './leases.ts'
import { createOutbox, type Effect } from './outbox.ts'
import type { Wanted } from './obtain.ts'
import { createSaver, type SaveJob, type Verified } from './save.ts'
import type { Policy } from './state.ts'
import { createStore, type MoveListener } from './store.ts'
import { createWaker } from './wake.ts'

export interface EngineDeps {
  db: Database
  /** Name of this process, unique among all that share the database. */
  node: string
  registry: Registry
  blobs: BlobStore
  listeners: MoveListener[]
  obtain: (wanted: Wanted, signal: AbortSignal) => Promise<Verified>
  placeOf: (job: SaveJob) => string
  /** Throws when the store itself is not there, in which every file would seem to be missing. */
  storeIsThere?: () => Promise<void>
  callbackUrl: (provider: string, token: string) => string | null
  graceMs: number
  leaseMs?: number
  ids: Ids
  crash?: Crash
  logger: Logger
  /** More effects of the outbox, by topic. */
  effects?: Record<string, Effect>
}

/** How long a stopping process goes on offering what it found out to a database that does not take it. */
const STOP_PATIENCE_MS = 10_000

const DEFAULT_POLICY = { firstPollMs: 30_000, pollMs: 15_000, pollMaxMs: 45_000 }

/** The life of generations: one store that decides and writes, and the loops that find things out for it. */
export function createEngine(deps: EngineDeps) {
  const { db, node, registry, logger, ids, blobs, leaseMs = 10_000, crash = noCrash } = deps
  const waker = createWaker({ db, node, logger })
  const policyOf = (provider: string): Policy => ({ ...DEFAULT_POLICY, ...registry.find(provider)?.descriptor, graceMs: deps.graceMs })
  const store = createStore({ db, node, waker, logger, policyOf, leaseMs, listeners: deps.listeners, crash })
  const { knock, hurry } = createPatientKnock({ store, isLasting, logger })
  const leases = createLeases({ db, leaseMs, logger })
  const accounts = createAccountWatch({ db, registry, logger })
  const breaker = createBreaker({ db, logger })
  const door = createCallbackDoor({ db, store, registry, logger })

  const dispatcher = createDispatcher({ store, knock, registry, leases, breaker, blobs, ids, crash, logger, callbackUrl: deps.callbackUrl, wakeIfParked: door.wakeIfParked })
  const attendant = createAttendant({ db, store, knock, registry, leases, adopt: accounts.adopt, followLimits: accounts.followLimits, node, leaseMs, crash, logger })
  const saver = createSaver({ db, knock, leases, blobs, node, leaseMs, crash, logger, obtain: deps.obtain, placeOf: deps.placeOf })
  const outbox = createOutbox({ db, logger, effects: { 'provider.cancel': cancelAtProvider(registry), ...deps.effects } })
  const loops = { dispatch: dispatcher, attend: attendant, save: saver, outbox } as const

  return {
    store, door, accounts, waker, heal: createHealer({ db, blobs, obtain: deps.obtain, storeIsThere: deps.storeIsThere ?? (async () => undefined), ids, logger }),
    /** Follows wakes of other processes; needed by API processes too (live events). */
    async start(): Promise<void> {
      await waker.start()
      await accounts.register()
    },
    async startWorkers(): Promise<void> {
      for (const [topic, loop] of Object.entries(loops)) {
        waker.on(topic as keyof typeof loops, loop.wake)
        loop.start()
      }
    },
    /** Takes nothing new and waits for what is under way; what is not told in time is found by its lapsed lease. */
    async stop(): Promise<void> {
      hurry(STOP_PATIENCE_MS)
      await Promise.all(Object.values(loops).map((loop) => loop.stop()))
      leases.stop()
      await waker.stop()
    },
  }
}

const cancelAtProvider = (registry: Registry): Effect => async ({ provider, account, taskId }: { provider: string; account: string; taskId: string }) => {
  const answer = await registry.forAttempt(provider, account)?.cancel?.(taskId, AbortSignal.timeout(15_000))
  if (answer === 'unreachable') throw new Error('the provider could not be asked to cancel')
}
