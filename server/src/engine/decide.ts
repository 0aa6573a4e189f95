import { keptPayload } from '../kernel/json.ts'
import { copyOf, keepIdentity } from './decide/copy.ts'
import { EFFECTS } from './decide/effects.ts'
import { GUARDS } from './decide/guards.ts'
import { takeIn } from './decide/take-in.ts'
import type { NewEvent, Outgoing, Work } from './decide/work.ts'
import { MOVES, type MoveId, type MoveRow } from './moves.ts'
import { askable, countMissing, finals, latestAttempt } from './record.ts'
import { isFinal, type Attempt, type Evidence, type GenerationRecord, type Policy } from './state.ts'

/** What one piece of evidence does. `after` is the whole new record; parts that did not change keep their identity. */
export interface Decision {
  move: MoveId | 'ignored'
  before: GenerationRecord
  after: GenerationRecord
  /** Indices of results whose tokens are settled by this move. */
  settle: { kept: number[]; lost: number[] }
  events: NewEvent[]
  outgoing: Outgoing[]
}

/**
 * Pure and total: what `evidence` does to `before` at the time `now` (epoch ms). Evidence that no row of the table
 * of moves takes is kept as an event only.
 */
export function decide(before: GenerationRecord, evidence: Evidence, now: number, policy: Policy): Decision {
  const record = copyOf(before)
  const work: Work = { record, evidence, attempt: attemptOf(record, evidence), now, policy, events: [], outgoing: [] }
  // Of an attempt or a result that is not this generation's nothing is believed.
  if (isForeign(work)) return ignored(before, evidence)
  takeIn(work)
  const row = MOVES.find((candidate: MoveRow) => candidate.from.includes(before.generation.state) && candidate.on === evidence.kind && (!candidate.when || GUARDS[candidate.when](work)))
  if (!row) return ignored(before, evidence)

  EFFECTS[row.id]?.(work)
  const { generation } = record
  if (row.to !== 'same') generation.state = row.to
  const settle = settleResults(record, row.settle)
  if (isFinal(generation.state)) finish(before, work)
  describe(before, row, work)
  return { move: row.id, before, after: keepIdentity(before, record), settle, events: work.events, outgoing: work.outgoing }
}

function settleResults(record: GenerationRecord, rule: MoveRow['settle']): Decision['settle'] {
  const settle: Decision['settle'] = { kept: [], lost: [] }
  if (rule === 'none') return settle
  for (const result of finals(record)) {
    if (result.settled !== null) continue
    const kept = rule !== 'lose' && result.state === 'stored'
    if (!kept && rule === 'keep_stored') continue
    result.settled = kept ? 'kept' : 'lost'
    settle[kept ? 'kept' : 'lost'].push(result.index)
  }
  return settle
}

function finish(before: GenerationRecord, { record, now }: Work): void {
  const { generation } = record
  if (isFinal(before.generation.state)) return
  Object.assign(generation, { finishedAt: now, dispatchAt: null, indeterminateUntil: null, blockedReason: null, missing: countMissing(record) })
  // Everything is here: an attempt that may still run somewhere has nothing left to bring.
  if (generation.missing === 0) for (const attempt of askable(record)) Object.assign(attempt, { state: 'abandoned', endedAt: now })
  // What is still running at the provider is watched; if nothing can be asked, nobody is.
  generation.checkAt = askable(record).length ? Math.max(now, Math.min(generation.checkAt ?? Infinity, now + 30_000)) : null
}

function describe(before: GenerationRecord, row: MoveRow, work: Work): void {
  const { record, evidence, attempt } = work
  const from = before.generation.state
  const data: Record<string, unknown> = {}
  if (from !== record.generation.state) Object.assign(data, { from, to: record.generation.state })
  if ('raw' in evidence && evidence.raw !== undefined) data.raw = keptPayload(evidence.raw)
  if (evidence.kind === 'snapshot') Object.assign(data, { status: evidence.snapshot.status, raw: keptPayload(evidence.snapshot.raw) })
  if ('error' in evidence) Object.assign(data, { code: evidence.error.code, detail: evidence.error.detail })
  if ('taskId' in evidence && evidence.taskId) data.taskId = evidence.taskId
  if ('by' in evidence) data.by = evidence.by
  if (evidence.kind === 'stored') Object.assign(data, { resultId: evidence.resultId, sha256: evidence.file.sha256, bytes: evidence.file.bytes, ms: evidence.ms })
  if (evidence.kind === 'unsaved') Object.assign(data, { resultId: evidence.resultId, code: evidence.code, detail: evidence.detail, final: evidence.final })
  if (isFinal(record.generation.state) && from !== record.generation.state && record.generation.errorCode) data.error = record.generation.errorCode
  if (record.generation.arrivedLateAt !== before.generation.arrivedLateAt) data.arrivedLate = true
  work.events.unshift({ type: row.id, attempt: attempt?.number ?? null, data })
}

function ignored(before: GenerationRecord, evidence: Evidence): Decision {
  if (evidence.kind === 'looked') return { move: 'ignored', before, after: before, settle: { kept: [], lost: [] }, outgoing: [], events: [] }
  const attempt = attemptOf(before, evidence)
  const data: Record<string, unknown> = { evidence: evidence.kind }
  if ('taskId' in evidence) data.taskId = evidence.taskId
  if ('raw' in evidence) data.raw = keptPayload(evidence.raw)
  return {
    move: 'ignored', before, after: before, settle: { kept: [], lost: [] }, outgoing: [],
    events: [{ type: 'ignored', attempt: attempt?.number ?? null, data }],
  }
}

function attemptOf(record: GenerationRecord, evidence: Evidence): Attempt | null {
  if (evidence.kind === 'slot') return null
  if ('attemptId' in evidence) return record.attempts.find((attempt) => attempt.id === evidence.attemptId) ?? null
  if ('resultId' in evidence) {
    const result = record.results.find((item) => item.id === evidence.resultId)
    return record.attempts.find((attempt) => attempt.id === result?.attemptId) ?? null
  }
  return latestAttempt(record)
}

function isForeign({ record, evidence, attempt }: Work): boolean {
  if (evidence.kind === 'slot') return false
  if ('attemptId' in evidence) return attempt === null
  return 'resultId' in evidence && !record.results.some((result) => result.id === evidence.resultId)
}
