import { describe, expect, it } from 'vitest'
import { boardInterval, isMet, type Board, type Expiring, type Goal } from './archive.ts'

const met = (goal: Goal, value: number | null) => isMet({
  archivedBeforeExpiry: { percent: value, target: 95 }, failures: { percent: value, target: 1 },
  averageSeconds: { seconds: value, target: 300 }, lost: { count: value ?? 0, target: 0 },
} satisfies Board['targets'], goal)

describe('the goals of the archive', () => {
  it('are met at 95 % in time, below 1 % failures, below 5 minutes, with nothing lost', () => {
    expect([met('archivedBeforeExpiry', 95), met('failures', 0.9), met('averageSeconds', 299), met('lost', 0)]).toEqual([true, true, true, true])
    expect([met('archivedBeforeExpiry', 94.9), met('failures', 1), met('averageSeconds', 300), met('lost', 1)]).toEqual([false, false, false, false])
  })

  it('are neither met nor missed while nothing was measured', () => {
    expect([met('archivedBeforeExpiry', null), met('failures', null), met('averageSeconds', null)]).toEqual([null, null, null])
  })
})

it('is looked at closely only while something that was asked for is still to be saved', () => {
  const board = { expiringSoon: [{ trackId: 'a' } as Expiring] }
  expect(boardInterval(board, ['a'])).toBeLessThan(5000)
  expect([boardInterval(board, ['saved']), boardInterval(board, []), boardInterval(undefined, ['a'])]).toEqual([20_000, 20_000, 20_000])
})
