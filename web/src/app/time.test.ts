import { describe, expect, it } from 'vitest'
import { clockText } from './time.ts'

describe('elapsed time', () => {
  it('is written as minutes and seconds, with hours only when there are some', () => {
    expect([0, 7000, 83_999, 600_000, 3_723_000].map(clockText)).toEqual(['0:00', '0:07', '1:23', '10:00', '1:02:03'])
  })

  it('a clock that runs behind the server never shows a negative time', () => {
    expect(clockText(-5000)).toBe('0:00')
  })
})
