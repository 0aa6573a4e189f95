import type { NewEvent } from './decide.ts'
import { isFinal, type Attempt, type GenerationRecord, type Result } from './state.ts'
import type { ProviderResult, Snapshot } from '../providers/provider.ts'

/**
 * Takes what the provider told about its results into the record: matches them (by the provider's id, then by
 * order), marks those with a finished file `known` so that saving starts at once, and refreshes addresses of files
 * not yet saved. Each attempt fills only results that no other attempt has filled: two songs never share a row.
 * After the end, a result that had been refused is reopened when the provider offers a file for it.
 */
export function learn(record: GenerationRecord, attempt: Attempt, snapshot: Snapshot, now: number, coverId: (resultId: string) => string): NewEvent[] {
  const events: NewEvent[] = []
  const late = isFinal(record.generation.state)
  const taken = new Set<Result>()
  for (const told of snapshot.results) {
    const result = match(record, attempt, told, taken)
    if (!result) continue
    taken.add(result)
    result.attemptId = attempt.id
    result.providerResultId ??= told.providerId
    result.title ??= told.title
    result.tags ??= told.tags
    result.lyrics ??= told.lyrics
    result.previewUrl = told.previewUrl ?? result.previewUrl
    result.providerDurationMs = told.durationMs ?? result.providerDurationMs
    learnFinal(result, told, now, late, events, attempt)
    learnCover(record, result, told, now, coverId)
  }
  return events
}

function learnFinal(result: Result, told: ProviderResult, now: number, late: boolean, events: NewEvent[], attempt: Attempt): void {
  const url = told.final && 'url' in told.final ? told.final.url : null
  if (!url) return
  if (result.state === 'expected' || (late && result.state === 'refused')) {
    Object.assign(result, { state: 'known', sourceUrl: url, nextAt: now, refusedCode: null, refusedDetail: null })
    events.push({ type: 'result_known', attempt: attempt.number, data: { index: result.index, providerResultId: told.providerId } })
  } else if (result.state === 'known' && result.sourceUrl !== url) {
    Object.assign(result, { sourceUrl: url, nextAt: result.tries > 0 ? now : result.nextAt })
    events.push({ type: 'result_moved', attempt: attempt.number, data: { index: result.index } })
  }
}

function learnCover(record: GenerationRecord, result: Result, told: ProviderResult, now: number, coverId: (resultId: string) => string): void {
  if (!told.coverUrl) return
  const id = coverId(result.id)
  if (record.results.some((item) => item.id === id)) return
  record.results.push({
    id, role: 'cover', index: result.index, state: 'known', settled: null, attemptId: result.attemptId, providerResultId: null,
    sourceUrl: told.coverUrl, stagedKey: null, previewUrl: null, title: null, tags: null, lyrics: null, providerDurationMs: null,
    file: null, refusedCode: null, refusedDetail: null, tries: 0, nextAt: now,
  })
}

function match(record: GenerationRecord, attempt: Attempt, told: ProviderResult, taken: Set<Result>): Result | null {
  const own = record.results.filter((result) => result.role === 'final' && !taken.has(result) && (result.attemptId === null || result.attemptId === attempt.id))
  if (told.providerId === null) return own[0] ?? null
  return own.find((result) => result.providerResultId === told.providerId) ?? own.find((result) => result.providerResultId === null) ?? null
}
