import { Link } from '@tanstack/react-router'
import { useEffect, useEffectEvent, useRef, useState } from 'react'
import { Listing } from '../../app/listing.tsx'
import { itemsOf } from '../../app/queries.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { BackLink } from '../../ui/back-link.tsx'
import { buttonLook } from '../../ui/button.tsx'
import { Empty, Skeleton } from '../../ui/empty.tsx'
import { altOf, ViewDialog } from './card-dialogs.tsx'
import { cardName } from './card-choice.tsx'
import { useImageJobs, type Card, type ImageJob } from './images.ts'
import { Picture } from './picture.tsx'

/** Every finished picture, small, in the order of its job. Only what comes into view is fetched. */
export function GalleryPage() {
  const i18n = useI18n()
  const { t } = i18n
  const list = useImageJobs()
  const [seen, setSeen] = useState<{ job: ImageJob; card: Card } | null>(null)
  const end = useRef<HTMLDivElement>(null)
  const pictures = itemsOf(list).flatMap((job) => job.cards.filter((card) => card.status === 'completed' && card.imageUrl).map((card) => ({ job, card })))
  const reach = useEffectEvent(() => {
    if (list.hasNextPage && !list.isFetchingNextPage && !list.isError) void list.fetchNextPage()
  })
  useEffect(() => {
    if (!end.current) return
    const watch = new IntersectionObserver(([entry]) => entry?.isIntersecting && reach(), { rootMargin: '400px' })
    watch.observe(end.current)
    return () => watch.disconnect()
    // Watched anew after each page: one that is too short to move its end out of view asks for the next.
  }, [list.data?.pages.length, list.hasNextPage])
  const columns = 'grid grid-cols-3 gap-2 sm:grid-cols-4 sm:gap-3 lg:grid-cols-6'
  return (
    <>
      <BackLink to="/images">{t('images.back')}</BackLink>
      <h1 className="text-2xl font-semibold tracking-tight">{t('images.gallery')}</h1>
      <p className="mt-1 mb-5 text-sm text-soft">{t('images.galleryHint')}</p>
      <Listing
        of={list}
        count={pictures.length}
        failed={t('images.loadFailed')}
        skeleton={
          <div className={columns}>
            {Array.from({ length: 12 }, (_, i) => (
              <Skeleton key={i} className="aspect-[3/4]" />
            ))}
          </div>
        }
        empty={
          <div className="sheet">
            <Empty title={t('images.galleryEmpty')} text={t('images.galleryEmptyText')}>
              <Link to="/images" className={buttonLook('primary')}>
                {t('images.galleryDo')}
              </Link>
            </Empty>
          </div>
        }
      >
        <ul className={columns}>
          {pictures.map(({ job, card }) => {
            const name = cardName(card.type, i18n)
            return (
              <li key={card.id}>
                <button
                  type="button"
                  aria-label={t('images.open', { card: altOf(job, name) })}
                  onClick={() => setSeen({ job, card })}
                  className="block aspect-[3/4] w-full overflow-hidden rounded-lg bg-sunken transition hover:brightness-95"
                >
                  <Picture card={card} ratio={job.aspectRatio} alt="" fit="contain" />
                </button>
              </li>
            )
          })}
        </ul>
      </Listing>
      <div ref={end} />
      {seen && <ViewDialog job={seen.job} card={seen.card} linkToJob onClose={() => setSeen(null)} />}
    </>
  )
}
