import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
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

export interface ByHand {
  key: string
  userId: string
  amount: number
  reason: string
}

/** Gives tokens or takes some back, as the path says; a try that is repeated is made once. */
export function useByHand(path: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ key, ...body }: ByHand) =>
      api(path, { method: 'POST', body, headers: { 'idempotency-key': key } }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['ledger'] })
      void client.invalidateQueries({ queryKey: ['balance'] })
    },
  })
}
