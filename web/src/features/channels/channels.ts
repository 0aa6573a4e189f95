import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, type Page } from '../../app/api.ts'
import { read, readPages } from '../../app/queries.ts'

export interface Settings {
  sunoPrompt?: string
  styleTags?: string[] | string
  platforms?: { youtube?: boolean; tiktok?: boolean; instagram?: boolean }
  promptVariants?: string[]
  promptVariantMode?: 'cyclic' | 'random' | 'fixed'
  targetDurationSec?: number
  clipSec?: number
  segmentDelayMs?: number
  maxParallelSegments?: number
  maxRetries?: number
  retryDelayMs?: number
  language?: string
  paused?: boolean
  lastJobId?: string | null
  lastJobStatus?: string | null
  [unknown: string]: unknown
}

export interface Channel {
  id: string
  name: string
  type: string
  language: string
  timezone: string
  musicClipsSettings: Settings
}

/** Seed 001's own answers: other names and other errors than the rest of the API. */
export interface Job {
  jobId: string
  channelId: string
  stage: string
  progressText?: string
  message?: string
  sunoTaskId?: string | null
  audioUrl?: string | null
  error?: string | null
  createdAt: string
  updatedAt?: string
  heartbeat?: { secondsSinceUpdate: number; isStale: boolean }
}

export const stageNumber = (job: Pick<Job, 'stage'>) => Number(/^STAGE_(\d+)/.exec(job.stage)?.[1] ?? 0)
export const isEnded = (job: Pick<Job, 'stage'>) => [50, 90, 99].includes(stageNumber(job))

const POLL_MS = 3000

export const useChannels = () => useInfiniteQuery({ queryKey: ['channels'], ...readPages<Page<Channel>>('/api/channels?limit=50') })

export function useJob(jobId: string | null | undefined, language: string) {
  return useQuery({
    queryKey: ['music-clips-job', jobId, language],
    enabled: Boolean(jobId),
    queryFn: read<Job>(`/api/music-clips/jobs/${encodeURIComponent(jobId!)}?lang=${language}`),
    refetchInterval: (query) => (query.state.data && isEnded(query.state.data) ? false : POLL_MS),
  })
}

export function useRunOnce(channelId: string, language: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () =>
      api<Job>(`/api/music-clips/channels/${encodeURIComponent(channelId)}/runOnce?lang=${language}`, { method: 'POST', body: {} }),
    onSettled: () => {
      for (const key of ['channels', 'balance', 'generations']) void client.invalidateQueries({ queryKey: [key] })
    },
  })
}

export type ChannelBody = Omit<Channel, 'id'>

export function useSaveChannel(id: string | undefined) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (body: ChannelBody) =>
      id
        ? api<Channel>(`/api/channels/${encodeURIComponent(id)}`, { method: 'PATCH', body })
        : api<Channel>('/api/channels', { method: 'POST', body }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['channels'] }),
  })
}

export function useDeleteChannel() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api(`/api/channels/${encodeURIComponent(id)}`, { method: 'DELETE' }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['channels'] }),
  })
}
