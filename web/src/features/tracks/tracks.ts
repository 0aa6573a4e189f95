import { useInfiniteQuery, useMutation, useQueryClient, type InfiniteData } from '@tanstack/react-query'
import { api, bearer, type Page } from '../../app/api.ts'

/** One stored or expected song. `audioUrl` is empty until our own copy is published. */
export interface Track {
  id: string
  title: string | null
  durationMs?: number | null
  variant?: number | null
  archived?: boolean
  sha256?: string | null
  bytes?: number | null
  mime?: string | null
  audioUrl?: string | null
  previewUrl?: string | null
  coverUrl?: string | null
  expiresAt?: string | null
  generationId?: string | null
  createdAt?: string
}

/** Where the file itself is fetched, under a good name. A pasted token cannot travel with a link: then the plain address. */
export function downloadUrl(track: Track): string | undefined {
  if (!track.audioUrl) return undefined
  return bearer() ? track.audioUrl : `/api/tracks/${encodeURIComponent(track.id)}/audio?download=1`
}

export const getTrack = (id: string) => api<Track>(`/api/tracks/${encodeURIComponent(id)}`)

export function useTracks() {
  return useInfiniteQuery({
    queryKey: ['tracks'],
    initialPageParam: '',
    queryFn: ({ pageParam }) => api<Page<Track>>(`/api/tracks?limit=24${pageParam && `&cursor=${encodeURIComponent(pageParam)}`}`),
    getNextPageParam: (page) => page.nextCursor || undefined,
  })
}

export function useDeleteTrack() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api(`/api/tracks/${encodeURIComponent(id)}`, { method: 'DELETE' }),
    onSuccess: (_, id) => {
      client.setQueryData<InfiniteData<Page<Track>>>(
        ['tracks'],
        (data) =>
          data && { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.filter((track) => track.id !== id) })) },
      )
      void client.invalidateQueries({ queryKey: ['generations'] })
    },
  })
}
