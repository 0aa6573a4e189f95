import { countMissing } from '../record.ts'
import { isFinal, type Generation } from '../state.ts'
import { learn } from './learn.ts'
import type { Work } from './work.ts'

/** How often a file is fetched before it is refused, while somebody waits and afterwards. */
const TRIES = 8
const LATE_TRIES = 24

/** What a snapshot or a saved file tells is taken in before the table is asked, so that guards see the new record. */
export function takeIn(work: Work): void {
  const { record, evidence, attempt, now } = work
  const { generation } = record
  switch (evidence.kind) {
    case 'snapshot':
      consumeWake(generation, evidence.askedAt)
      if (!attempt) return
      if (!evidence.trusted) generation.heardAt = now
      work.events.push(...learn(record, attempt, evidence.snapshot, now))
      return
    case 'unreachable':
      consumeWake(generation, evidence.askedAt)
      return
    case 'stored': {
      const result = record.results.find((item) => item.id === evidence.resultId)
      if (!result || result.state === 'stored') return
      const late = isFinal(generation.state) && result.role === 'final' && !(generation.state === 'cancelled' && result.settled === null)
      Object.assign(result, { state: 'stored', file: evidence.file, nextAt: null, refusedCode: null, refusedDetail: null })
      if (late) generation.arrivedLateAt ??= now
      if (isFinal(generation.state)) generation.missing = countMissing(record)
      return
    }
    case 'unsaved': {
      const result = record.results.find((item) => item.id === evidence.resultId)
      if (!result || result.state !== 'known') return
      const late = isFinal(generation.state)
      const ours = evidence.code === 'storage_failed'
      // Our own trouble refuses no file that somebody waits for: its tries only make the pauses longer and are counted
      // apart from those of fetching (never by the same number as before: a new number gives the lease back).
      const anew = !late && ours !== (result.refusedCode === 'storage_failed')
      const tries = anew && result.tries !== 1 ? 1 : result.tries + 1
      if (evidence.final || (late ? tries >= LATE_TRIES : !ours && tries >= TRIES)) Object.assign(result, { state: 'refused', refusedCode: evidence.code, refusedDetail: evidence.detail, nextAt: null, tries })
      else Object.assign(result, { tries, nextAt: now + saveBackoff(tries - 1, late), refusedCode: ours ? evidence.code : null, refusedDetail: evidence.detail })
      return
    }
  }
}

/** The question that a wake asked for has been asked; a wake that came meanwhile stays. */
function consumeWake(generation: Generation, askedAt: number): void {
  if (generation.wokenAt === null || generation.wokenAt <= askedAt) generation.checkAt = null
}

/** 1, 2, 4, 8, 15, 30, 60 seconds while somebody waits; ever more rarely afterwards. */
function saveBackoff(tries: number, late: boolean): number {
  const wait = [1, 2, 4, 8, 15, 30, 60][Math.min(tries, 6)]! * 1000
  return late ? wait * 10 : wait
}
