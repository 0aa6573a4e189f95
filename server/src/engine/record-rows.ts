import type { Attempt, Generation, GenerationRecord, Result } from './state.ts'

/** Between the rows of the database (snake_case, ISO times) and the engine's records (camelCase, epoch ms). */

type Row = Record<string, any>
const ms = (value: string | null): number | null => (value === null ? null : Date.parse(value))

export interface RecordRow {
  generation: Row
  attempts: Row[]
  results: Row[]
  now_ms: number
}

export function readRecord(row: RecordRow): GenerationRecord {
  return { generation: readGeneration(row.generation), attempts: row.attempts.map(readAttempt), results: row.results.map(readResult) }
}

function readGeneration(row: Row): Generation {
  return {
    id: row.id, userId: row.user_id, provider: row.provider, account: row.account, kind: row.kind, origin: row.origin,
    urgency: row.urgency, request: row.request, cost: row.cost, resultCount: row.result_count, state: row.state,
    indeterminateUntil: ms(row.indeterminate_until), blockedReason: row.blocked_reason, missing: row.missing,
    arrivedLateAt: ms(row.arrived_late_at), errorCode: row.error_code, errorDetail: row.error_detail,
    providerTaskId: row.provider_task_id, createdAt: ms(row.created_at)!, deadlineAt: ms(row.deadline_at)!,
    watchUntil: ms(row.watch_until)!, finishedAt: ms(row.finished_at), heardAt: ms(row.heard_at), dispatchAt: ms(row.dispatch_at),
    checkAt: ms(row.check_at), checks: row.checks, emptyChecks: row.empty_checks, unreachableChecks: row.unreachable_checks,
    wokenAt: ms(row.woken_at),
  }
}

function readAttempt(row: Row): Attempt {
  return {
    id: row.id, number: row.number, state: row.state, provider: row.provider, account: row.account, adapter: row.adapter,
    tokenHash: row.token_hash.slice(2), taskId: row.task_id, errorCode: row.error_code, errorDetail: row.error_detail,
    claimed: row.claimed, createdAt: ms(row.created_at)!, sentAt: ms(row.sent_at), acceptedAt: ms(row.accepted_at), endedAt: ms(row.ended_at),
  }
}

function readResult(row: Row): Result {
  return {
    id: row.id, role: row.role, index: row.index, state: row.state, settled: row.settled, attemptId: row.attempt_id,
    providerResultId: row.provider_result_id, sourceUrl: row.source_url, stagedKey: row.staged_key, previewUrl: row.preview_url,
    title: row.title, tags: row.tags, lyrics: row.lyrics, providerDurationMs: row.provider_duration_ms,
    file: row.blob_key === null ? null : {
      blobKey: row.blob_key, sha256: row.sha256, bytes: row.bytes, mime: row.mime, durationMs: row.duration_ms, bitrate: row.bitrate,
    },
    refusedCode: row.refused_code, refusedDetail: row.refused_detail, tries: row.tries, nextAt: ms(row.next_at),
  }
}

export function generationRow(g: Generation, more: Row): Row {
  return {
    id: g.id, account: g.account, state: g.state, indeterminate_until: g.indeterminateUntil, blocked_reason: g.blockedReason,
    missing: g.missing, arrived_late_at: g.arrivedLateAt, error_code: g.errorCode, error_detail: g.errorDetail,
    provider_task_id: g.providerTaskId, finished_at: g.finishedAt, heard_at: g.heardAt, dispatch_at: g.dispatchAt, check_at: g.checkAt,
    checks: g.checks, empty_checks: g.emptyChecks, unreachable_checks: g.unreachableChecks, woken_at: g.wokenAt, ...more,
  }
}

export function attemptRow(generationId: string, a: Attempt): Row {
  return {
    id: a.id, generation_id: generationId, number: a.number, state: a.state, provider: a.provider, account: a.account,
    adapter: a.adapter, token_hash: a.tokenHash, task_id: a.taskId, error_code: a.errorCode, error_detail: a.errorDetail,
    claimed: a.claimed, created_at: a.createdAt, sent_at: a.sentAt, accepted_at: a.acceptedAt, ended_at: a.endedAt,
  }
}

export function resultRow(generationId: string, r: Result): Row {
  return {
    id: r.id, generation_id: generationId, role: r.role, index: r.index, state: r.state, settled: r.settled, attempt_id: r.attemptId,
    provider_result_id: r.providerResultId, source_url: r.sourceUrl, staged_key: r.stagedKey, preview_url: r.previewUrl,
    title: r.title, tags: r.tags, lyrics: r.lyrics, provider_duration_ms: r.providerDurationMs, blob_key: r.file?.blobKey,
    sha256: r.file?.sha256, bytes: r.file?.bytes, mime: r.file?.mime, duration_ms: r.file?.durationMs, bitrate: r.file?.bitrate,
    refused_code: r.refusedCode, refused_detail: r.refusedDetail, tries: r.tries, next_at: r.nextAt,
  }
}
