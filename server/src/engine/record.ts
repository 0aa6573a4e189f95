import type { Attempt, GenerationRecord, Result } from './state.ts'

const ATTEMPT_ENDED = ['rejected', 'succeeded', 'failed', 'abandoned', 'finished']

export const attemptEnded = (attempt: Attempt): boolean => ATTEMPT_ENDED.includes(attempt.state)
export const latestAttempt = (record: GenerationRecord): Attempt | null => record.attempts.at(-1) ?? null
/** Attempts that may still bring something and can be asked. */
export const askable = (record: GenerationRecord): Attempt[] => record.attempts.filter((attempt) => attempt.taskId !== null && !attemptEnded(attempt))
/** What waits and patience with a provider are counted by: an attempt that was lost with its worker says nothing of it. */
export const refusals = (record: GenerationRecord): number => record.attempts.filter(({ state }) => state === 'rejected').length

/** The results that gate completion and are paid for. */
export const finals = (record: GenerationRecord): Result[] => record.results.filter((result) => result.role === 'final')
export const anyIn = (record: GenerationRecord, state: Result['state']): boolean => finals(record).some((result) => result.state === state)
export const unsettled = (record: GenerationRecord): boolean => finals(record).some((result) => result.settled === null)
export const countMissing = (record: GenerationRecord): number => finals(record).filter((result) => result.state !== 'stored').length
