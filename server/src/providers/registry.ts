import { AppError } from '../kernel/errors.ts'
import type { Provider } from './provider.ts'

export interface Registry {
  /** Every provider that can be asked now, current accounts only. */
  readonly all: readonly Provider[]
  /** The provider for new work; AppError `provider_not_configured` when there is none. */
  get(providerId: string): Provider
  find(providerId: string): Provider | null
  /** The provider that made an attempt: by its pinned account, else (key replaced meanwhile) the current one, else null. */
  forAttempt(providerId: string, account: string): Provider | null
}

/** With several accounts of one provider the first is the current one; the others only finish what they began. */
export function createRegistry(providers: readonly Provider[]): Registry {
  const current = new Map<string, Provider>()
  const byAccount = new Map<string, Provider>()
  for (const provider of providers) {
    const id = provider.descriptor.id
    if (!current.has(id)) current.set(id, provider)
    byAccount.set(`${id}\n${provider.account}`, provider)
  }
  const get = (providerId: string): Provider => {
    const provider = current.get(providerId)
    if (!provider) throw new AppError('provider_not_configured', { provider: providerId })
    return provider
  }
  return {
    all: [...current.values()],
    get,
    find: (providerId) => current.get(providerId) ?? null,
    forAttempt: (providerId, account) => byAccount.get(`${providerId}\n${account}`) ?? current.get(providerId) ?? null,
  }
}
