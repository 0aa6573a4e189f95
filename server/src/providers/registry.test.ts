import { describe, expect, it } from 'vitest'
import { AppError } from '../kernel/errors.ts'
import { createProviderFetch } from './provider-fetch.ts'
import { createRegistry } from './registry.ts'
import { createPollOnly } from './testing/poll-only.ts'

const { fetch } = createProviderFetch()
const make = (apiKey: string) => createPollOnly({ apiKey, baseUrl: 'http://127.0.0.1:9', fetch })

describe('the registry', () => {
  const current = make('new')
  const former = make('old')
  const registry = createRegistry([current, former])

  it('new work goes to the current account', () => {
    expect(registry.get('poll-only')).toBe(current)
    expect(registry.all).toEqual([current])
  })
  it('an attempt is asked about at the account that made it, or at the current one when that is gone', () => {
    expect(registry.forAttempt('poll-only', former.account)).toBe(former)
    expect(registry.forAttempt('poll-only', 'poll-only/gone')).toBe(current)
  })
  it('a provider without a key is named', () => {
    expect(registry.forAttempt('suno', 'suno/x')).toBeNull()
    const missing = () => registry.get('suno')
    expect(missing).toThrow(AppError)
    expect(missing).toThrow(expect.objectContaining({ code: 'provider_not_configured', params: { provider: 'suno' } }))
  })
})
