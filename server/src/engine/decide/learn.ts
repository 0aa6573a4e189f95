import { stableUuid } from '../../kernel/ids.ts'
import { drawnCover } from '../../media/drawn-cover.ts'
import type { NewEvent } from './work.ts'
import { isFinal, type Attempt, type GenerationRecord, type Result } from '../state.ts'
import type { ProviderResult, Snapshot } from '../../providers/provider.ts'

/**
 * Takes what the provider told about its results into the record: matches them (by the provider's id, then by
 * address, then by order), marks those with a finished file `known` so that saving starts at once, and refreshes
 * addresses of files not yet saved. Each attempt fills only results that no other attempt has filled: two songs never
 * share a row. A result that had been refused is reopened when another attempt, or after the end any, has a file for it.
 */
export function learn(record: GenerationRecord, attempt: Attempt, snapshot: Snapshot, now: number): NewEvent[] {
  const events: NewEvent[] = []
  const late = isFinal(record.generation.state)
  const without = (result: Result) => result.state === 'expected' || (result.state === 'refused' && (late || result.attemptId !== attempt.id))
  for (const [told, result] of match(record, attempt, snapshot.results, without)) {
    const wanted = without(result)
    if (result.attemptId !== null && result.attemptId !== attempt.id) Object.assign(result, UNTOLD)
    result.attemptId = attempt.id
    result.providerResultId = told.providerId ?? result.providerResultId
    result.title ??= told.title
    result.tags ??= told.tags
    result.lyrics ??= told.lyrics
    result.previewUrl = told.previewUrl ?? result.previewUrl
    result.providerDurationMs = wholeMs(told.durationMs) ?? result.providerDurationMs
    learnFinal(result, told, now, wanted, events, attempt)
    const cover = told.coverUrl ?? (ENDED.includes(snapshot.status) ? ownCover(record, result) : null)
    if (cover) learnCover(record, result, cover, now)
  }
  return events
}

function learnFinal(result: Result, told: ProviderResult, now: number, wanted: boolean, events: NewEvent[], attempt: Attempt): void {
  const url = urlOf(told)
  if (!url) return
  if (wanted) {
    Object.assign(result, { state: 'known', sourceUrl: url, nextAt: now, refusedCode: null, refusedDetail: null })
    events.push({ type: 'result_known', attempt: attempt.number, data: { index: result.index, providerResultId: told.providerId } })
  } else if (result.state === 'known' && result.sourceUrl !== url) {
    Object.assign(result, { sourceUrl: url, nextAt: result.tries > 0 ? now : result.nextAt })
    events.push({ type: 'result_moved', attempt: attempt.number, data: { index: result.index } })
  }
}

/** When the provider tells nothing more. */
const ENDED: Snapshot['status'][] = ['succeeded', 'failed', 'cancelled']

/** A song that comes without a cover gets one that Reprise draws. Like any cover it holds back nothing. */
function ownCover({ generation }: GenerationRecord, result: Result): string | null {
  if (generation.kind !== 'song' || result.sourceUrl === null) return null
  const { title, prompt } = generation.request
  return drawnCover(result.title ?? title ?? prompt, result.index)
}

function learnCover(record: GenerationRecord, result: Result, coverUrl: string, now: number): void {
  const id = stableUuid(`cover:${result.id}`)
  if (record.results.some((item) => item.id === id)) return
  record.results.push({
    id, role: 'cover', index: result.index, state: 'known', settled: null, attemptId: result.attemptId, providerResultId: null,
    sourceUrl: coverUrl, stagedKey: null, previewUrl: null, title: null, tags: null, lyrics: null, providerDurationMs: null,
    file: null, refusedCode: null, refusedDetail: null, tries: 0, nextAt: now,
  })
}

/** What a result forgets when another attempt brings the file for it. */
const UNTOLD = { providerResultId: null, previewUrl: null, title: null, tags: null, lyrics: null, providerDurationMs: null, tries: 0 }

const urlOf = ({ final }: ProviderResult): string | null => (final && 'url' in final ? final.url : null)

/** Whole milliseconds that fit the database's integer, or null: a strange number must not cost the file. */
export function wholeMs(ms: number | null): number | null {
  return ms !== null && ms >= 0 && ms < 2 ** 31 ? Math.floor(ms) : null
}

/** Which told result is which of ours. Each of ours at most once; what the provider names twice is one. */
function match(record: GenerationRecord, attempt: Attempt, all: ProviderResult[], withoutFile: (result: Result) => boolean): Map<ProviderResult, Result> {
  const free = new Set(record.results.filter((result) => result.role === 'final'))
  const open = all.filter((told, place) => told.providerId === null || all.findIndex((other) => other.providerId === told.providerId) === place)
  const pairs = new Map<ProviderResult, Result>()
  const pick = (choose: (result: Result, told: ProviderResult) => boolean) => {
    for (const told of open) {
      const result = pairs.has(told) ? undefined : [...free].find((candidate) => choose(candidate, told))
      if (!result) continue
      pairs.set(told, result)
      free.delete(result)
    }
  }
  const own = (result: Result) => result.attemptId === null || result.attemptId === attempt.id
  pick((result, told) => result.attemptId === attempt.id && told.providerId !== null && result.providerResultId === told.providerId)
  pick((result, told) => own(result) && urlOf(told) !== null && result.sourceUrl === urlOf(told) && (told.providerId === null || result.providerResultId === null))
  pick((result, told) => own(result) && (told.providerId === null || result.providerResultId === null))
  // Its ids changed, or an earlier attempt has described this result and not brought the file.
  pick((result) => own(result) && withoutFile(result))
  pick((result, told) => withoutFile(result) && urlOf(told) !== null)
  return pairs
}
