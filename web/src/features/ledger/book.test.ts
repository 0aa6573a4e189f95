import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { en } from '../../i18n/en.ts'
import { NO_SEARCH, priceAddress, promiseText, searchQuery } from './book.ts'

describe('the operator’s ledger', () => {
  it('asks only for what is filled in, and says the reader’s own times in UTC', () => {
    expect(searchQuery(NO_SEARCH)).toBe('')
    expect(searchQuery({ ...NO_SEARCH, userId: ' someone@example.com ', kind: 'grant' })).toBe('userId=someone%40example.com&kind=grant')
    const query = new URLSearchParams(searchQuery({ ...NO_SEARCH, from: '2026-03-01T10:30', to: 'not a time' }))
    expect([...query.keys()]).toEqual(['from'])
    expect(query.get('from')).toBe(new Date(2026, 2, 1, 10, 30).toISOString())
  })

  it('has words for every promise that the look at the ledger can find broken', () => {
    const view = readFileSync(join(import.meta.dirname, '../../../../server/src/features/ledger/sql/10-ledger.sql'), 'utf8').split('view reprise.ledger_violations as')[1]!
    const promises = [...view.matchAll(/^ {2}select '([^']+)'/gm)].map((match) => match[1]!)
    expect(promises).toHaveLength(7)
    for (const promise of promises) expect(promiseText(promise, (key) => en[key])).not.toBe(promise)
    expect(promiseText('one of tomorrow', (key) => en[key])).toBe('one of tomorrow')
  })

  it('names a price by all three parts, also a model with slashes', () => {
    expect(priceAddress({ kind: 'song', provider: '', model: '' })).toBe('/api/prices/song/*/*')
    expect(priceAddress({ kind: 'video', provider: 'replicate', model: 'owner/name:v1' })).toBe('/api/prices/video/replicate/owner%2Fname%3Av1')
  })
})
