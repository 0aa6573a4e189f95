import { Link } from '@tanstack/react-router'
import { Archive, CircleAlert, CircleCheck, CircleDashed, CircleX, Coins } from 'lucide-react'
import type { ReactNode } from 'react'
import { Moment } from '../../app/moment.tsx'
import { useI18n } from '../../i18n/i18n.tsx'
import { wayOf, type NoticeItem } from './notifications.ts'

function mark({ kind, type }: NoticeItem): ReactNode {
  if (kind === 'balance_low') return <Coins size={18} className="text-warn" />
  if (kind === 'archive_failed') return <Archive size={18} className="text-warn" />
  if (type === 'success') return <CircleCheck size={18} className="text-accent" />
  if (type === 'error') return <CircleX size={18} className="text-danger" />
  if (type === 'warning') return <CircleAlert size={18} className="text-warn" />
  return <CircleDashed size={18} className="text-soft" />
}

/** One notice; following it also marks it as read. */
export function NoticeRow({ notice, onFollow }: { notice: NoticeItem; onFollow: (notice: NoticeItem) => void }) {
  const { t } = useI18n()
  const way = wayOf(notice.link)
  const unread = notice.readAt === null
  const look = 'flex w-full gap-3 rounded-lg px-2 py-2.5 text-left -outline-offset-2 hover:bg-sunken'
  const inner = (
    <>
      <span aria-hidden="true" className="mt-0.5 shrink-0">
        {mark(notice)}
      </span>
      <span className="min-w-0 flex-1">
        <span className="flex items-baseline justify-between gap-3">
          <span className={`text-sm ${unread ? 'font-semibold' : ''}`}>{notice.title}</span>
          <Moment at={notice.createdAt} className="num shrink-0 text-xs text-soft" />
        </span>
        <span className="block text-sm text-soft">{notice.message}</span>
      </span>
      <span className="mt-1.5 size-2 shrink-0">
        {unread && (
          <span className="block size-2 rounded-full bg-accent">
            <span className="sr-only">{t('notices.unread')}</span>
          </span>
        )}
      </span>
    </>
  )
  const follow = () => onFollow(notice)
  if (way && 'inside' in way) {
    return (
      <Link to={way.inside} onClick={follow} className={look}>
        {inner}
      </Link>
    )
  }
  if (way) {
    return (
      <a href={way.outside} onClick={follow} className={look}>
        {inner}
      </a>
    )
  }
  return (
    <button type="button" onClick={follow} className={look}>
      {inner}
    </button>
  )
}
