import type { ErrorCode } from '../../kernel/errors.ts'
import { attemptEnded, finals } from '../record.ts'
import type { Attempt, GenerationRecord } from '../state.ts'
import type { Work } from './work.ts'

export function close({ attempt, evidence, now }: Work, state: Attempt['state']): void {
  if (!attempt) return
  const error = 'error' in evidence ? evidence.error : null
  Object.assign(attempt, { state, errorCode: error?.code ?? null, errorDetail: error?.detail ?? null, endedAt: state === 'unknown' ? null : now })
}

export function endAttempt({ record, attempt, now, evidence }: Work, state: 'succeeded' | 'failed'): void {
  record.generation.checkAt = null
  if (!attempt || attemptEnded(attempt)) return
  const error = evidence.kind === 'snapshot' ? evidence.snapshot.error : null
  Object.assign(attempt, { state, endedAt: now, errorCode: error?.code ?? null, errorDetail: error?.detail ?? null })
}

export function refuse(work: Work): void {
  close(work, 'rejected')
  if (work.evidence.kind === 'refused') fail(work, work.evidence.error.code, work.evidence.error.detail)
}

export function fail({ record }: Work, code: ErrorCode, detail: string | null): void {
  record.generation.errorCode = code
  record.generation.errorDetail = detail
  refuseRest(record, code, detail ?? code)
}

export function refuseRest(record: GenerationRecord, code: ErrorCode, detail: string): void {
  for (const result of finals(record)) {
    if (result.state === 'expected') Object.assign(result, { state: 'refused', refusedCode: code, refusedDetail: detail })
  }
}

export function snapshotError({ evidence }: Work): { code: ErrorCode; detail: string } {
  const error = evidence.kind === 'snapshot' ? evidence.snapshot.error : null
  return error ?? { code: 'provider_failed', detail: 'no reason given' }
}
