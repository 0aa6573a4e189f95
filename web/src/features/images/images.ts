import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, bearer, fetchFile, serverNow, type Page } from '../../app/api.ts'
import { usePollInterval } from '../../app/live.ts'
import { paid, sendAgain } from '../../app/paid.ts'
import { checkPrice, PriceChanged, queryClient, read, readPages, type Offer } from '../../app/queries.ts'
import { currentLanguage } from '../../i18n/i18n.tsx'
import { isUnsettled, lineOf } from './progress.ts'

export type CardStatus = 'pending' | 'processing' | 'retrying' | 'completed' | 'failed'
export type JobStatus = 'pending' | 'processing' | 'completed' | 'failed'

/** One picture of a job, made or still to come. */
export interface Card {
  id: string
  /** Another one than the page's when it was made again from one of its cards. */
  jobId: string
  index: number
  type: string
  status: CardStatus
  imageUrl: string | null
  /** 480 pixels wide; comes a moment after the picture. */
  thumbnailUrl: string | null
  retryCount: number
  retryAfter: string | null
  /** Of a failed card, or of the last try of one that is tried again. `reason` is the model's own word for a refusal. */
  error: { code: string | null; message: string; retryable: boolean; reason?: string | null } | null
  /** It came after its tokens were given back. */
  arrivedLate: boolean
  /** None for what was made outside. */
  generationId: string | null
  startedAt: string | null
  completedAt: string | null
  tokens: { cost: number; held: number; captured: number; released: number }
  /** Tokens for what may be done with it now; null: not now. */
  prices: { retry: number | null; regenerate: number | null; edit: number | null }
  /** Of one job: what was made again from this card, in jobs of their own. Oldest first. */
  again?: Card[]
}

export interface GivenImage {
  url: string
  /** What an `<img>` can open, also for who signed in with a token. */
  previewUrl: string
  name: string
  type: 'product' | 'reference'
}

export interface ImageJob {
  id: string
  productName: string | null
  category: string | null
  description: string | null
  productImages: GivenImage[]
  status: JobStatus
  totalCards: number
  completedCards: number
  tokensCost: number
  tokens: { cost: number; held: number; captured: number; released: number }
  errorMessage: string | null
  startedAt: string | null
  completedAt: string | null
  createdAt: string
  updatedAt: string
  unifiedStyling: boolean
  styleDescription: string | null
  /** The style's words are ours: nobody asked for them. */
  automaticStyle: boolean
  styleSourceImageUrl: string | null
  sourceJobId: string | null
  aspectRatio: string
  cards: Card[]
}

export function useImageJobs() {
  const interval = usePollInterval()
  return useInfiniteQuery({
    queryKey: ['image-jobs'],
    ...readPages<Page<ImageJob>>('/api/image-jobs?limit=20'),
    refetchInterval: (query) => soon(query.state.data?.pages.some((page) => page.items.some((job) => isUnsettled(job, serverNow()))), interval),
  })
}

const jobPath = (id: string) => `/api/image-jobs/${encodeURIComponent(id)}`

export function useImageJob(id: string) {
  const interval = usePollInterval()
  return useQuery({
    queryKey: ['image-job', id],
    queryFn: read<ImageJob>(jobPath(id)),
    refetchInterval: (query) => (query.state.data ? soon(isUnsettled(query.state.data, serverNow()), interval) : false),
  })
}

/** Small copies come without an event of their own, so open work is asked about more often than elsewhere. */
const soon = (open: boolean | undefined, interval: (open: boolean) => number | false): number | false => {
  const usual = interval(Boolean(open))
  return open && usual !== false ? Math.min(usual, 4000) : usual
}

export type ImageOrder = Record<string, unknown>

function useLookAgain() {
  const client = useQueryClient()
  return () => Promise.all(['image-jobs', 'image-job', 'balance', 'ledger'].map((key) => client.invalidateQueries({ queryKey: [key] })))
}

/** Asks for pictures at the price that is shown. `onAccepted` is told even when the page has been left meanwhile. */
export function useOrderImages(onAccepted: () => void) {
  const lookAgain = useLookAgain()
  return useMutation({
    mutationFn: async ({ body, offer }: { body: ImageOrder; offer: Offer }) => {
      await checkPrice(offer)
      return paid<{ jobId: string }>(`/functions/v1/create-generation-job-banana?lang=${currentLanguage()}`, body)
    },
    onSuccess: onAccepted,
    retry: sendAgain,
    retryDelay: (count) => 800 * 2 ** count,
    onSettled: () => void lookAgain(),
  })
}

export type CardAct = { kind: 'retry' } | { kind: 'regenerate' } | { kind: 'edit'; instruction: string }

/**
 * Makes a card again in a job of its own; the card itself stays as it is. It is pending until the page shows what came of
 * it: a second click in between would be paid, too.
 */
export function useCardAct(pageJobId: string, card: Card, onBegun?: () => void) {
  const lookAgain = useLookAgain()
  return useMutation({
    mutationFn: async ({ kind, ...more }: CardAct) => {
      const job = await queryClient.fetchQuery({ queryKey: ['image-job', pageJobId], queryFn: read<ImageJob>(jobPath(pageJobId)), staleTime: 0, retry: false })
      const now = job.cards.flatMap(lineOf).find(({ id }) => id === card.id)?.prices[kind] ?? null
      if (now !== null && now !== card.prices[kind]) throw new PriceChanged(now)
      return paid<{ jobId: string }>(`${jobPath(card.jobId)}/cards/${card.index}/${kind}`, more)
    },
    onSuccess: onBegun,
    retry: sendAgain,
    onSettled: lookAgain,
  })
}

/** Sends a picture as it is; the server makes it anew from its pixels. */
export const uploadPicture = (file: File, signal: AbortSignal) => api<{ url: string; previewUrl: string }>('/api/uploads/images', { method: 'POST', body: file, signal })

const zipUrl = (jobId: string) => `${jobPath(jobId)}/zip`

/** Where a link may fetch all pictures; a pasted token cannot travel with a link. */
export const zipLink = (jobId: string): string | undefined => (bearer() ? undefined : zipUrl(jobId))

/** The same with the token, by way of this page's memory. */
export async function saveZip(jobId: string, name: string): Promise<void> {
  const url = URL.createObjectURL(await fetchFile(zipUrl(jobId)))
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
