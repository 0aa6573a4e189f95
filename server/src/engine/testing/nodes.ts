import { randomUUID } from 'node:crypto'
import { settleMoves } from '../../features/ledger/ledger.listener.ts'
import { createDatabase, type Database, type Queryable } from '../../database/pool.ts'
import { createLogger } from '../../kernel/logger.ts'
import { sha256Hex } from '../../kernel/ids.ts'
import { createStore, type MoveListener, type Store } from '../store.ts'
import { createWaker } from '../wake.ts'
import { POLICY } from './records.ts'

/** Several nodes of Reprise on one database, each with connections of its own, and ways to make them fail. */

export const LEASE_MS = 10_000
const silent = createLogger({ level: 'silent' })

export interface Node extends AsyncDisposable {
  name: string
  db: Database
  store: Store
  /** The connection of the next transaction that writes a move is killed before it commits. */
  dieBeforeCommit(): void
  /** The next transaction commits, and its answer is lost. */
  loseCommit(): void
}

export function createNode(url: string, name = `node-${randomUUID().slice(0, 8)}`, listeners: MoveListener[] = []): Node {
  const db = createDatabase({ url, max: 4, applicationName: name, logger: silent })
  let dying = 0
  let losing = 0
  const dies: MoveListener = async (tx) => {
    if (dying > 0 && dying-- > 0) await tx.query('select pg_terminate_backend(pg_backend_pid())')
  }
  const fragile: Database = {
    ...db,
    async transaction(fn, options) {
      const result = await db.transaction(fn, options)
      if (losing > 0 && losing-- > 0) throw new Error('Connection terminated unexpectedly')
      return result
    },
  }
  const waker = createWaker({ db, node: name, logger: silent })
  const store = createStore({
    db: fragile, node: name, waker, logger: silent, policyOf: () => POLICY, leaseMs: LEASE_MS, listeners: [settleMoves, ...listeners, dies],
  })
  return {
    name, db, store,
    dieBeforeCommit: () => void dying++,
    loseCommit: () => void losing++,
    async [Symbol.asyncDispose]() {
      await waker.stop()
      await db.close()
    },
  }
}

/** A user with tokens. */
export async function newUser(db: Queryable, tokens = 1_000): Promise<string> {
  const user = randomUUID()
  await db.query('select reprise.open_wallet($1)', [user])
  if (tokens > 0) {
    await db.query(
      `insert into reprise.ledger_transfers (user_id, kind, from_account, to_account, amount, reason, actor)
       values ($1, 'grant', 'grants', 'available', $2, 'a test', 'operator')`,
      [user, tokens],
    )
  }
  return user
}

export async function newAccount(db: Queryable): Promise<string> {
  const account = `suno/${randomUUID().slice(0, 8)}`
  await db.query("insert into reprise.provider_accounts (account, provider) values ($1, 'suno')", [account])
  return account
}

export interface Accepted {
  outcome: 'accepted' | 'replayed' | 'key_reused' | 'in_progress' | 'insufficient' | 'queue_full'
  generation_id: string | null
  required: number | null
  available: number | null
  retry_after_sec: number | null
}

export interface Request {
  userId: string
  account: string
  key?: string
  body?: string
  waitForTwin?: boolean
  results?: number
  perItem?: number
  deadlineSec?: number
  startsPerSec?: number
  urgency?: string
}

export async function accept(db: Queryable, request: Request): Promise<Accepted> {
  const { userId, account, key = null, body = 'a song', waitForTwin = true, results = 2, perItem = 5, deadlineSec = 600, startsPerSec, urgency = 'interactive' } = request
  const { rows } = await db.query<Accepted>('select * from reprise.accept_generation($1)', [JSON.stringify({
    id: randomUUID(), userId, provider: 'suno', account, kind: 'song', origin: 'api', urgency, request: { kind: 'song', prompt: body },
    cost: perItem * results, resultCount: results, deadlineSec, watchSec: 14 * 86_400, regeneratedFrom: null,
    route: 'POST /api/generations', key, keySeconds: 86_400, bodyHash: sha256Hex(body), waitForTwin, perItem, startsPerSec: startsPerSec ?? null,
  })])
  return rows[0]!
}

export async function wallet(db: Queryable, user: string): Promise<{ available: number; held: number }> {
  const { rows } = await db.query<{ available: number; held: number }>('select available, held from reprise.wallets where user_id = $1', [user])
  return rows[0]!
}
