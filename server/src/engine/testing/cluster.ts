import { randomUUID } from 'node:crypto'
import type { Database } from '../../database/pool.ts'
import { isTransient } from '../../database/transient.ts'
import type { ProviderErrorCode } from '../../kernel/errors.ts'
import { sha256Hex } from '../../kernel/ids.ts'
import type { Snapshot } from '../../providers/provider.ts'
import { dueStep } from '../due.ts'
import { takeSlots } from '../rate.ts'
import { isFinal, type Evidence, type GenerationRecord } from '../state.ts'
import type { Knock, Outcome } from '../store.ts'
import { accept, LEASE_MS, newAccount, newUser, wallet, type Node } from './nodes.ts'
import { fileOf, problem, snapshot, song } from './records.ts'

/**
 * A few generations of a few users, looked after by several nodes at once on a real database, while connections are
 * killed, answers to commits are lost, leases lapse and workers vanish. Numbers choose what happens.
 */

interface Task {
  stage: number
  fate: 'succeeds' | 'fails' | 'fails_with_file' | 'never'
}

interface Submitter {
  node: Node
  generationId: string
  attemptId: string
  fence: number
}

const LIMITS = { rate: { count: 20, windowMs: 10_000 }, concurrency: null }
const REFUSALS: ProviderErrorCode[] = ['rate_limited', 'transient', 'no_credits', 'content_policy']

export class Cluster {
  knocks = 0
  fenced = 0
  kills = 0
  /** Evidence that a stale lease brought: none of it may leave a trace. */
  readonly fencedCauses: string[] = []
  readonly ids: string[] = []
  private readonly nodes: Node[]
  private readonly db: Database
  private readonly clock: { offset: number }
  private readonly tasks = new Map<string, Task & { attemptId: string; generationId: string }>()
  private readonly posted: { attemptId: string; generationId: string }[] = []
  private readonly submitters: Submitter[] = []
  private readonly users: string[] = []
  /** Workers that stand still between finding something out and telling it. */
  private readonly slow: (() => Promise<unknown>)[] = []
  /** The newest fence given out for each generation and result, by id. */
  private readonly fences = new Map<string, number>()
  private account = ''
  /** After a commit whose answer was lost, evidence may be written and then be told once more, and be stale by then. */
  private commitsLost = false
  private calm = false

  constructor(db: Database, nodes: Node[], clock: { offset: number }) {
    this.db = db
    this.nodes = nodes
    this.clock = clock
  }

  async begin(generations: number): Promise<void> {
    this.account = await newAccount(this.db)
    for (let place = 0; place < 2; place++) this.users.push(await newUser(this.db, 100))
    for (let place = 0; place < generations; place++) {
      const { generation_id } = await accept(this.db, {
        userId: this.users[place % 2]!, account: this.account, results: 1 + (place % 3), urgency: place % 2 ? 'batch' : 'interactive',
      })
      this.ids.push(generation_id!)
    }
  }

  /** What some workers do at the same moment. */
  async wave(choices: number[]): Promise<void> {
    await Promise.all(choices.map((choice) => this.act(choice)))
  }

  private async act(choice: number): Promise<void> {
    const bits = choice >>> 4
    const node = this.nodes[bits % this.nodes.length]!
    const more = bits >>> 2
    switch (choice & 15) {
      case 0: case 1: return this.dispatch(node, more)
      case 2: case 3: case 4: return this.submit(more)
      case 5: case 6: return this.attend(node, more)
      case 7: case 8: return this.callback(node, more)
      case 9: case 10: return this.save(node, more)
      case 11: return this.user(node, more)
      case 12: return this.pass([500, 2_000, 5_000, LEASE_MS + 1_000, 45_000, 95_000, 500, (more & 0x1c0) === 0 ? 600_000 : 500][more & 7]!)
      case 13: return this.fault(node, more)
      case 14: return void (await this.slow.shift()?.())
      default: return this.progress(more)
    }
  }

  private async dispatch({ store }: Node, bits: number): Promise<void> {
    const outcomes = await this.survive(() => store.applyPicked(async (tx) => {
      const { ids } = await takeSlots(tx, this.account, 2, LIMITS)
      return ids.map((id): Knock => {
        const attemptId = randomUUID()
        return { generationId: id, cause: 'dispatcher', evidence: { kind: 'slot', attemptId, tokenHash: sha256Hex(attemptId), adapter: 'suno', account: this.account } }
      })
    }))
    const node = this.nodes.find((candidate) => candidate.store === store)!
    for (const outcome of outcomes ?? []) {
      if (outcome.kind !== 'applied' || outcome.move.decision.move !== 'slot') continue
      const { generation, attempts } = outcome.move.decision.after
      this.fences.set(generation.id, outcome.fence)
      if (this.lives(bits)) this.submitters.push({ node, generationId: generation.id, attemptId: attempts.at(-1)!.id, fence: outcome.fence })
    }
  }

  private async submit(bits: number): Promise<void> {
    const worker = this.submitters.shift()
    if (!worker) return
    const { node, generationId, attemptId, fence } = worker
    const sending = await this.tell(node, { generationId, evidence: { kind: 'sending', attemptId }, lease: { fence } })
    const mine = sending?.kind === 'applied' && sending.move.decision.after.generation.state === 'submitting'
    if (!mine || sending.move.decision.after.attempts.at(-1)?.state !== 'sent' || !this.lives(bits)) return
    const answer = this.post(generationId, attemptId, bits >>> 2)
    if (!this.lives(bits >>> 1)) return
    const told = await this.tell(node, { generationId, evidence: answer, lease: { fence } })
    if (told?.kind === 'fenced' && answer.kind !== 'unknown') await this.tell(node, { generationId, evidence: answer })
  }

  private post(generationId: string, attemptId: string, bits: number): Evidence {
    const outcome = this.calm ? bits & 3 : bits & 15
    if (outcome >= 12) return { kind: 'refused', attemptId, sent: outcome > 12, error: problem(REFUSALS[(bits >>> 4) & 3]!) }
    this.posted.push({ attemptId, generationId })
    if (outcome === 11) return { kind: 'unknown', attemptId, error: problem('transient') }
    const taskId = `t-${attemptId}`
    const fate = (['succeeds', 'succeeds', 'succeeds', 'fails', 'fails_with_file', 'never', 'succeeds', 'succeeds'] as const)[(bits >>> 4) & 7]!
    this.tasks.set(taskId, { stage: 0, fate, attemptId, generationId })
    return outcome <= 6 ? { kind: 'accepted', attemptId, taskId } : { kind: 'unknown', attemptId, error: problem('transient') }
  }

  private async attend(node: Node, bits: number): Promise<void> {
    const claimed = await this.survive(() => node.db.query<{ id: string; fence: number }>('select id, fence from reprise.claim_generations($1, 2, $2)', [node.name, LEASE_MS]))
    const rows = (claimed?.rows ?? []).filter(({ id }) => this.ids.includes(id))
    for (const { id, fence } of rows) this.fences.set(id, fence)
    if (rows.length === 0 || !this.lives(bits)) return
    const read = await this.survive(() => node.store.read(rows.map(({ id }) => id)))
    await Promise.all((read?.records ?? []).map(async (record) => {
      const fence = rows.find(({ id }) => id === record.generation.id)!.fence
      const evidence = this.findOut(record, read!.now, bits)
      if (this.lives(bits >>> 2)) await this.soonOrLater(bits >>> 5, () => this.tell(node, { generationId: record.generation.id, evidence, lease: { fence } }))
    }))
  }

  private findOut(record: GenerationRecord, now: number, bits: number): Evidence {
    const due = dueStep(record, now)
    if (due.step === 'idle') return { kind: 'looked' }
    if (due.step === 'grace_over') return { kind: 'grace_over', callbacksWork: (bits & 1) === 1 }
    if (due.step !== 'ask') return { kind: due.step }
    const { id: attemptId, taskId } = due.attempt
    const task = this.tasks.get(taskId!)
    if (!task || (!this.calm && bits & 16)) return { kind: 'unreachable', attemptId, error: problem('unavailable'), askedAt: now }
    return { kind: 'snapshot', attemptId, snapshot: describe(taskId!, task, record.generation.resultCount), askedAt: now }
  }

  private async callback(node: Node, bits: number): Promise<void> {
    const from = this.posted[bits % Math.max(1, this.posted.length)]
    if (!from) return
    const [taskId, task] = [...this.tasks].find(([, candidate]) => candidate.attemptId === from.attemptId) ?? [null, null]
    const claimed = task && bits & 8 ? describe(taskId!, task, 2) : null
    const hint: Evidence = { kind: 'hint', attemptId: from.attemptId, taskId: bits & 16 ? null : taskId, claimed }
    // Providers repeat themselves, also at the same moment and to another node.
    await Promise.all([node, this.nodes[0]!].slice(0, bits & 32 ? 2 : 1).map((at) => this.tell(at, { generationId: from.generationId, evidence: hint })))
  }

  private async save(node: Node, bits: number): Promise<void> {
    const claimed = await this.survive(() => node.db.query<{ id: string; fence: number; generation_id: string; source_url: string }>(
      'select id, fence, generation_id, source_url from reprise.claim_results($1, 3, $2)', [node.name, LEASE_MS],
    ))
    const rows = (claimed?.rows ?? []).filter(({ generation_id }) => this.ids.includes(generation_id))
    for (const { id, fence } of rows) this.fences.set(id, fence)
    await Promise.all(rows.map(async ({ id, fence, generation_id, source_url }, place) => {
      if (!this.lives(bits >>> place)) return
      const outcome = this.calm ? 0 : (bits >>> (3 + place)) & 7
      const evidence: Evidence = outcome < 6
        ? { kind: 'stored', resultId: id, file: fileOf(source_url) }
        : { kind: 'unsaved', resultId: id, code: 'download_failed', detail: 'no', final: outcome === 7 }
      await this.soonOrLater(bits >>> (6 + place), () => this.tell(node, { generationId: generation_id, evidence, resultLease: { resultId: id, fence } }))
    }))
  }

  private async user(node: Node, bits: number): Promise<void> {
    const generationId = this.ids[bits % this.ids.length]!
    const kinds = ['recheck', 'redownload', 'recheck', 'cancel'] as const
    if (bits & 32) await this.tell(node, { generationId, evidence: { kind: 'wake' } })
    else await this.tell(node, { generationId, evidence: { kind: kinds[(bits >>> 3) & 3]!, by: 'user' } })
  }

  private async pass(ms: number): Promise<void> {
    this.clock.offset += Math.ceil(ms)
    await Promise.all([this.db, ...this.nodes.map(({ db }) => db)].map((db) => db.setClockOffset(this.clock.offset)))
  }

  private async fault(node: Node, bits: number): Promise<void> {
    if (bits & 1) node.dieBeforeCommit()
    else if (bits & 2) {
      this.commitsLost = true
      node.loseCommit()
    } else {
      this.commitsLost = true
      const { rowCount } = await this.db.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where application_name = any ($1) and xact_start is not null order by random() limit 1`,
        [this.nodes.map(({ name }) => name)],
      )
      this.kills += rowCount
    }
  }

  private async progress(bits: number): Promise<void> {
    const task = [...this.tasks.values()][bits % Math.max(1, this.tasks.size)]
    if (task) task.stage = Math.min(task.fate === 'never' ? 1 : 3, task.stage + 1 + (bits & 1))
  }

  private lives(bits: number): boolean {
    return this.calm || (bits & 7) !== 0
  }

  private async soonOrLater(bits: number, tell: () => Promise<unknown>): Promise<void> {
    if (this.calm || (bits & 3) !== 0) await tell()
    else this.slow.push(tell)
  }

  private async tell(node: Node, knock: Omit<Knock, 'cause'>): Promise<Outcome | null> {
    const { generationId, lease, resultLease } = knock
    const stale = (lease && lease.fence < (this.fences.get(generationId) ?? 0)) || (resultLease && resultLease.fence < (this.fences.get(resultLease.resultId) ?? 0))
    const cause = `k${++this.knocks}`
    const apply = () => node.store.apply({ ...knock, cause })
    // A patient worker offers it again, until the database takes it.
    const outcome = (await this.survive(apply)) ?? (await this.survive(apply))
    if (stale && outcome?.kind === 'applied') throw new Error(`a stale lease wrote ${knock.evidence.kind}`)
    if (outcome?.kind === 'fenced') {
      this.fenced++
      if (!this.commitsLost) this.fencedCauses.push(cause)
    }
    if (outcome?.kind === 'missing') throw new Error('a generation is gone')
    return outcome
  }

  /** Null when the connection broke; anything else that fails is a failure of ours. */
  private async survive<T>(work: () => Promise<T>): Promise<T | null> {
    try {
      return await work()
    } catch (error) {
      if (isTransient(error)) return null
      throw error
    }
  }

  /** Nothing goes wrong any more; time passes until all is done. */
  async drain(): Promise<void> {
    this.calm = true
    await Promise.all(this.slow.splice(0).map((tell) => tell()))
    for (let left = 300; left > 0; left--) {
      const [first, second] = [this.nodes[left % this.nodes.length]!, this.nodes[(left + 1) % this.nodes.length]!]
      await Promise.all([this.dispatch(first, 1), this.attend(second, left), this.save(first, 1)])
      while (this.submitters.length) await this.submit(left)
      for (const task of this.tasks.values()) task.stage = Math.min(task.fate === 'never' ? 1 : 3, task.stage + 1)
      const { rows } = await this.db.query<{ ms: number | null }>(
        `select extract(epoch from min(t) - reprise.clock())::float8 * 1000 as ms from (
           select greatest(g.next_at, g.lease_until) as t from reprise.generations g
             where id = any ($1) and exists (select from reprise.hold_items h where h.generation_id = g.id and h.state = 'open')
           union all select greatest(next_at, lease_until) from reprise.results where generation_id = any ($1) and next_at is not null
           union all select dispatch_at from reprise.generations where id = any ($1) and dispatch_at is not null and deadline_at > reprise.clock()) due`,
        [this.ids],
      )
      const wait = rows[0]!.ms
      if (wait === null) return
      // After a while whoever still waits for a provider that never answers is brought to the deadline.
      if (wait > 0) await this.pass(left > 288 ? wait + 1 : wait + 200_000)
    }
    const { records } = await this.nodes[0]!.store.read(this.ids)
    throw new Error(`it never comes to rest: ${JSON.stringify(records)}`)
  }

  /** What must be true at the end, as sentences that are not. */
  async broken(): Promise<string[]> {
    const wrong: string[] = []
    const { records } = await this.nodes[0]!.store.read(this.ids)
    for (const { generation, results } of records) {
      if (!isFinal(generation.state)) wrong.push(`${generation.id} is ${generation.state}`)
      for (const result of results.filter(({ role }) => role === 'final')) {
        if (result.settled === null) wrong.push(`a result of ${generation.id} is not settled`)
        if (result.settled === 'kept' && result.state !== 'stored') wrong.push(`paid for a result of ${generation.id} that is ${result.state}`)
      }
    }
    const violations = await this.db.query('select promise, generation_id from reprise.ledger_violations')
    for (const row of violations.rows) wrong.push(`${row.promise} ${row.generation_id}`)
    for (const user of this.users) {
      const { available, held } = await wallet(this.db, user)
      if (available < 0 || held !== 0) wrong.push(`a wallet has ${available} and holds ${held}`)
    }
    const { rows: fencedEvents } = await this.db.query('select type from reprise.events where generation_id = any ($1) and cause = any ($2)', [this.ids, this.fencedCauses])
    for (const { type } of fencedEvents) wrong.push(`a stale lease wrote ${type}`)
    return [...wrong, ...(await this.brokenTimelines())]
  }

  private async brokenTimelines(): Promise<string[]> {
    const wrong: string[] = []
    const order = ['queued', 'submitting', 'generating', 'previewing', 'saving']
    const rank = (state: string) => (order.includes(state) ? order.indexOf(state) : order.length)
    const { rows } = await this.db.query<{ generation_id: string; type: string; state: string; at: Date }>(
      'select generation_id, type, state, at from reprise.events where generation_id = any ($1) order by generation_id, id', [this.ids],
    )
    for (const id of this.ids) {
      const events = rows.filter(({ generation_id }) => generation_id === id)
      let reason = true
      for (const [place, { type, state, at }] of events.entries()) {
        const before = events[place - 1]
        if (before && rank(state) < rank(before.state)) wrong.push(`the timeline of ${id} goes back from ${before.state} to ${state}`)
        if (before && rank(before.state) === order.length && state !== before.state) wrong.push(`${id} was ${before.state} and became ${state}`)
        if (before && at < before.at) wrong.push(`the timeline of ${id} goes back in time`)
        if (['retry', 'blocked', 'never_sent', 'resubmit'].includes(type)) reason = true
        if (type !== 'slot') continue
        if (!reason) wrong.push(`${id} was submitted again without a reason`)
        reason = false
      }
    }
    return wrong
  }

  /** Leaves the ledger, takes the generations away, so that the next story is alone. */
  async end(): Promise<void> {
    await this.db.query('delete from reprise.generations where id = any ($1)', [this.ids])
  }
}

function describe(taskId: string, { stage, fate }: Task, count: number): Snapshot {
  const files = fate === 'succeeds' ? (stage >= 3 ? count : stage === 2 ? 1 : 0) : fate === 'fails_with_file' && stage >= 2 ? 1 : 0
  const songs = Array.from({ length: count }, (_, place) =>
    song(`${taskId}-${place}`, place < files ? `https://files/${taskId}-${place}` : null, { previewUrl: 'https://stream', coverUrl: place === 0 ? 'https://cover' : null }),
  )
  if (stage < 3 || fate === 'never') return snapshot(stage >= 1 ? 'partial' : 'running', stage >= 1 ? songs : [])
  return fate === 'succeeds' ? snapshot('succeeded', songs) : snapshot('failed', songs, problem('provider_failed'))
}
