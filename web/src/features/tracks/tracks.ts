import { useInfiniteQuery, useMutation, useQuery, useQueryClient, type InfiniteData } from '@tanstack/react-query'
import { api, bearer, type Page } from '../../app/api.ts'
import { usePollInterval } from '../../app/live.ts'
import { read, readPages } from '../../app/queries.ts'

/** One song, stored or expected. `audioUrl` is the best address there is: ours, else its provider's. */
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
  providerUrl?: string | null
  previewUrl?: string | null
  coverUrl?: string | null
  expiresAt?: string | null
  saving?: 'waiting' | 'working' | 'resting' | 'gone' | null
  nextTryAt?: string | null
  generationId?: string | null
  /** Missing on songs that are only expected. */
  createdAt?: string
}

/** Whether we have a copy of our own. */
export const isStored = (track: Pick<Track, 'audioUrl' | 'providerUrl'>) => Boolean(track.audioUrl) && track.audioUrl !== track.providerUrl

/** A track of its own whose song is only at its provider, or nowhere. */
export const isUnsaved = (track: Track) => track.createdAt !== undefined && !isStored(track)

/** Where it can be heard, best first. */
export const sourcesOf = (track: Pick<Track, 'audioUrl' | 'providerUrl'>): string[] =>
  [track.audioUrl, track.providerUrl].filter((url): url is string => Boolean(url))

/** Where the file itself is fetched, under a good name. A pasted token cannot travel with a link: then the plain address. */
export function downloadUrl(track: Track): string | undefined {
  if (!track.audioUrl) return undefined
  return bearer() || !isStored(track) ? track.audioUrl : `${trackPath(track.id)}/audio?download=1`
}

/** The whole library as one ZIP. A pasted token cannot travel with a link. */
export const exportUrl = (): string | undefined => (bearer() ? undefined : '/api/export')

const trackPath = (id: string) => `/api/tracks/${encodeURIComponent(id)}`
export const getTrack = (id: string) => api<Track>(trackPath(id))

const isBeingSaved = (track: Track) => isUnsaved(track) && track.saving !== 'gone' && track.saving !== 'resting'

export function useTracks() {
  const interval = usePollInterval()
  return useInfiniteQuery({
    queryKey: ['tracks'],
    ...readPages<Page<Track>>('/api/tracks?limit=24'),
    refetchInterval: (query) => (query.state.data?.pages.some((page) => page.items.some(isBeingSaved)) ? interval(true) : false),
  })
}

export function useTrack(id: string | undefined) {
  const interval = usePollInterval()
  return useQuery({
    queryKey: ['tracks', 'one', id],
    enabled: id !== undefined,
    queryFn: read<Track>(trackPath(id!)),
    refetchInterval: (query) => (query.state.data && isBeingSaved(query.state.data) ? interval(true) : false),
  })
}

export function useDeleteTrack() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => api(trackPath(id), { method: 'DELETE' }),
    onSuccess: (_, id) => {
      client.setQueryData<InfiniteData<Page<Track>>>(
        ['tracks'],
        (data) =>
          data && { ...data, pages: data.pages.map((page) => ({ ...page, items: page.items.filter((track) => track.id !== id) })) },
      )
      void client.invalidateQueries({ queryKey: ['tracks', 'one', id] })
      void client.invalidateQueries({ queryKey: ['generations'] })
    },
  })
}
