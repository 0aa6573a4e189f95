import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, type Page } from '../../app/api.ts'
import { en, type Key } from '../../i18n/en.ts'
import { paid } from '../../app/paid.ts'
import { read, readPages } from '../../app/queries.ts'

export interface Movement {
  id: number
  at: string
  kind: string
  amount: number
  userId: string
  subject: string | null
  fromAccount: string
  toAccount: string
  generationId: string | null
  imageJobId: string | null
  itemIndex: number | null
  reason: string
  /** The reason in the reader's words, when it is an error. */
  text: string | null
  actor: string
}

export const KINDS = ['signup', 'grant', 'hold', 'capture', 'release', 'adjustment'] as const

/** As the form has it; empty fields do not narrow. Times are the reader's own, as `<input type="datetime-local">` says them. */
export interface Search {
  userId: string
  generationId: string
  kind: string
  from: string
  to: string
}

export const NO_SEARCH: Search = { userId: '', generationId: '', kind: '', from: '', to: '' }

/** What the server is asked for. */
export function searchQuery(search: Search): string {
  const query = new URLSearchParams()
  for (const name of ['userId', 'generationId', 'kind'] as const) if (search[name].trim()) query.set(name, search[name].trim())
  for (const name of ['from', 'to'] as const) {
    const at = Date.parse(search[name])
    if (!Number.isNaN(at)) query.set(name, new Date(at).toISOString())
  }
  return query.toString()
}

export const useMovements = (search: Search, enabled: boolean) => {
  const query = searchQuery(search)
  return useInfiniteQuery({
    queryKey: ['ledger', 'explorer', query],
    enabled,
    ...readPages<Page<Movement>>(`/api/ledger/explorer?limit=50${query && `&${query}`}`),
  })
}

/** How a promise about tokens is broken, in the reader's words; one that this page does not know yet by its own name. */
export function promiseText(promise: string, t: (key: Key) => string): string {
  const key = `promise.${promise}`
  return Object.hasOwn(en, key) ? t(key as Key) : promise
}

export interface Health {
  last: { at: string; found: number; violations: { promise: string; userId: string; generationId: string | null }[] } | null
  failure: { at: string; error: string } | null
  nextAt: string
}

export const useHealth = (enabled: boolean) =>
  useQuery({ queryKey: ['ledger-health'], queryFn: read<Health>('/api/ledger/health'), enabled, refetchInterval: 60_000 })

export function useCheckNow() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => api<Health>('/api/ledger/check', { method: 'POST', body: {} }),
    onSettled: () => void client.invalidateQueries({ queryKey: ['ledger-health'] }),
  })
}

export interface PriceLine {
  kind: string
  provider: string
  model: string
}

export interface PriceChange extends PriceLine {
  id: number
  at: string
  before: number | null
  after: number | null
  actor: string
}

/** Every part stands in the address, since the general one has a name too: `*`. */
export const priceAddress = ({ kind, provider, model }: PriceLine): string => `/api/prices/${[kind, provider || '*', model || '*'].map(encodeURIComponent).join('/')}`

export const usePriceChanges = (enabled: boolean) =>
  useQuery({ queryKey: ['price-changes'], queryFn: read<Page<PriceChange>>('/api/price-changes?limit=20'), enabled })

/** Sets a price, or with null takes it away. */
export function useSetPrice() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ tokens, ...line }: PriceLine & { tokens: number | null }) =>
      api(priceAddress(line), tokens === null ? { method: 'DELETE' } : { method: 'PUT', body: { tokensPerResult: tokens } }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['prices'] })
      void client.invalidateQueries({ queryKey: ['price-changes'] })
    },
  })
}

export interface ByHand {
  userId: string
  amount: number
  reason: string
}

/** Gives tokens or takes some back, as the path says; a try that is repeated is made once. */
export function useByHand(path: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (body: ByHand) => paid(path, body),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['ledger'] })
      void client.invalidateQueries({ queryKey: ['balance'] })
    },
  })
}
