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

/** What of a list has come so far. */
export const itemsOf = <T>(list: { data?: { pages: Page<T>[] } }): T[] => list.data?.pages.flatMap((page) => page.items) ?? []

export interface Info {
  demo?: boolean
  version?: string
  models?: string[]
  /** Models by provider. */
  modelsOf?: Record<string, string[]>
  /** Which model each provider takes when none is named: its price then holds. */
  defaultModels?: Record<string, string>
  /** Who makes the pictures of image jobs. */
  imageProvider?: string
}

const INFO = { queryKey: ['info'], queryFn: read<Info>('/api/info') }

export const useInfo = () =>
  useQuery({ ...INFO, staleTime: Infinity })

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

export interface Priced {
  kind: string
  provider?: string
  model?: string
  /** How many results, where the request says so. */
  results?: number
}

/** The price of one generation: the provider's own line for the model, else for all its models, else what all cost. */
export function priceOf(prices: Price[], { kind, provider, model: named, results }: Priced, { defaultModels }: Info): { tokens: number; results: number } | undefined {
  const model = named ?? defaultModels?.[provider ?? '']
  const general = (name: string | null | undefined) => !name || name === '*' || name === 'default'
  const fits = (own: string | null | undefined, wanted: string | undefined) => general(own) || own === wanted
  const exact = (price: Price) => (general(price.provider) ? 0 : 2) + (general(price.model) ? 0 : 1)
  const lines = prices.filter((price) => price.kind === kind && fits(price.provider, provider) && fits(price.model, model))
  const line = lines.sort((a, b) => exact(b) - exact(a))[0]
  const count = results ?? line?.results ?? 0
  return line && { tokens: line.tokensPerResult * count, results: count }
}

const PRICES = { queryKey: ['prices'], queryFn: read<{ items: Price[] }>('/api/prices') }

export const usePrices = () => useQuery({ ...PRICES, select: (answer) => answer.items, staleTime: 60_000 })

/** What it costs as far as this page knows; with `failed`, that could not be read. */
export function usePrice(asked: Priced) {
  const [prices, info] = [usePrices(), useInfo()]
  return {
    price: prices.data && info.data && priceOf(prices.data, asked, info.data),
    failed: prices.isError || info.isError,
    again: () => void Promise.all([prices.refetch(), info.refetch()]),
  }
}

/** It costs something else by now than what was shown. */
export class PriceChanged extends Error {
  readonly tokens: number

  constructor(tokens: number) {
    super('the price has changed')
    this.tokens = tokens
  }
}

/** What is about to be bought, and the tokens that the page shows for it. */
export interface Offer {
  asked: Priced
  shown: number | undefined
}

/** Reads the price anew, right before tokens are spent. Throws `PriceChanged` when it is not what is shown; by then it is. */
export async function checkPrice({ asked, shown }: Offer): Promise<void> {
  const [info, prices] = await Promise.all([queryClient.fetchQuery({ ...INFO, retry: false }), queryClient.fetchQuery({ ...PRICES, staleTime: 0, retry: false })])
  const now = priceOf(prices.items, asked, info)
  if (now && now.tokens !== shown) throw new PriceChanged(now.tokens)
}
