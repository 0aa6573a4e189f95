import { useInfiniteQuery } from '@tanstack/react-query'
import { api, type Page } from '../../app/api.ts'

export interface LedgerEntry {
  id: string | number
  at: string
  kind: string
  amount: number
  available?: number | null
  held?: number | null
  generationId?: string | null
  reason?: string | null
  /** The reason in the reader's words, when it is an error. */
  text?: string | null
}

export function useLedger() {
  return useInfiniteQuery({
    queryKey: ['ledger'],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      api<Page<LedgerEntry>>(`/api/ledger?limit=30${pageParam && `&cursor=${encodeURIComponent(pageParam)}`}`),
    getNextPageParam: (page) => page.nextCursor || undefined,
  })
}
