import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, ApiProblem, bearer, requestHeaders, serverNow, type Page } from '../../app/api.ts'
import { usePollInterval } from '../../app/live.ts'
import { read, readPages } from '../../app/queries.ts'
import { currentLanguage } from '../../i18n/i18n.tsx'
import { isUnsettled } from './progress.ts'

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

export function useImageJob(id: string) {
  const interval = usePollInterval()
  return useQuery({
    queryKey: ['image-job', id],
    queryFn: read<ImageJob>(`/api/image-jobs/${encodeURIComponent(id)}`),
    refetchInterval: (query) => (query.state.data ? soon(isUnsettled(query.state.data, serverNow()), interval) : false),
  })
}

/** Small copies come without an event of their own, so open work is asked about more often than elsewhere. */
const soon = (open: boolean | undefined, interval: (open: boolean) => number | false): number | false => {
  const usual = interval(Boolean(open))
  return open && usual !== false ? Math.min(usual, 4000) : usual
}

export interface ImageOrder {
  key: string
  body: Record<string, unknown>
}

const sendAgain = (count: number, problem: Error) =>
  count < 3 && problem instanceof ApiProblem && (problem.status === 0 || problem.code.toLowerCase() === 'request_in_progress')

function useLookAgain() {
  const client = useQueryClient()
  return () => {
    for (const key of ['image-jobs', 'image-job', 'balance', 'ledger']) void client.invalidateQueries({ queryKey: [key] })
  }
}

export function useOrderImages() {
  const lookAgain = useLookAgain()
  return useMutation({
    mutationFn: ({ key, body }: ImageOrder) =>
      api<{ jobId: string }>(`/functions/v1/create-generation-job-banana?lang=${currentLanguage()}`, {
        method: 'POST', body, headers: { 'idempotency-key': key },
      }),
    retry: sendAgain,
    retryDelay: (count) => 800 * 2 ** count,
    onSettled: lookAgain,
  })
}

export type CardAct = { kind: 'retry' } | { kind: 'regenerate' } | { kind: 'edit'; instruction: string }

/** Makes a card again in a job of its own; the card itself stays as it is. */
export function useCardAct({ jobId, index }: Pick<Card, 'jobId' | 'index'>) {
  const lookAgain = useLookAgain()
  return useMutation({
    mutationFn: ({ act: { kind, ...more }, key }: { act: CardAct; key: string }) =>
      api<{ jobId: string }>(`/api/image-jobs/${encodeURIComponent(jobId)}/cards/${index}/${kind}`, {
        method: 'POST', body: more, headers: { 'idempotency-key': key },
      }),
    retry: sendAgain,
    onSettled: lookAgain,
  })
}

/** Sends a picture as it is; the server makes it anew from its pixels. */
export async function uploadPicture(file: File): Promise<{ url: string; previewUrl?: string }> {
  let response: Response
  try {
    response = await fetch('/api/uploads/images', {
      method: 'POST', headers: requestHeaders({ accept: 'application/json', 'content-type': file.type }), body: file, credentials: 'same-origin',
    })
  } catch {
    throw new ApiProblem(0, {})
  }
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>
  if (!response.ok || typeof body.url !== 'string') throw new ApiProblem(response.status, body)
  return { url: body.url, ...(typeof body.previewUrl === 'string' && { previewUrl: body.previewUrl }) }
}

const zipUrl = (jobId: string) => `/api/image-jobs/${encodeURIComponent(jobId)}/zip`

/** Where a link may fetch all pictures; a pasted token cannot travel with a link. */
export const zipLink = (jobId: string): string | undefined => (bearer() ? undefined : zipUrl(jobId))

/** The same with the token, by way of this page's memory. */
export async function saveZip(jobId: string, name: string): Promise<void> {
  const response = await fetch(zipUrl(jobId), { headers: requestHeaders() }).catch(() => undefined)
  if (!response?.ok) throw new ApiProblem(response?.status ?? 0, {})
  const url = URL.createObjectURL(await response.blob())
  const link = Object.assign(document.createElement('a'), { href: url, download: name })
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
