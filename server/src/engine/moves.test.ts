import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decide, type Decision } from './decide.ts'
import { armedAt, dueStep } from './due.ts'
import { movesAsMarkdown } from './moves-doc.ts'
import { MOVES } from './moves.ts'
import { finals } from './record.ts'
import { FINAL_STATES, OPEN_STATES, type Evidence, type GenerationRecord, type GenerationState } from './state.ts'
import { fileOf, newAttempt, newRecord, newResult, POLICY, problem, snapshot, song, START } from './testing/records.ts'

/** Tells one thing after the other, `gap` ms apart, to a fresh request. */
function tell(evidences: Evidence[], from: GenerationRecord = newRecord(), gap = 1_000): Decision {
  let last: Decision | undefined
  let now = START
  for (const evidence of evidences) last = decide(last?.after ?? from, evidence, (now += gap), POLICY)
  return last!
}

const slot = (number: number): Evidence => ({ kind: 'slot', attemptId: `a${number}`, tokenHash: `${number}`, adapter: 'suno', account: 'suno/1' })
const sent = (number = 1): Evidence[] => [slot(number), { kind: 'sending', attemptId: `a${number}` }]
const accepted = (number = 1): Evidence => ({ kind: 'accepted', attemptId: `a${number}`, taskId: `t${number}` })
const unknown = (number = 1): Evidence => ({ kind: 'unknown', attemptId: `a${number}`, error: problem('transient') })
const saw = (it: Parameters<typeof snapshot>, number = 1): Evidence => ({ kind: 'snapshot', attemptId: `a${number}`, askedAt: START + 1e6, snapshot: snapshot(...it) })
const stored = (index: number, url = `u${index}`): Evidence => ({ kind: 'stored', resultId: `r${index}`, file: fileOf(url) })
const unsaved = (index: number, final = true): Evidence => ({ kind: 'unsaved', resultId: `r${index}`, code: 'bad_file', detail: 'html', final })
const bytes = { stagedKey: 's', mime: 'image/png', title: null, durationMs: null }
const running: Evidence[] = [...sent(), accepted()]
const both = [song('a', 'u0'), song('b', 'u1')]

/** One story for each row of the table: the last thing told takes the row. */
const STORIES: Record<(typeof MOVES)[number]['id'], Evidence[]> = {
  slot: [slot(1)],
  sending: sent(),
  retry: [...sent(), { kind: 'refused', attemptId: 'a1', sent: true, error: problem('rate_limited') }],
  no_credits: [...sent(), { kind: 'refused', attemptId: 'a1', sent: true, error: problem('no_credits') }],
  blocked: [...sent(), { kind: 'refused', attemptId: 'a1', sent: true, error: problem('no_credits') }],
  rejected: [...sent(), { kind: 'refused', attemptId: 'a1', sent: true, error: problem('content_policy') }],
  accepted: running,
  accepted_again: [...sent(), { kind: 'cancel', by: 'user' }, accepted()],
  finished: [...sent(), { kind: 'finished', attemptId: 'a1', results: [bytes, bytes] }],
  finished_empty: [...sent(), { kind: 'finished', attemptId: 'a1', results: [] }],
  finished_late: [...sent(), { kind: 'deadline' }, { kind: 'finished', attemptId: 'a1', results: [bytes] }],
  unknown: [...sent(), unknown()],
  never_sent: [slot(1), { kind: 'lease_lost' }],
  owner_lost: [...sent(), { kind: 'lease_lost' }],
  adopted: [...sent(), { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: null }],
  adopted_late: [...sent(), { kind: 'deadline' }, { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: null }],
  hint: [...running, { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: null }],
  wake: [...running, { kind: 'wake' }],
  resubmit: [...sent(), unknown(), { kind: 'grace_over', callbacksWork: true }],
  submit_unknown: [...sent(), unknown(), { kind: 'grace_over', callbacksWork: false }],
  succeeded: [...running, saw(['succeeded', both])],
  succeeded_all_stored: [
    ...running, saw(['partial', [both[0]!]]), stored(0), saw(['succeeded', [both[0]!]]), saw(['succeeded', [both[0]!]]), saw(['succeeded', [both[0]!]]),
  ],
  empty: [...running, saw(['succeeded']), saw(['succeeded']), saw(['succeeded'])],
  failed_with_file: [...running, saw(['failed', [both[0]!], problem('provider_failed')])],
  failed_all_stored: [...running, saw(['partial', [both[0]!]]), stored(0), saw(['failed', [], problem('provider_failed')])],
  provider_failed: [...running, saw(['failed', [], problem('provider_failed')])],
  partial: [...running, saw(['partial', [song('a', null, { previewUrl: 'p' })]])],
  running: [...running, saw(['running'])],
  claimed: [
    ...running, { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: snapshot('succeeded', both) },
    ...Array.from({ length: 3 }, (): Evidence => ({ kind: 'unreachable', attemptId: 'a1', askedAt: START + 1e6, error: problem('unavailable') })),
  ],
  unreachable: [...running, { kind: 'unreachable', attemptId: 'a1', askedAt: START + 1e6, error: problem('unavailable') }],
  complete: [...running, saw(['succeeded', both]), stored(0), stored(1)],
  stored_after_cancel: [...running, { kind: 'cancel', by: 'user' }, saw(['succeeded', both]), stored(0)],
  stored: [...running, saw(['succeeded', both]), stored(0)],
  complete_without: [...running, saw(['succeeded', both]), stored(0), unsaved(1)],
  nothing_saved: [...running, saw(['succeeded', both]), unsaved(0), unsaved(1)],
  unsaved: [...running, saw(['succeeded', both]), unsaved(0, false)],
  deadline_with_file: [...running, saw(['partial', [both[0]!]]), stored(0), { kind: 'deadline' }],
  timed_out: [{ kind: 'deadline' }],
  cancel_settled: [...running, { kind: 'cancel', by: 'user' }, { kind: 'deadline' }],
  watch_over: [...running, { kind: 'deadline' }, { kind: 'watch_over' }],
  cancel_unsent: [{ kind: 'cancel', by: 'user' }],
  cancel_sent: [...running, { kind: 'cancel', by: 'user' }],
  recheck: [...running, { kind: 'recheck', by: 'user' }],
  redownload: [...running, { kind: 'redownload', by: 'user' }],
}

describe('the table of moves', () => {
  it.each(MOVES)('$id: $why', ({ id, from, on, to, settle }) => {
    const start = newRecord(id === 'blocked' ? { generation: { urgency: 'batch' } } : {})
    const { move, before, after, settle: settled } = tell(STORIES[id], start)
    expect(move).toBe(id)
    expect(STORIES[id].at(-1)!.kind).toBe(on)
    expect(from).toContain(before.generation.state)
    expect(after.generation.state).toBe(to === 'same' ? before.generation.state : to)
    if (settle === 'none') expect(settled).toEqual({ kept: [], lost: [] })
    if (settle === 'lose') expect(settled.kept).toEqual([])
  })

  it('is printed whole: one line for each row, with its reason', () => {
    const page = movesAsMarkdown()
    for (const { id, why } of MOVES) {
      const line = page.split('\n').find((candidate) => candidate.startsWith(`| \`${id}\` |`))
      expect(line).toContain(why)
      expect(line!.split(' | ')).toHaveLength(7)
    }
  })
})

describe('what a decision promises', () => {
  const anyState = fc.constantFrom<GenerationState>(...OPEN_STATES, ...FINAL_STATES)
  const anyAttempt = fc.constantFrom('intended', 'sent', 'accepted', 'finished', 'rejected', 'unknown', 'succeeded', 'failed', 'abandoned').chain((state) =>
    fc.boolean().map((told) => ({ state, taskId: told ? `t-${state}` : null })),
  )
  const anyResult = fc.constantFrom('expected', 'known', 'stored', 'refused')
  const pieces = [...new Map(Object.values(STORIES).flat().map((evidence) => [JSON.stringify(evidence), evidence])).values()]

  it('no evidence in any state makes it throw, or changes what it was given', () => {
    const maybe = fc.option(fc.nat(2_000_000))
    const property = fc.property(
      anyState, fc.array(anyAttempt, { maxLength: 3 }), fc.array(anyResult, { minLength: 1, maxLength: 3 }), maybe, maybe, maybe, fc.constantFrom(...pieces), fc.nat(2_000_000),
      (state, attempts, results, dispatchAt, checkAt, indeterminateUntil, evidence, later) => {
        const at = (time: number | null) => (time === null ? null : START + time)
        const record = newRecord({ generation: { state, dispatchAt: at(dispatchAt), checkAt: at(checkAt), indeterminateUntil: at(indeterminateUntil) } })
        record.attempts = attempts.map((attempt, place) => newAttempt(place + 1, { ...attempt, state: attempt.state as 'sent' }))
        record.results = results.map((result, place) => newResult(place, {
          state: result as 'known', sourceUrl: 'u', file: result === 'stored' ? fileOf('u') : null, nextAt: result === 'known' ? START : null,
        }))
        const was = structuredClone(record)
        const { after } = decide(record, evidence, START + later, POLICY)
        expect(record).toEqual(was)
        if ((OPEN_STATES as readonly string[]).includes(after.generation.state)) expect(armedAt(after)).not.toBeNull()
        dueStep(after, START + later)
      },
    )
    fc.assert(property, { numRuns: 3_000 })
  })

  it('evidence of an attempt or a result that is not its own changes nothing', () => {
    const record = tell(running).after
    for (const evidence of pieces.filter((piece) => piece.kind !== 'slot' && ('attemptId' in piece || 'resultId' in piece))) {
      const foreign = { ...evidence, ...('attemptId' in evidence ? { attemptId: 'x' } : { resultId: 'x' }) } as Evidence
      expect(decide(record, foreign, START, POLICY)).toMatchObject({ move: 'ignored', after: record })
    }
  })
})

describe('stories that once went wrong', () => {
  it('the end of a grace that comes after the outcome has become clear does not end or repeat the submit', () => {
    for (const callbacksWork of [true, false]) {
      const late: Evidence = { kind: 'grace_over', callbacksWork }
      expect(tell([...sent(), unknown(), { kind: 'refused', attemptId: 'a1', sent: true, error: problem('rate_limited') }, late]).move).toBe('ignored')
      expect(tell([...sent(), unknown(), late, late]).move).toBe('ignored')
    }
  })

  it('a song that was already saved when the provider gave up completes at once, not at the deadline', () => {
    const { after, settle } = tell(STORIES.failed_all_stored)
    expect(after.generation).toMatchObject({ state: 'complete', missing: 1 })
    expect(settle).toEqual({ kept: [0], lost: [1] })
  })

  it('when two attempts run, a finished one is found although the other never ends', () => {
    let record = tell([...sent(), unknown(), { kind: 'grace_over', callbacksWork: true }, ...sent(2), accepted(2), { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: null }]).after
    const asked: string[] = []
    for (let round = 0; round < 4; round++) {
      const now = record.generation.checkAt!
      const due = dueStep(record, now)
      if (due.step !== 'ask') throw new Error(`expected a question, not ${due.step}`)
      asked.push(due.attempt.id)
      record = decide(record, { kind: 'snapshot', attemptId: due.attempt.id, askedAt: now, snapshot: snapshot('running') }, now, POLICY).after
    }
    expect(new Set(asked)).toEqual(new Set(['a1', 'a2']))
  })

  it('an attempt that described its songs and failed leaves their places to the one that brings files', () => {
    const { after } = tell([
      ...sent(), unknown(), { kind: 'grace_over', callbacksWork: true }, ...sent(2), accepted(2), { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: null },
      saw(['partial', [song('x', null, { previewUrl: 'p', title: 'X' }), song('y', null)]]), saw(['failed', [], problem('provider_failed')]), saw(['succeeded', both], 2),
    ])
    expect(after.generation.state).toBe('saving')
    expect(finals(after).map(({ state, sourceUrl, providerResultId, title }) => [state, sourceUrl, providerResultId, title])).toEqual([
      ['known', 'u0', 'a', null], ['known', 'u1', 'b', null],
    ])
  })

  it('a song that the provider names twice takes one place only, so the other song has its own', () => {
    const { after } = tell([...running, saw(['succeeded', [both[0]!, both[0]!, both[1]!]])])
    expect(finals(after).map(({ providerResultId }) => providerResultId)).toEqual(['a', 'b'])
  })

  it('ids that come later, or in another order, do not mix songs up', () => {
    const { after } = tell([...running, saw(['partial', [song(null, 'u0'), song(null, 'u1')]]), stored(0), saw(['succeeded', [both[1]!, both[0]!]])])
    expect(finals(after).map(({ providerResultId, sourceUrl }) => [providerResultId, sourceUrl])).toEqual([['a', 'u0'], ['b', 'u1']])
  })

  it('a song that comes without a cover gets one of ours when the provider has told all; no cover is drawn in place of its own', () => {
    const covers = (told: typeof both, status: 'partial' | 'succeeded') =>
      tell([...running, saw([status, told])]).after.results.filter(({ role }) => role === 'cover').map(({ state, sourceUrl }) => [state, sourceUrl])
    const drawn = ['known', expect.stringMatching(/^drawn:/)]
    expect(covers(both, 'partial')).toEqual([])
    expect(covers(both, 'succeeded')).toEqual([drawn, drawn])
    expect(covers([song('a', 'u0', { coverUrl: 'c0' }), both[1]!], 'succeeded')).toEqual([['known', 'c0'], drawn])
  })

  it('a length that is not a whole number, or absurd, does not cost the file', () => {
    const { after } = tell([...running, saw(['succeeded', [song('a', 'u0', { durationMs: 183_500.7 }), song('b', 'u1', { durationMs: 1e12 })]])])
    expect(finals(after).map(({ state, providerDurationMs }) => [state, providerDurationMs])).toEqual([['known', 183_500], ['known', null]])
  })

  it('where a lost answer leaves nothing behind, a dead worker costs no grace and no failure: a new attempt', () => {
    const lost = tell([...sent(), { kind: 'lease_lost', repeatable: true }]).after
    expect(dueStep(lost, START + 3_000)).toEqual({ step: 'grace_over' })
    const { after } = tell([...sent(), { kind: 'lease_lost', repeatable: true }, { kind: 'grace_over', callbacksWork: false, repeatable: true }, slot(2)])
    expect(after.attempts.map(({ state }) => state)).toEqual(['unknown', 'intended'])
    expect(after.generation.state).toBe('submitting')
  })

  it('attempts that were lost with their workers make no wait longer: only refusals do', () => {
    const refused = (number: number): Evidence => ({ kind: 'refused', attemptId: `a${number}`, sent: true, error: problem('unavailable') })
    const lost = (number: number): Evidence[] => [slot(number), { kind: 'lease_lost' }]
    const waitAfter = (evidences: Evidence[]) => tell(evidences).after.generation.dispatchAt! - (START + evidences.length * 1_000)
    expect(waitAfter([...lost(1), ...lost(2), ...lost(3), ...sent(4), refused(4)])).toBe(1_000)
    expect(waitAfter([...lost(1), ...sent(2), refused(2), ...lost(3), ...sent(4), refused(4)])).toBe(2_000)
  })

  it.each([true, false])('a refusal that its provider calls final ends the request, whatever its class (sent: %s)', (wasSent) => {
    const { after, settle } = tell([...sent(), { kind: 'refused', attemptId: 'a1', sent: wasSent, error: { ...problem('unavailable'), final: true } }])
    expect(after.generation).toMatchObject({ state: 'failed', errorCode: 'unavailable' })
    expect(settle.lost).toEqual([0, 1])
  })

  it('bytes that come after every other attempt was refused are kept all the same', () => {
    const { after } = tell([
      ...sent(), { kind: 'lease_lost' }, { kind: 'grace_over', callbacksWork: true }, ...sent(2),
      { kind: 'refused', attemptId: 'a2', sent: true, error: problem('content_policy') }, { kind: 'finished', attemptId: 'a1', results: [bytes, bytes] },
    ])
    expect(after.generation.state).toBe('failed')
    expect(after.results.map(({ state }) => state)).toEqual(['known', 'known'])
  })

  it('trouble with our own disk refuses no song while somebody waits, is tried ever more rarely, and is not counted as failed fetching', () => {
    const failing = (code: 'storage_failed' | 'download_failed'): Evidence => ({ kind: 'unsaved', resultId: 'r0', code, detail: 'ENOSPC', final: false })
    let record = tell([...running, saw(['succeeded', both])]).after
    const waits: number[] = []
    const fail = (code: 'storage_failed' | 'download_failed') => {
      const was = record.results[0]!.tries
      const { after, events } = decide(record, failing(code), START, POLICY)
      record = after
      expect(record.results[0]!.tries, 'a new number gives the lease back').not.toBe(was)
      expect(events.at(0)).toMatchObject({ type: 'unsaved', data: { code } })
      return record.results[0]!
    }
    fail('download_failed')
    for (let tries = 0; tries < 50; tries++) waits.push(fail('storage_failed').nextAt! - START)
    expect(record.results[0]).toMatchObject({ state: 'known' })
    expect([waits, waits.at(-1)]).toEqual([waits.toSorted((a, b) => a - b), 60_000])
    for (let tries = 0; tries < 7; tries++) expect(fail('download_failed').state).toBe('known')
    expect(fail('download_failed')).toMatchObject({ state: 'refused', refusedCode: 'download_failed' })
  })

  it('trouble with our own disk after the end counts, so a late file is not tried for ever', () => {
    let record = tell([...running, saw(['succeeded', both]), { kind: 'deadline' }]).after
    for (let tries = 0; tries < 24; tries++) record = decide(record, { kind: 'unsaved', resultId: 'r0', code: 'storage_failed', detail: 'EIO', final: false }, START, POLICY).after
    expect(record.results[0]).toMatchObject({ state: 'refused', refusedCode: 'storage_failed' })
  })

  it('with every callback lost, a song is found within 90 seconds of being finished, whenever that is', () => {
    for (let finishedAfter = 1_000; finishedAfter < 560_000; finishedAfter += 3_000) {
      let record = tell(running, newRecord(), 0).after
      let found = 0
      while (!found) {
        const now = record.generation.checkAt!
        const done = now >= START + finishedAfter
        record = decide(record, { kind: 'snapshot', attemptId: 'a1', askedAt: now, snapshot: done ? snapshot('succeeded', both) : snapshot('running') }, now, POLICY).after
        if (record.generation.state === 'saving') found = now
      }
      expect(found - START - finishedAfter).toBeLessThanOrEqual(90_000)
    }
  })

  it('where callbacks arrive the provider is asked by them, and once in a while in case one gets lost; never more than 90 seconds late', () => {
    const text: Evidence = { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: snapshot('running', [song('a', null), song('b', null)]) }
    for (let finishedAfter = 20_000; finishedAfter < 560_000; finishedAfter += 3_000) {
      let record = decide(tell(running, newRecord(), 0).after, text, START + 15_000, POLICY).after
      let asked = 0
      let found = 0
      while (!found) {
        const now = record.generation.checkAt!
        const done = now >= START + finishedAfter
        record = decide(record, { kind: 'snapshot', attemptId: 'a1', askedAt: now, snapshot: done ? snapshot('succeeded', both) : snapshot('running') }, now, POLICY).after
        asked++
        if (record.generation.state === 'saving') found = now
      }
      expect(found - START - finishedAfter).toBeLessThanOrEqual(90_000)
      expect(asked).toBeLessThanOrEqual(2 + finishedAfter / 75_000)
    }
  })

  it('a callback without our token, or one that is late, puts no question off', () => {
    const asking = tell(running, newRecord(), 0).after
    const bare: Evidence = { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: null }
    expect(decide(asking, bare, START + 1_000, POLICY).after.generation.checkAt).toBeLessThanOrEqual(START + 1_000)
    const text: Evidence = { kind: 'hint', attemptId: 'a1', taskId: 't1', claimed: snapshot('running', []) }
    const due = asking.generation.checkAt!
    expect(decide(asking, text, due, POLICY).after.generation.checkAt).toBe(due)
    const empty = decide(asking, { kind: 'snapshot', attemptId: 'a1', askedAt: due, snapshot: snapshot('succeeded', []) }, due, POLICY).after
    expect(decide(empty, text, due + 1, POLICY).after.generation.checkAt).toBe(empty.generation.checkAt)
  })
})
