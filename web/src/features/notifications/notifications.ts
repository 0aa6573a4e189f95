import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef } from 'react'
import { api, type Page } from '../../app/api.ts'
import { usePollInterval } from '../../app/live.ts'
import { read, readPages } from '../../app/queries.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import type { Language } from '../../i18n/translate.ts'

export interface NoticeItem {
  id: string
  kind: string | null
  type: string
  title: string
  message: string
  link: string | null
  readAt: string | null
  createdAt: string
}

export interface NoticePage extends Page<NoticeItem> {
  unread: number
}

export const KINDS = ['started', 'done', 'partly_done', 'failed', 'archive_failed', 'balance_low'] as const
export type Kind = (typeof KINDS)[number]

export interface Settings {
  kinds: Record<Kind, boolean>
  language: Language | null
  lowBalance: number
}

/** Where a notice leads: a path of this page is followed inside it, an address elsewhere is opened, anything else is no way. */
export function wayOf(link: string | null): { inside: string } | { outside: string } | null {
  if (link === null) return null
  // Two slashes would leave this page, and so would a backslash in a browser's eyes.
  if (/^\/(?![/\\])/.test(link)) return { inside: link }
  return /^https?:\/\//i.test(link) ? { outside: link } : null
}

/** As a badge shows it: beyond 99 nobody counts. */
export const badgeText = (unread: number): string => (unread > 99 ? '99+' : String(unread))

export function useLatestNotices() {
  const interval = usePollInterval()
  return useQuery({ queryKey: ['notices', 'latest'], queryFn: read<NoticePage>('/api/notifications?limit=8'), refetchInterval: interval(false) })
}

export function useAllNotices() {
  const interval = usePollInterval()
  return useInfiniteQuery({ queryKey: ['notices', 'all'], ...readPages<NoticePage>('/api/notifications?limit=30'), refetchInterval: interval(false) })
}

export function useMarkRead() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (what: { ids: string[] } | { all: true }) => api<{ unread: number }>('/api/notifications/read', { method: 'POST', body: what }),
    onSettled: () => void client.invalidateQueries({ queryKey: ['notices'] }),
  })
}

const SETTINGS = ['notice-settings']
export const useSettings = () => useQuery({ queryKey: SETTINGS, queryFn: read<Settings>('/api/notification-settings'), staleTime: 60_000 })

export function useSaveSettings() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (settings: Settings) => api<Settings>('/api/notification-settings', { method: 'PUT', body: settings }),
    onSuccess: (saved) => client.setQueryData(SETTINGS, saved),
  })
}

/** Lets the server know in which language this page is read: once for each choice, so that two devices never quarrel. */
export function useTellLanguage(): void {
  const { language } = useI18n()
  const settings = useSettings().data
  const { mutate } = useSaveSettings()
  const told = useRef<Language | null>(null)
  useEffect(() => {
    if (!settings || told.current === language) return
    told.current = language
    if (settings.language !== language) mutate({ ...settings, language })
  }, [settings, language, mutate])
}
