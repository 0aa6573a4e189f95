import { describe, expect, it } from 'vitest'
import { retriesFor } from './retries.ts'

const ended = (part: object) => ({ state: 'failed' as const, providerTaskId: 't1', missing: 0, error: null, ...part })

describe('which retries are offered', () => {
  it('without a task at the provider there is nothing to ask or fetch', () => {
    expect(retriesFor(ended({ providerTaskId: null }))).toEqual(['regenerate'])
  })

  it('a refusal of the words is not asked about again', () => {
    expect(retriesFor(ended({ error: { code: 'content_policy', message: '' } }))).toEqual(['regenerate'])
  })

  it('a file that could not be saved is fetched again, free', () => {
    expect(retriesFor(ended({ error: { code: 'bad_file', message: '' } }))).toEqual(['recheck', 'redownload', 'regenerate'])
    expect(retriesFor({ ...ended({ missing: 1 }), state: 'complete' })).toEqual(['recheck', 'redownload', 'regenerate'])
  })

  it('a time-out may still be answered', () => {
    expect(retriesFor({ ...ended({}), state: 'timed_out' })).toEqual(['recheck', 'regenerate'])
  })
})
