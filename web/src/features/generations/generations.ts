import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, type Page } from '../../app/api.ts'
import { usePollInterval } from '../../app/live.ts'
import { paid, sendAgain } from '../../app/paid.ts'
import { checkPrice, read, readPages, type Offer } from '../../app/queries.ts'
import type { Track } from '../tracks/tracks.ts'
import type { TimelineEvent } from './event-sentence.ts'

export const OPEN_STATES = ['queued', 'submitting', 'generating', 'previewing', 'saving'] as const
export const FINAL_STATES = ['complete', 'failed', 'timed_out', 'cancelled'] as const
export type State = (typeof OPEN_STATES)[number] | (typeof FINAL_STATES)[number]

export const isOpen = (generation: Pick<Generation, 'state'>) =>
  (OPEN_STATES as readonly string[]).includes(generation.state)

export interface Attempt {
  number?: number
  state?: string
  providerTaskId?: string | null
  createdAt?: string | null
  sentAt?: string | null
  endedAt?: string | null
  errorCode?: string | null
}

export interface Receipt {
  cost?: number
  held?: number
  captured?: number
  released?: number
}

export interface Wishes {
  prompt?: string
  title?: string
  style?: string
  lyrics?: string
  instrumental?: boolean
  model?: string
  options?: Record<string, unknown>
}

export interface Generation {
  id: string
  state: State
  provider: string
  kind: string
  cost: number
  createdAt: string
  updatedAt?: string
  deadlineAt?: string
  finishedAt?: string | null
  title?: string | null
  prompt?: string
  progressText?: string
  providerTaskId?: string | null
  attempts?: Attempt[]
  tracks?: Track[]
  previews?: { index: number; previewUrl: string }[]
  request?: Wishes
  missing?: number
  arrivedLateAt?: string | null
  indeterminate?: boolean
  blockedReason?: string | null
  regeneratedFrom?: string | null
  imageJobId?: string | null
  error?: { code: string; message: string; retryable?: boolean; charged?: boolean } | null
  receipt?: Receipt
}

/** What was asked for. */
export const wishesIn = (generation: Generation): Wishes => generation.request ?? { prompt: generation.prompt }

export const titleOf = (generation: Generation, untitled: string) =>
  generation.title || generation.tracks?.find((track) => track.title)?.title || generation.prompt || untitled

/** The cards of image jobs have pages of their own. */
export function useGenerations() {
  const interval = usePollInterval()
  return useInfiniteQuery({
    queryKey: ['generations'],
    ...readPages<Page<Generation>>('/api/generations?limit=10&exceptOrigin=image-jobs'),
    refetchInterval: (query) => interval(query.state.data?.pages.some((page) => page.items.some(isOpen)) ?? false),
  })
}

export function useGeneration(id: string) {
  const interval = usePollInterval()
  return useQuery({
    queryKey: ['generation', id],
    queryFn: read<Generation>(`/api/generations/${encodeURIComponent(id)}`),
    refetchInterval: (query) => (query.state.data ? interval(isOpen(query.state.data)) : false),
  })
}

export function useEvents(id: string, open: boolean) {
  const interval = usePollInterval()
  return useQuery({
    queryKey: ['generation', id, 'events'],
    queryFn: ({ signal }) => allEvents(id, signal),
    refetchInterval: interval(open),
  })
}

/** A history is short, but it may span pages. */
async function allEvents(id: string, signal: AbortSignal): Promise<TimelineEvent[]> {
  const events: TimelineEvent[] = []
  for (let cursor = ''; ; ) {
    const page = await api<Page<TimelineEvent>>(
      `/api/generations/${encodeURIComponent(id)}/events?limit=100${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
      { signal },
    )
    events.push(...page.items)
    if (!page.nextCursor || events.length > 2000) return events
    cursor = page.nextCursor
  }
}

function useLookAgain() {
  const client = useQueryClient()
  return () => {
    for (const key of ['generations', 'generation', 'balance', 'ledger']) void client.invalidateQueries({ queryKey: [key] })
  }
}

export type Order = Wishes & { provider: string; kind: string }

/** Asks for a generation at the price that is shown. `onAccepted` is told even when the page has been left meanwhile. */
export function useOrder(onAccepted: () => void) {
  const lookAgain = useLookAgain()
  return useMutation({
    mutationFn: async ({ body, offer }: { body: Order; offer: Offer }) => {
      await checkPrice(offer)
      return paid<Generation>('/api/generations', body)
    },
    onSuccess: onAccepted,
    retry: sendAgain,
    retryDelay: (count) => 800 * 2 ** count,
    onSettled: lookAgain,
  })
}

export type Act = 'cancel' | 'recheck' | 'redownload' | 'regenerate'

export function useAct(id: string) {
  const lookAgain = useLookAgain()
  return useMutation({
    mutationFn: async ({ act, offer }: { act: Act; offer?: Offer }) => {
      if (offer) await checkPrice(offer)
      const path = `/api/generations/${encodeURIComponent(id)}/${act}`
      return act === 'regenerate' ? paid<Generation>(path) : api<Generation>(path, { method: 'POST', body: {} })
    },
    retry: sendAgain,
    onSettled: lookAgain,
  })
}
