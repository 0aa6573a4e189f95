import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api } from '../../app/api.ts'
import { read } from '../../app/queries.ts'

/** Percentages and seconds are of the last 30 days; null when there was nothing yet. */
export interface Board {
  targets: {
    archivedBeforeExpiry: { percent: number | null; target: number }
    failures: { percent: number | null; target: number }
    averageSeconds: { seconds: number | null; target: number }
    lost: { count: number; target: number }
  }
  counts: { archived: number; unverified: number; pending: number; urgent: number; expired: number; percentage: number }
  forecast: {
    newTracksPerMonth: number
    audioGb: number
    coverGb: number
    videoGb: number
    totalGb: number
    pricePerGbMonth: number
    usdPerMonth: number
  }
  expiringSoon: Expiring[]
  failures: Failure[]
  runs: { last: { at: string; ok: boolean; error: string | null } | null; nextAt: string }
}

export interface Expiring {
  trackId: string
  userId: string
  title: string | null
  expiresAt: string
  daysUntilExpiry: number
  audioStored: boolean
  lastError: string | null
  nextAt: string | null
}

export interface Failure {
  jobId: string
  trackId: string
  title: string | null
  error: string | null
  at: string
}

export type Goal = keyof Board['targets']

/** Whether a goal is met; null while nothing has been measured. */
export function isMet(targets: Board['targets'], goal: Goal): boolean | null {
  const { archivedBeforeExpiry, failures, averageSeconds, lost } = targets
  if (goal === 'archivedBeforeExpiry') return archivedBeforeExpiry.percent === null ? null : archivedBeforeExpiry.percent >= archivedBeforeExpiry.target
  if (goal === 'failures') return failures.percent === null ? null : failures.percent < failures.target
  if (goal === 'averageSeconds') return averageSeconds.seconds === null ? null : averageSeconds.seconds < averageSeconds.target
  return lost.count <= lost.target
}

/** How often to look: soon again as long as something that was asked for is still on the list. */
export const boardInterval = (board: Pick<Board, 'expiringSoon'> | undefined, asked: string[]): number =>
  board?.expiringSoon.some(({ trackId }) => asked.includes(trackId)) ? 2500 : 20_000

/** @param asked tracks that somebody here asked for */
export const useBoard = (enabled: boolean, asked: string[]) =>
  useQuery({ queryKey: ['archive'], queryFn: read<Board>('/api/archive'), enabled, refetchInterval: (query) => boardInterval(query.state.data, asked) })

export function useArchiveNow() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (trackId: string) => api<{ jobId: string }>(`/api/archive/${encodeURIComponent(trackId)}`, { method: 'POST', body: {} }),
    onSettled: () => void client.invalidateQueries({ queryKey: ['archive'] }),
  })
}
