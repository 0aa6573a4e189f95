import { QueryClient, useQuery } from '@tanstack/react-query'
import { api, ApiProblem } from './api.ts'

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

export interface Info {
  demo?: boolean
  version?: string
  models?: string[]
  /** Models by provider. */
  modelsOf?: Record<string, string[]>
}

export const useInfo = () =>
  useQuery({ queryKey: ['info'], queryFn: () => api<Info>('/api/info'), staleTime: Infinity })

export interface Balance {
  available: number
  held: number
}

export const useBalance = () => useQuery({ queryKey: ['balance'], queryFn: () => api<Balance>('/api/balance') })

export interface Price {
  kind: string
  model?: string | null
  tokensPerResult: number
  results: number
}

/** The price of one generation of `kind`: the model's own line, else the line for all models. */
export function priceOf(prices: Price[], kind: string, model?: string): { tokens: number; results: number } | undefined {
  const lines = prices.filter((price) => price.kind === kind)
  const general = (price: Price) => !price.model || price.model === '*' || price.model === 'default'
  const line = lines.find((price) => price.model === model) ?? lines.find(general) ?? lines[0]
  return line && { tokens: line.tokensPerResult * line.results, results: line.results }
}

export const usePrices = () =>
  useQuery({
    queryKey: ['prices'],
    queryFn: () => api<{ items: Price[] }>('/api/prices'),
    select: (answer) => answer.items,
    staleTime: 60_000,
  })
