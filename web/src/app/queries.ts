import { QueryClient, useQuery } from '@tanstack/react-query'
import { api, ApiProblem, type Page } from './api.ts'
import { usePollInterval } from './live.ts'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      retry: (count, error) => count < 2 && error instanceof ApiProblem && (error.status === 0 || error.status >= 500),
      retryDelay: (count) => 500 * 2 ** count,
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
})

/** Reads an address of ours; ended when nobody waits for it any more. */
export const read = <T>(path: string) => ({ signal }: { signal: AbortSignal }) => api<T>(path, { signal })

/** Reads a list page by page. `path` has a query already. */
export const readPages = <P extends Page<unknown>>(path: string) => ({
  initialPageParam: '',
  queryFn: ({ pageParam, signal }: { pageParam: string; signal: AbortSignal }) =>
    api<P>(`${path}${pageParam && `&cursor=${encodeURIComponent(pageParam)}`}`, { signal }),
  getNextPageParam: (page: P) => page.nextCursor || undefined,
})

export interface Info {
  demo?: boolean
  version?: string
  models?: string[]
  /** Models by provider. */
  modelsOf?: Record<string, string[]>
}

export const useInfo = () =>
  useQuery({ queryKey: ['info'], queryFn: read<Info>('/api/info'), staleTime: Infinity })

export interface Balance {
  available: number
  held: number
}

export function useBalance() {
  const interval = usePollInterval()
  return useQuery({
    queryKey: ['balance'],
    queryFn: read<Balance>('/api/balance'),
    refetchInterval: (query) => interval((query.state.data?.held ?? 0) > 0),
  })
}

export interface Price {
  kind: string
  /** `*` for all. */
  provider?: string
  model?: string | null
  tokensPerResult: number
  results: number
}

interface Priced {
  kind: string
  provider?: string
  model?: string
  /** How many results, where the request says so. */
  results?: number
}

/** The price of one generation: the provider's own line for the model, else for all its models, else what all cost. */
export function priceOf(prices: Price[], { kind, provider, model, results }: Priced): { tokens: number; results: number } | undefined {
  const general = (name: string | null | undefined) => !name || name === '*' || name === 'default'
  const fits = (own: string | null | undefined, wanted: string | undefined) => general(own) || own === wanted
  const exact = (price: Price) => (general(price.provider) ? 0 : 2) + (general(price.model) ? 0 : 1)
  const lines = prices.filter((price) => price.kind === kind && fits(price.provider, provider) && fits(price.model, model))
  const line = lines.sort((a, b) => exact(b) - exact(a))[0]
  const count = results ?? line?.results ?? 0
  return line && { tokens: line.tokensPerResult * count, results: count }
}

export const usePrices = () =>
  useQuery({
    queryKey: ['prices'],
    queryFn: read<{ items: Price[] }>('/api/prices'),
    select: (answer) => answer.items,
    staleTime: 60_000,
  })
