import { describe, expect, it } from 'vitest'
import { clockText, leftText } from './time.ts'

describe('elapsed time', () => {
  it('is written as minutes and seconds, with hours only when there are some', () => {
    expect([0, 7000, 83_999, 600_000, 3_723_000].map(clockText)).toEqual(['0:00', '0:07', '1:23', '10:00', '1:02:03'])
  })

  it('a clock that runs behind the server never shows a negative time', () => {
    expect(clockText(-5000)).toBe('0:00')
  })
})

describe('time that is left', () => {
  const day = 86_400_000
  it('is told in its two largest units, and never promises more than there is', () => {
    const said = [13 * day + 3 * 3_600_000 + 59_999, 2 * day, 3_600_000 + 90_000, 61_000, 59_999, 0, -5].map((ms) => leftText(ms, 'en'))
    expect(said).toEqual(['13 days 3 hours', '2 days', '1 hour 1 minute', '1 minute 1 second', '59 seconds', '0 seconds', '0 seconds'])
  })

  it('is told in the reader’s language', () => {
    expect([leftText(2 * day + 5 * 3_600_000, 'ru'), leftText(day + 3_600_000, 'fr')].map((text) => text.replace(/\s/g, ' '))).toEqual(['2 дня 5 часов', '1 jour 1 heure'])
  })
})
