import { stableUuid } from '../../kernel/ids.ts'
import type { ProviderErrorCode } from '../../kernel/errors.ts'
import type { ProviderError, ProviderResult, Snapshot } from '../../providers/provider.ts'
import type { Attempt, Generation, GenerationRecord, Policy, Result, StoredFile } from '../state.ts'

/** Ready-made records for the engine's tests. Times are epoch ms; a story begins at `START`. */

export const START = 1_800_000_000_000
export const DEADLINE_MS = 600_000

export const POLICY: Policy = { firstPollMs: 30_000, pollMs: 15_000, pollMaxMs: 45_000, graceMs: 90_000 }

/** A request just accepted: queued, its results expected, waiting for a slot. */
export function newRecord(options: { results?: number; watchMs?: number; generation?: Partial<Generation> } = {}): GenerationRecord {
  const { results = 2, watchMs = 24 * 3_600_000, generation } = options
  return {
    generation: {
      id: 'g', userId: 'u', provider: 'suno', account: 'suno/1', kind: 'song', origin: 'api', urgency: 'interactive',
      request: { kind: 'song', prompt: 'a song' }, cost: 5 * results, resultCount: results, state: 'queued', indeterminateUntil: null,
      blockedReason: null, missing: 0, arrivedLateAt: null, errorCode: null, errorDetail: null, providerTaskId: null, createdAt: START,
      deadlineAt: START + DEADLINE_MS, watchUntil: START + watchMs, finishedAt: null, heardAt: null, dispatchAt: START, checkAt: null,
      checks: 0, emptyChecks: 0, unreachableChecks: 0, wokenAt: null, ...generation,
    },
    attempts: [],
    results: Array.from({ length: results }, (_, index) => newResult(index)),
  }
}

export function newResult(index: number, more: Partial<Result> = {}): Result {
  return {
    id: `r${index}`, role: 'final', index, state: 'expected', settled: null, attemptId: null, providerResultId: null, sourceUrl: null,
    stagedKey: null, previewUrl: null, title: null, tags: null, lyrics: null, providerDurationMs: null, file: null, refusedCode: null,
    refusedDetail: null, tries: 0, nextAt: null, ...more,
  }
}

export function newAttempt(number: number, more: Partial<Attempt> = {}): Attempt {
  return {
    id: `a${number}`, number, state: 'intended', provider: 'suno', account: 'suno/1', adapter: 'suno', tokenHash: `${number}`, taskId: null,
    errorCode: null, errorDetail: null, claimed: null, createdAt: START, sentAt: null, acceptedAt: null, endedAt: null, ...more,
  }
}

/** A file whose bytes are told by the address that it came from. */
export function fileOf(url: string): StoredFile {
  return { blobKey: `songs/${url}`, sha256: stableUuid(url), bytes: 1000, mime: 'audio/mpeg', durationMs: 180_000, bitrate: 192 }
}

export function song(providerId: string | null, url: string | null, more: Partial<ProviderResult> = {}): ProviderResult {
  return {
    providerId, final: url === null ? null : { url }, previewUrl: null, coverUrl: null, title: null, tags: null, lyrics: null,
    durationMs: null, ...more,
  }
}

export const snapshot = (status: Snapshot['status'], results: ProviderResult[] = [], error: ProviderError | null = null): Snapshot => ({
  status, results, error, raw: {},
})

export const problem = (code: ProviderErrorCode, retryAfterMs?: number): ProviderError => ({
  code, detail: `the provider says ${code}`, ...(retryAfterMs !== undefined && { retryAfterMs }),
})
