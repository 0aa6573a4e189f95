import { Link } from '@tanstack/react-router'
import { Bell as BellSign } from 'lucide-react'
import { LoadFailed } from '../../app/load-failed.tsx'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, buttonLook } from '../../ui/button.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Menu } from '../../ui/menu.tsx'
import { NoticeRow } from './notice-row.tsx'
import { badgeText, useLatestNotices, useMarkRead, useTellLanguage } from './notifications.ts'

/** What happened, in the frame of every page. `place`: the page's path; going elsewhere closes the panel. */
export function Bell({ place }: { place: string }) {
  const { t } = useI18n()
  useTellLanguage()
  const latest = useLatestNotices()
  const read = useMarkRead()
  const unread = latest.data?.unread ?? 0
  const items = latest.data?.items ?? []
  return (
    <Menu
      key={place}
      wide
      label={unread > 0 ? t('notices.bellUnread', { n: unread }) : t('notices.bell')}
      className="relative flex size-9 pointer-coarse:size-11 items-center justify-center rounded-lg text-soft hover:bg-sunken hover:text-ink"
      button={
        <>
          <BellSign size={19} aria-hidden />
          {unread > 0 && (
            <span
              aria-hidden="true"
              className="num absolute -top-0.5 left-1/2 min-w-5 rounded-full bg-accent px-1 text-center text-xs leading-5 font-semibold text-on-accent"
            >
              {badgeText(unread)}
            </span>
          )}
        </>
      }
    >
      <div className="mb-1 flex min-h-9 items-center justify-between gap-3 pl-2">
        <p className="text-sm font-semibold">{t('notices.title')}</p>
        {items.length > 0 && (
          <Button look="quiet" aria-disabled={read.isPending || unread === 0} onClick={() => !read.isPending && unread > 0 && read.mutate({ all: true })}>
            {t('notices.readAll')}
          </Button>
        )}
      </div>
      {latest.isPending && <Skeleton className="mb-3 h-24" />}
      <LoadFailed of={latest} className="mb-3" />
      {latest.data?.items.length === 0 && <p className="px-2 pb-3 text-sm text-soft">{t('notices.noneHint')}</p>}
      <ul className="max-h-[min(26rem,60dvh)] overflow-y-auto">
        {items.map((notice) => (
          <li key={notice.id}>
            <NoticeRow notice={notice} onFollow={({ id, readAt }) => readAt === null && read.mutate({ ids: [id] })} />
          </li>
        ))}
      </ul>
      <Link to="/notifications" className={buttonLook('quiet', 'mt-1 w-full')}>
        {t('notices.all')}
      </Link>
    </Menu>
  )
}
