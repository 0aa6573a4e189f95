import type { Database, Tx } from '../database/pool.ts'
import { isTransient } from '../database/transient.ts'
import { createBatcher } from '../kernel/batcher.ts'
import { jsonForDatabase } from '../kernel/json.ts'
import type { Logger } from '../kernel/logger.ts'
import { noCrash, type Crash } from './crash.ts'
import { decide, type Decision } from './decide.ts'
import { armedAt } from './due.ts'
import { attemptRow, generationRow, readRecord, resultRow, type RecordRow } from './record-rows.ts'
import type { Evidence, GenerationRecord, Policy } from './state.ts'
import type { Topic, Waker } from './wake.ts'

/** One piece of evidence for one generation, and what stands behind it. */
export interface Knock {
  generationId: string
  evidence: Evidence
  /** Who found out: request, callback, poll, sweep, worker, user. */
  cause: string
  /** The lease under which a worker found out. A stale fence writes nothing. */
  lease?: { fence: number }
  resultLease?: { resultId: string; fence: number }
}

/** A move as its followers see it: money, tracks and the seeds' tables change in its transaction. */
export interface AppliedMove {
  decision: Decision
  cause: string
  /** Database time of the move, epoch ms. */
  at: number
}

/** Follows moves inside their transaction; what it returns runs after the commit (logs, metrics), never before. */
export type MoveListener = (tx: Tx, moves: AppliedMove[]) => Promise<void | (() => void)>

export type Outcome = { kind: 'applied'; move: AppliedMove; fence: number } | { kind: 'fenced' } | { kind: 'missing' }

interface Locked {
  record: GenerationRecord
  fence: number
  resultFences: Map<string, number>
  lease: 'keep' | 'release' | 'take'
  fenceStep: number
  changed: boolean
}

const MOST_PER_BATCH = 64
/** Flushes at once: one transaction waits for its commit while the next is filled. */
const LANES = 2

/**
 * The only writer of the life of a generation. Evidence that arrives while a transaction is under way is decided
 * and written together in the next one: an idle system answers at once, a busy one commits in batches.
 */
export function createStore(deps: {
  db: Database
  node: string
  waker: Waker
  logger: Logger
  policyOf: (provider: string) => Policy
  leaseMs: number
  listeners: MoveListener[]
  crash?: Crash
}) {
  const { db, waker, logger, policyOf, crash = noCrash } = deps
  const apply = createBatcher<Knock, Outcome>({
    together: (knocks) => write(knocks),
    alone: async (knock) => (await write([knock]))[0]!,
    // While the database is away each knock is offered again by who has it, not here one after the other.
    undone(error) {
      if (isTransient(error)) return false
      logger.warn({ err: error }, 'a batch of moves failed, trying one by one')
      return true
    },
    most: MOST_PER_BATCH,
    lanes: LANES,
    keyOf: (knock) => knock.generationId,
  })

  const write = (knocks: Knock[]): Promise<Outcome[]> => applyPicked(async () => knocks)

  /** Applies what `pick` chooses inside the same transaction (a dispatcher takes slots and gives them out at once). */
  async function applyPicked(pick: (tx: Tx) => Promise<Knock[]>): Promise<Outcome[]> {
    let after: (() => void)[] = []
    const result = await db.transaction(async (tx) => {
      after = []
      const knocks = await pick(tx)
      if (knocks.length === 0) return { outcomes: [], topics: new Set<Topic>() }
      const applied = await applyIn(tx, knocks, after)
      await crash('before_commit')
      return applied
    })
    if (result.outcomes.length) await crash('after_commit')
    waker.wake(result.topics)
    after.forEach((run) => run())
    return result.outcomes
  }

  async function applyIn(tx: Tx, knocks: Knock[], after: (() => void)[]) {
    const { locked, now } = await load(tx, [...new Set(knocks.map((knock) => knock.generationId))])
    const outcomes: Outcome[] = []
    const moves: AppliedMove[] = []
    for (const knock of knocks) {
      const at = locked.get(knock.generationId)
      if (!at) outcomes.push({ kind: 'missing' })
      else if (isStale(at, knock)) {
        outcomes.push({ kind: 'fenced' })
        logger.info({ generationId: knock.generationId, evidence: knock.evidence.kind }, 'taken over by another worker meanwhile: nothing was written')
      }
      else {
        const move: AppliedMove = { decision: decide(at.record, knock.evidence, now, policyOf(at.record.generation.provider)), cause: knock.cause, at: now }
        take(at, knock, move.decision)
        moves.push(move)
        outcomes.push({ kind: 'applied', move, fence: at.fence + at.fenceStep })
      }
    }
    if (moves.length) {
      await save(tx, locked, moves, now)
      for (const listener of deps.listeners) {
        const then = await listener(tx, moves)
        if (then) after.push(then)
      }
    }
    return { outcomes, topics: topicsOf(locked, moves, now) }
  }

  async function load(tx: Tx, ids: string[]): Promise<{ locked: Map<string, Locked>; now: number }> {
    const { rows } = await tx.query<RecordRow>({
      name: 'load_records', text: 'select * from reprise.load_records($1)', values: [ids],
    })
    const locked = new Map(rows.map((row): [string, Locked] => [row.generation.id, {
      record: readRecord(row), fence: row.generation.fence, resultFences: new Map(row.results.map((result) => [result.id, result.fence])),
      lease: 'keep', fenceStep: 0, changed: false,
    }]))
    return { locked, now: rows[0]?.now_ms ?? 0 }
  }

  async function save(tx: Tx, locked: Map<string, Locked>, moves: AppliedMove[], now: number): Promise<void> {
    const first = new Map<string, GenerationRecord>()
    for (const { decision } of moves) {
      const id = decision.before.generation.id
      if (!first.has(id)) first.set(id, decision.before)
    }
    const generations: unknown[] = []
    const attempts: unknown[] = []
    const results: unknown[] = []
    for (const [id, at] of locked) {
      if (!at.changed) continue
      const before = first.get(id)!
      generations.push(generationRow(at.record.generation, {
        next_at: armedAt(at.record), changed_at: now, fence_step: at.fenceStep, lease: at.lease, lease_owner: deps.node, lease_until: now + deps.leaseMs,
      }))
      for (const attempt of at.record.attempts) if (!before.attempts.includes(attempt)) attempts.push(attemptRow(id, attempt))
      for (const result of at.record.results) if (!before.results.includes(result)) results.push(resultRow(id, result))
    }
    const events = moves.flatMap(({ decision, cause }) => decision.events.map((event) => ({
      generation_id: decision.after.generation.id, user_id: decision.after.generation.userId, at: now, type: event.type,
      state: decision.after.generation.state, attempt: event.attempt, cause, data: event.data,
    })))
    const outbox = moves.flatMap(({ decision }) => decision.outgoing)
    await tx.query({
      name: 'write_records', text: 'select reprise.write_records($1, $2, $3, $4, $5)',
      values: [generations, attempts, results, events, outbox].map(jsonForDatabase),
    })
  }

  /** Reads without locking; `now` is the database's time, epoch ms. */
  async function read(ids: string[]): Promise<{ records: GenerationRecord[]; now: number }> {
    const { rows } = await db.query<RecordRow>({ name: 'read_records', text: 'select * from reprise.read_records($1)', values: [ids] })
    return { records: rows.map(readRecord), now: rows[0]?.now_ms ?? 0 }
  }

  return { apply, applyPicked, read }
}

export type Store = ReturnType<typeof createStore>

function isStale(at: Locked, { lease, resultLease }: Knock): boolean {
  if (lease && lease.fence !== at.fence + at.fenceStep) return true
  return resultLease !== undefined && at.resultFences.get(resultLease.resultId) !== resultLease.fence
}

function take(at: Locked, knock: Knock, decision: Decision): void {
  at.record = decision.after
  at.changed ||= decision.move !== 'ignored' || knock.lease !== undefined
  if (decision.move === 'slot') {
    at.lease = 'take'
    at.fenceStep += 1
    return
  }
  // After `sending` the POST follows, also when it is told twice because the answer to a COMMIT was lost.
  const done = knock.lease !== undefined && knock.evidence.kind !== 'sending'
  // A callback named the task while the submit still waits for its answer: the task can be looked after at once.
  if (done || decision.move === 'adopted') at.lease = 'release'
}

function topicsOf(locked: Map<string, Locked>, moves: AppliedMove[], now: number): Set<Topic> {
  const topics = new Set<Topic>()
  if (moves.length) topics.add('events')
  for (const { record } of locked.values()) {
    if (record.generation.dispatchAt !== null && record.generation.dispatchAt <= now) topics.add('dispatch')
    if (record.generation.checkAt !== null && record.generation.checkAt <= now) topics.add('attend')
    if (record.results.some((result) => result.nextAt !== null && result.nextAt <= now)) topics.add('save')
  }
  if (moves.some(({ decision }) => decision.outgoing.length)) topics.add('outbox')
  return topics
}
