import type { ProviderErrorCode } from '../../kernel/errors.ts'
import type { ProviderResult, Snapshot } from '../../providers/provider.ts'
import { decide, type Decision } from '../decide.ts'
import { armedAt, dueStep } from '../due.ts'
import { MOVES, type MoveRow } from '../moves.ts'
import { finals, latestAttempt } from '../record.ts'
import { isFinal, OPEN_STATES, type Evidence, type GenerationRecord, type GenerationState, type Policy } from '../state.ts'
import { fileOf, newRecord, POLICY, problem, song } from './records.ts'

/**
 * One generation in a pretend world: a provider whose tasks may or may not exist, a clock, workers that may die
 * between any two steps. Numbers choose what happens next; after every step the promises of the engine are checked,
 * and at the end the world is left alone until nothing moves any more. No database, no timers: milliseconds.
 */

type Fate = 'succeeds' | 'one_missing' | 'empty' | 'fails' | 'fails_with_file' | 'never'
const FATES: Fate[] = ['succeeds', 'succeeds', 'succeeds', 'one_missing', 'empty', 'fails', 'fails_with_file', 'never']

interface Task {
  id: string
  attemptId: string
  fate: Fate
  /** 0 queued, 1 running, 2 something can be heard, 3 one finished, 4 ended. */
  stage: number
  ids: 'told' | 'untold' | 'late'
}

interface Submitter {
  attemptId: string
  fence: number
  step: 'granted' | 'posting' | 'answered'
  answer: Evidence | null
}

interface Watcher {
  fence: number
  due: ReturnType<typeof dueStep>
  askedAt: number
  evidence: Evidence | null
}

interface Saver {
  resultId: string
  fence: number
  url: string
  staged: boolean
}

interface Told {
  evidence: Evidence
  lease?: { fence: number }
  resultLease?: { resultId: string; fence: number }
}

const LEASE_MS = 10_000
const FILE_IS_BAD = 7 << 3
const REFUSALS: ProviderErrorCode[] = ['rate_limited', 'transient', 'no_credits', 'content_policy', 'invalid_request', 'provider_auth']

export class World {
  record: GenerationRecord
  now: number
  policy: Policy = POLICY
  evidences = 0
  readonly moves = new Set<string>()
  readonly story: string[] = []
  readonly tasks: Task[] = []
  /** POSTs that may have started something at the provider. */
  private maybeRunning = 0
  private resubmits = 0
  private resubmitGranted = false
  private fence = 0
  private leaseUntil: number | null = null
  private resultFences = new Map<string, number>()
  private resultLeases = new Map<string, number>()
  private submitters: Submitter[] = []
  private watchers: Watcher[] = []
  private savers: Saver[] = []
  private posted: string[] = []
  private past: Told[] = []
  private reachable = true
  private readonly forgetful: boolean
  private bytesGiven = 0
  private callbacksWork = true
  private settledBy = new Map<number, 'kept' | 'lost'>()
  /** Something happened after which a finished file need not end here: the provider lied, or the file is bad for good. */
  private spoiled = false

  constructor(seed: number) {
    const results = 1 + (seed & 1)
    const urgency = seed & 2 ? 'interactive' : seed & 4 ? 'scheduled' : 'batch'
    this.record = newRecord({ results, generation: { urgency } })
    this.forgetful = (seed & 24) === 0
    this.now = this.record.generation.createdAt
  }

  // What can happen

  step(choice: number): void {
    const kind = choice & 31
    const bits = choice >>> 5
    switch (kind) {
      case 0: case 1: return this.grant()
      case 2: case 3: case 4: case 5: return this.submitterStep(bits)
      case 6: return this.die(this.submitters, bits >>> 1, bits & 1)
      case 7: return this.advance(bits & 24 ? 100 * (bits & 7) : [1_000, 5_000, 15_000, 60_000, 120_000, 400_000, 3_600_000, 50][bits & 7]!)
      case 8: return this.advance([200, 1_000, 5_000, 12_000][bits & 3]!)
      case 9: return this.round(bits)
      case 10: case 11: return this.claim()
      case 12: case 13: case 14: return this.watcherStep(bits)
      case 15: return this.die(this.watchers, bits >>> 1, bits & 1)
      case 16: case 17: return this.progress(bits)
      case 18: case 19: return this.callback(bits)
      case 20: return this.wakeWithoutToken(bits)
      case 21: return this.claimResult(bits)
      case 22: case 23: case 24: return this.saverStep(bits)
      case 25: return this.die(this.savers, bits >>> 1, bits & 1)
      case 26: return (bits & 7) === 0 ? void this.tell({ evidence: { kind: 'cancel', by: 'user' } }) : undefined
      case 27: return void this.tell({ evidence: { kind: bits & 1 ? 'recheck' : 'redownload', by: 'user' } })
      case 28: case 29: return this.repeat(bits)
      case 30: return void (bits & 1 ? (this.reachable = !!(bits & 2)) : (this.callbacksWork = !!(bits & 2)))
      default: return this.lapse(bits)
    }
  }

  private grant(): void {
    const { generation } = this.record
    if (generation.dispatchAt === null || generation.dispatchAt > this.now || generation.deadlineAt <= this.now) return
    const attemptId = `a${this.record.attempts.length + 1}`
    this.tell({ evidence: { kind: 'slot', attemptId, tokenHash: attemptId, adapter: 'suno', account: 'suno/1' } })
    if (latestAttempt(this.record)?.id === attemptId) this.submitters.push({ attemptId, fence: this.fence, step: 'granted', answer: null })
  }

  private submitterStep(bits: number): void {
    const worker = this.submitters[0]
    if (!worker) return
    const { attemptId, fence } = worker
    if (worker.step === 'granted') {
      const told = this.tell({ evidence: { kind: 'sending', attemptId }, lease: { fence } })
      const mine = told && told.after.generation.state === 'submitting' && told.after.attempts.at(-1)?.state === 'sent'
      if (mine) worker.step = 'posting'
      else this.submitters.shift()
    } else if (worker.step === 'posting') {
      worker.answer = this.post(attemptId, bits)
      worker.step = 'answered'
    } else {
      const told = this.tell({ evidence: worker.answer!, lease: { fence } })
      if (!told && worker.answer!.kind !== 'unknown') this.tell({ evidence: worker.answer! })
      this.submitters.shift()
    }
  }

  private post(attemptId: string, bits: number): Evidence {
    // Some providers often lose their answer: several attempts of one generation come to run.
    const outcome = this.forgetful && (bits & 15) < 12 ? 6 : bits & 15
    const more = bits >>> 4
    this.posted.push(attemptId)
    if (outcome <= 5) return { kind: 'accepted', attemptId, taskId: this.newTask(attemptId, more).id }
    if (outcome <= 8) {
      this.newTask(attemptId, more)
      return { kind: 'unknown', attemptId, error: problem('transient') }
    }
    if (outcome === 9) {
      this.maybeRunning++
      return { kind: 'unknown', attemptId, error: problem('transient') }
    }
    if (outcome === 10) {
      this.maybeRunning++
      const results = Array.from({ length: more % 4 }, (_, place) => ({
        stagedKey: `staged/${attemptId}/${place}`, mime: 'audio/mpeg', title: null, durationMs: 1_000,
      }))
      return { kind: 'finished', attemptId, results }
    }
    return { kind: 'refused', attemptId, sent: outcome !== 11, error: { ...problem(REFUSALS[more % REFUSALS.length]!, more & 8 ? 7_000 : undefined), ...((more & 48) === 48 && { final: true }) } }
  }

  private newTask(attemptId: string, bits: number): Task {
    this.maybeRunning++
    const task: Task = {
      id: `t${this.tasks.length}`, attemptId, fate: FATES[bits & 7]!, stage: 0, ids: (['told', 'told', 'untold', 'late'] as const)[(bits >>> 3) & 3]!,
    }
    this.tasks.push(task)
    return task
  }

  private die(workers: unknown[], bits: number, unlucky: number): void {
    if (unlucky && workers.length) workers.splice(bits % workers.length, 1)
  }

  private advance(ms: number): void {
    this.now += ms
    this.renew()
  }

  /** Living workers renew their leases in time. */
  private renew(): void {
    if ([...this.submitters, ...this.watchers].some(({ fence }) => fence === this.fence) && this.leaseUntil !== null) this.leaseUntil = this.now + LEASE_MS
    for (const { resultId, fence } of this.savers) {
      if (this.resultFences.get(resultId) === fence && this.resultLeases.has(resultId)) this.resultLeases.set(resultId, this.now + LEASE_MS)
    }
  }

  /** What happens when nobody dies and nothing goes wrong: the next due thing is done from its beginning to its end. */
  private round(bits: number): void {
    const next = this.nextTime()
    if (next === null) return
    if (next > this.now) this.advance(next - this.now)
    this.grant()
    for (const worker of [...this.submitters]) while (this.submitters.includes(worker)) this.submitterStep(bits)
    this.claim()
    for (const worker of [...this.watchers]) while (this.watchers.includes(worker)) this.watcherStep(bits - (bits % Math.max(1, this.watchers.length)))
  }

  private claim(): void {
    const due = armedAt(this.record)
    if (due === null || due > this.now || (this.leaseUntil !== null && this.leaseUntil > this.now)) return
    this.fence += 1
    this.leaseUntil = this.now + LEASE_MS
    this.watchers.push({ fence: this.fence, due: dueStep(this.record, this.now), askedAt: this.now, evidence: null })
  }

  private watcherStep(bits: number): void {
    const worker = this.watchers[bits % Math.max(1, this.watchers.length)]
    if (!worker) return
    const { due } = worker
    if (!worker.evidence) {
      // Of a provider whose lost answers leave nothing behind.
      const repeatable = (bits & 28) === 28
      if (due.step === 'ask') worker.evidence = this.ask(due.attempt.id, due.attempt.taskId!, worker.askedAt, bits >>> 2)
      else if (due.step === 'grace_over') worker.evidence = { kind: 'grace_over', callbacksWork: this.callbacksWork, repeatable }
      else if (due.step === 'lease_lost') worker.evidence = { kind: 'lease_lost', repeatable }
      else worker.evidence = { kind: due.step === 'idle' ? 'looked' : due.step }
      return
    }
    this.tell({ evidence: worker.evidence, lease: { fence: worker.fence } })
    this.watchers.splice(this.watchers.indexOf(worker), 1)
  }

  private ask(attemptId: string, taskId: string, askedAt: number, bits: number): Evidence {
    const task = this.tasks.find(({ id }) => id === taskId)
    if (!this.reachable || !task) return { kind: 'unreachable', attemptId, error: problem(task ? 'unavailable' : 'provider_task_gone'), askedAt }
    return { kind: 'snapshot', attemptId, snapshot: this.describe(task, bits), askedAt }
  }

  /** What the provider tells about a task now: songs in any order, some without id. */
  private describe({ id, fate, stage, ids }: Task, bits: number): Snapshot {
    const count = finals(this.record).length
    const told: ProviderResult[] = []
    const ended = stage >= 4
    const files =
      fate === 'succeeds' ? (ended ? count : stage === 3 ? 1 : 0)
      : fate === 'one_missing' ? (stage >= 3 ? count - 1 : 0)
      : fate === 'fails_with_file' ? (stage >= 3 ? 1 : 0)
      : 0
    for (let place = 0; place < count && stage >= 2; place++) {
      const name = `${id}-s${place}`
      const named = ids === 'told' || (ids === 'late' && stage >= 3)
      told.push(song(named ? name : null, place < files ? `https://files/${name}` : null, {
        previewUrl: `https://stream/${name}`, coverUrl: stage >= 3 ? `https://covers/${name}` : null, durationMs: 180_000,
      }))
    }
    // Without ids the order is all that there is; with them it may change from answer to answer.
    if (bits & 1 && ids === 'told') told.reverse()
    if ((bits & 14) === 14 && ids === 'told' && told.length) told.unshift(told[0]!)
    const heard = stage >= 2
    if (!ended || fate === 'never') return { status: heard ? 'partial' : stage === 1 ? 'running' : 'queued', results: told, error: null, raw: {} }
    if (fate === 'fails' || fate === 'fails_with_file') return { status: 'failed', results: told, error: problem('provider_failed'), raw: {} }
    return { status: 'succeeded', results: told, error: null, raw: {} }
  }

  private progress(bits: number): void {
    const task = this.tasks[bits % Math.max(1, this.tasks.length)]
    if (task) task.stage = Math.min(task.fate === 'never' ? 2 : 4, task.stage + 1 + (bits & 4 ? 2 : 0))
  }

  private callback(bits: number): void {
    const attemptId = this.posted[bits % Math.max(1, this.posted.length)]
    if (!attemptId) return
    const task = this.tasks.find((candidate) => candidate.attemptId === attemptId)
    const more = bits >>> 3
    let claimed: Snapshot | null = null
    if (task && more & 1) claimed = this.describe({ ...task, stage: more & 2 ? task.stage : (more >>> 2) % 5 }, more)
    if (claimed?.status === 'succeeded' && task!.stage < 4) this.spoiled = true
    // A lie: the right token, but files that nobody has.
    if ((more & 31) === 31) {
      claimed = { status: 'succeeded', results: [song('false', 'https://lies/1')], error: null, raw: {} }
      this.spoiled = true
    }
    this.tell({ evidence: { kind: 'hint', attemptId, taskId: more & 8 ? null : (task?.id ?? null), claimed } })
  }

  private wakeWithoutToken(bits: number): void {
    const known = this.record.attempts.filter((attempt) => attempt.taskId !== null)
    if (known.length && bits & 1) this.tell({ evidence: { kind: 'wake' } })
  }

  private claimResult(bits: number): void {
    const free = this.record.results.filter(({ id, nextAt }) => nextAt !== null && nextAt <= this.now && (this.resultLeases.get(id) ?? 0) <= this.now)
    const result = free[bits % Math.max(1, free.length)]
    if (!result) return
    const fence = (this.resultFences.get(result.id) ?? 0) + 1
    this.resultFences.set(result.id, fence)
    this.resultLeases.set(result.id, this.now + LEASE_MS)
    const staged = result.stagedKey !== null
    this.savers.push({ resultId: result.id, fence, url: staged ? result.stagedKey! : result.sourceUrl!, staged })
  }

  private saverStep(bits: number): void {
    const worker = this.savers[bits % Math.max(1, this.savers.length)]
    if (!worker) return
    const { resultId, fence, url } = worker
    const outcome = (bits >>> 3) & 7
    this.savers.splice(this.savers.indexOf(worker), 1)
    const resultLease = { resultId, fence }
    if (outcome <= 4 && !url.includes('lies')) this.tell({ evidence: { kind: 'stored', resultId, file: fileOf(url), ms: 5 }, resultLease })
    else {
      const final = outcome === 7
      if (final && resultId.startsWith('r')) this.spoiled = true
      this.tell({ evidence: { kind: 'unsaved', resultId, code: final ? 'bad_file' : bits & 64 ? 'storage_failed' : 'download_failed', detail: 'no', final }, resultLease })
    }
  }

  /** The answer to a COMMIT was lost: the same is told once more, under the same lease. */
  private repeat(bits: number): void {
    const old = this.past[this.past.length - 1 - (bits % Math.min(6, Math.max(1, this.past.length)))]
    if (old && old.evidence.kind !== 'slot' && old.evidence.kind !== 'cancel') this.tell(old)
  }

  private lapse(bits: number): void {
    if (bits & 1) this.leaseUntil = this.leaseUntil === null ? null : this.now
    else for (const id of this.resultLeases.keys()) this.resultLeases.set(id, this.now)
  }

  // The door, with the leases as the store keeps them

  private tell(told: Told): Decision | null {
    const { evidence, lease, resultLease } = told
    this.past.push(told)
    if (lease && lease.fence !== this.fence) return null
    if (resultLease && this.resultFences.get(resultLease.resultId) !== resultLease.fence) return null
    this.evidences++
    const before = freeze(this.record)
    const decision = decide(before, evidence, this.now, this.policy)
    this.record = decision.after
    this.story.push(`+${this.now - before.generation.createdAt} ${JSON.stringify(evidence)} => ${decision.move} (${decision.after.generation.state})`)
    this.moves.add(decision.move)
    if (decision.move === 'slot') {
      this.fence += 1
      this.leaseUntil = this.now + LEASE_MS
    } else if (lease && evidence.kind !== 'sending') this.leaseUntil = null
    for (const result of decision.after.results) {
      const old = before.results.find(({ id }) => id === result.id)
      if (result.nextAt === null || result.tries !== old?.tries) this.resultLeases.delete(result.id)
    }
    this.check(decision, evidence)
    return decision
  }

  // Promises after every step

  private check({ move, before, after, settle }: Decision, evidence: Evidence): void {
    const was = before.generation
    const is = after.generation
    if (move === 'ignored') {
      if (after !== before) this.broken('ignored evidence changed the record')
      return
    }
    const row: MoveRow = MOVES.find(({ id }) => id === move)!
    if (row.on !== evidence.kind || !row.from.includes(was.state)) this.broken(`row ${row.id} was taken from ${was.state} on ${evidence.kind}`)
    if (is.state !== (row.to === 'same' ? was.state : row.to)) this.broken(`row ${row.id} led to ${is.state}`)
    if (rank(is.state) < rank(was.state)) this.broken(`went back from ${was.state} to ${is.state}`)
    if (isFinal(was.state) && is.state !== was.state) this.broken(`a final state changed: ${was.state} to ${is.state}`)
    if (isFinal(is.state) !== (is.finishedAt !== null)) this.broken('finished and finishedAt disagree')
    if (row.settle === 'none' && settle.kept.length + settle.lost.length) this.broken(`row ${row.id} settles`)
    this.checkMoney(settle, after)
    this.checkFiles(before, after)
    this.checkSubmits(move, before, evidence)
    if (evidence.kind === 'finished') this.bytesGiven = Math.max(this.bytesGiven, Math.min(evidence.results.length, finals(after).length))
    if ('askedAt' in evidence && was.wokenAt !== null && was.wokenAt > evidence.askedAt && rank(is.state) < rank('saving') && (is.checkAt ?? Infinity) > this.now) {
      this.broken('a callback that came while the provider was being asked was forgotten')
    }

    if (!isFinal(is.state) && finals(after).every(({ state }) => state === 'stored' || state === 'refused')) {
      this.broken('every result has ended, and it waits for nothing')
    }
    const armed = armedAt(after)
    if (!isFinal(is.state) && armed === null) this.broken('open and not armed')
    if (armed !== null && dueStep(after, armed).step === 'idle' && dueStep(after, Math.max(armed, this.now)).step === 'idle') {
      this.broken('armed for a time at which there is nothing to do')
    }
  }

  private checkMoney(settle: Decision['settle'], after: GenerationRecord): void {
    for (const end of ['kept', 'lost'] as const) {
      for (const index of settle[end]) {
        if (this.settledBy.has(index)) this.broken(`item ${index} was settled twice`)
        this.settledBy.set(index, end)
        const result = finals(after)[index]!
        if ((result.state === 'stored') !== (end === 'kept')) this.broken(`item ${index} is ${end}, its result ${result.state}`)
      }
    }
    for (const result of finals(after)) if (result.settled !== (this.settledBy.get(result.index) ?? null)) this.broken('a settlement without a move')
    if (isFinal(after.generation.state) && after.generation.state !== 'cancelled' && this.settledBy.size !== finals(after).length) {
      this.broken(`${after.generation.state} with open items`)
    }
  }

  private checkFiles(before: GenerationRecord, after: GenerationRecord): void {
    const ids = new Set<string>()
    for (const result of finals(after)) {
      if (result.providerResultId !== null && ids.has(result.providerResultId)) this.broken('two results share a provider id')
      if (result.providerResultId !== null) ids.add(result.providerResultId)
      const old = before.results.find(({ id }) => id === result.id)
      if (old?.state === 'stored' && (result.state !== 'stored' || result.file !== old.file)) this.broken('a stored file was lost')
      if (result.state === 'stored' && !result.file) this.broken('stored without a file')
      if (result.state === 'known' && !result.sourceUrl && !result.stagedKey) this.broken('known without a source')
      if (result.state === 'known' && result.nextAt === null) this.broken('known and not armed')
    }
    for (const file of new Set(finals(after).map(({ file }) => file?.sha256))) {
      if (file && finals(after).filter((result) => result.file?.sha256 === file).length > 1) this.broken('one song was stored twice, so another is lost')
    }
  }

  private checkSubmits(move: string, before: GenerationRecord, evidence: Evidence): void {
    if (move === 'resubmit') {
      if (evidence.kind !== 'grace_over' || !(evidence.callbacksWork || evidence.repeatable)) this.broken('resubmitted although callbacks do not work')
      if (before.generation.indeterminateUntil === null) this.broken('resubmitted although nothing was unclear')
      this.resubmits++
      this.resubmitGranted = true
    }
    if (move === 'submit_unknown' && before.generation.indeterminateUntil === null) this.broken('given up as unknown although nothing was unclear')
    if (move === 'slot') {
      const last = latestAttempt(before)
      if (last && !['rejected', 'abandoned'].includes(last.state) && !this.resubmitGranted) this.broken(`a second submit after one that is ${last.state}`)
      this.resubmitGranted = false
    }
    if (this.maybeRunning > 1 + this.resubmits) this.broken(`${this.maybeRunning} submits may run, ${this.resubmits} of them with a reason`)
  }

  // The end

  private nextTime(): number | null {
    const { generation, results } = this.record
    const times = results.flatMap(({ id, nextAt }) => (nextAt === null ? [] : [Math.max(nextAt, this.resultLeases.get(id) ?? 0)]))
    const armed = armedAt(this.record)
    if (armed !== null) times.push(Math.max(armed, this.leaseUntil ?? 0))
    if (generation.dispatchAt !== null && generation.dispatchAt < generation.deadlineAt) times.push(generation.dispatchAt)
    return times.length ? Math.min(...times) : null
  }

  /** Everybody who was at work dies; from now on the provider answers and files can be fetched. Until nothing is left to do. */
  drain(bits: number): void {
    this.submitters = []
    this.watchers = []
    this.savers = []
    this.leaseUntil = null
    this.resultLeases.clear()
    this.reachable = (bits & 7) !== 0
    const moody = (bits & 0x300000) === 0
    const inTime = this.now < this.record.generation.watchUntil - 12 * 3_600_000
    for (let left = 400; ; left--) {
      if (left === 0) this.broken('it never comes to rest')
      const next = this.nextTime()
      if (next === null) break
      this.advance(Math.max(0, next - this.now))
      for (const task of this.tasks) this.progressBy(task)
      this.grant()
      while (this.submitters.length) this.submitterStep(bits >>> 3)
      const due = dueStep(this.record, this.now).step
      this.claim()
      const worked = this.watchers.length > 0
      while (this.watchers.length) this.watcherStep(bits >>> 7)
      if (worked && (armedAt(this.record) ?? Infinity) <= this.now && dueStep(this.record, this.now).step === due) this.broken('a hot loop')
      this.claimResult(0)
      while (this.savers.length) this.saverStep(moody && left % 3 === 0 ? FILE_IS_BAD : 0)
    }
    this.checkEnd(inTime)
  }

  private progressBy(task: Task): void {
    task.stage = Math.min(task.fate === 'never' ? 2 : 4, task.stage + 1)
  }

  private checkEnd(inTime: boolean): void {
    const { generation } = this.record
    if (!isFinal(generation.state)) this.broken(`ended in ${generation.state}`)
    if (this.settledBy.size !== generation.resultCount) this.broken('the ledger is not exact: items are open')
    const stored = finals(this.record).filter((result) => result.state === 'stored').length
    if (generation.missing !== generation.resultCount - stored) this.broken(`missing says ${generation.missing}, stored are ${stored}`)
    if (generation.state === 'complete' && stored === 0) this.broken('complete without a file')
    if (!this.spoiled && stored < this.bytesGiven) this.broken('bytes that came with the answer are not here')
    // The watch ends with the provider's retention, so whatever the provider told us of and still has must be here.
    const watched = this.tasks.filter((task) => this.record.attempts.some((attempt) => attempt.taskId === task.id))
    const givenUp = finals(this.record).some(({ refusedCode }) => refusedCode === 'download_failed' || refusedCode === 'storage_failed')
    if (this.reachable && !this.spoiled && !givenUp && inTime) {
      if (watched.some(({ fate }) => fate === 'succeeds') && stored < generation.resultCount) this.broken(`a finished task was known, only ${stored} files are here`)
    }
  }

  private broken(promise: string): never {
    throw new Error(`${promise}\n${this.story.slice(-40).join('\n')}`)
  }
}

const rank = (state: GenerationState): number => {
  const place = (OPEN_STATES as readonly string[]).indexOf(state)
  return place < 0 ? OPEN_STATES.length : place
}

/** A decision that changes what it was given throws. */
function freeze(record: GenerationRecord): GenerationRecord {
  Object.freeze(record.generation)
  for (const attempt of record.attempts) Object.freeze(attempt)
  for (const result of record.results) Object.freeze(result)
  Object.freeze(record.attempts)
  Object.freeze(record.results)
  return Object.freeze(record)
}
