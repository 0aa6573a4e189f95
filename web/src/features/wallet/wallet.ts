import { useInfiniteQuery } from '@tanstack/react-query'
import type { Page } from '../../app/api.ts'
import { usePollInterval } from '../../app/live.ts'
import { readPages, useBalance } from '../../app/queries.ts'

export interface LedgerEntry {
  id: string | number
  at: string
  kind: string
  amount: number
  generationId?: string | null
  imageJobId?: string | null
  /** What was asked for. */
  title?: string | null
  reason?: string | null
  /** The reason in the reader's words, when it is an error. */
  text?: string | null
}

export function useLedger() {
  const interval = usePollInterval()
  // What is set aside moves on.
  const open = (useBalance().data?.held ?? 0) > 0
  return useInfiniteQuery({ queryKey: ['ledger'], ...readPages<Page<LedgerEntry>>('/api/ledger?limit=30'), refetchInterval: interval(open) })
}
