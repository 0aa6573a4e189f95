import { Link } from '@tanstack/react-router'
import { Ban, Clock, Images, LoaderCircle } from 'lucide-react'
import { serverNow } from '../../app/api.ts'
import { Listing } from '../../app/listing.tsx'
import { itemsOf } from '../../app/queries.ts'
import { momentText } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { buttonLook } from '../../ui/button.tsx'
import { Empty, Skeleton } from '../../ui/empty.tsx'
import { cardIcon, cardName } from './card-choice.tsx'
import { altOf, ratioStyle } from './card-dialogs.tsx'
import { ImageComposer } from './composer.tsx'
import { useImageJobs, type Card, type ImageJob } from './images.ts'
import { JobBadge, tallyText } from './job-badge.tsx'
import { Picture } from './picture.tsx'
import { isJobOpen } from './progress.ts'

export function ImagesPage() {
  return (
    <>
      <NowOpen />
      <div className="grid items-start gap-8 lg:grid-cols-[minmax(0,25rem)_minmax(0,1fr)]">
        <ImageComposer />
        <JobList />
      </div>
    </>
  )
}

/** On narrow pages the list is far below: what is at work is said above. */
function NowOpen() {
  const i18n = useI18n()
  const { t } = i18n
  const open = itemsOf(useImageJobs()).filter(isJobOpen)
  if (open.length === 0) return null
  return (
    <nav aria-label={t('images.nowOpen')} className="sheet mb-5 px-4 py-2 lg:hidden">
      {open.slice(0, 3).map((job) => (
        <Link key={job.id} to="/images/$id" params={{ id: job.id }} className="flex min-h-10 items-center gap-3 py-1 text-sm">
          <LoaderCircle size={16} className="shrink-0 animate-spin text-accent" aria-hidden />
          <span className="min-w-0 flex-1 truncate font-medium">{job.productName || t('gen.untitled')}</span>
          <span className="num shrink-0 text-xs text-soft">{tallyText(job, i18n).split(' · ')[0]}</span>
        </Link>
      ))}
    </nav>
  )
}

/** What was asked for, newest first: whoever left finds it here as it stands. */
function JobList() {
  const { t } = useI18n()
  const list = useImageJobs()
  const jobs = itemsOf(list)
  return (
    <section aria-labelledby="image-jobs" className="min-w-0">
      <div className="mb-3 flex items-center justify-between gap-3">
        <h2 id="image-jobs" className="text-sm font-medium text-soft">
          {t('images.list')}
        </h2>
        {jobs.length > 0 && (
          <Link to="/images/gallery" className={buttonLook('quiet', '-my-2 text-accent')}>
            <Images size={16} aria-hidden />
            {t('images.gallery')}
          </Link>
        )}
      </div>
      <Listing
        of={list}
        count={jobs.length}
        failed={t('images.loadFailed')}
        skeleton={[0, 1].map((i) => (
          <div key={i} className="sheet mb-3 p-5">
            <Skeleton className="h-5 w-1/2" />
            <div className="mt-4 grid grid-cols-3 gap-2 sm:grid-cols-6">
              {[0, 1, 2].map((j) => (
                <Skeleton key={j} className="aspect-[3/4]" />
              ))}
            </div>
          </div>
        ))}
        empty={
          <div className="sheet">
            <Empty title={t('images.emptyTitle')} text={t('images.emptyText')} />
          </div>
        }
      >
        <ul className="grid gap-3">
          {jobs.map((job) => (
            <li key={job.id} className="min-w-0">
              <JobRow job={job} />
            </li>
          ))}
        </ul>
      </Listing>
    </section>
  )
}

function JobRow({ job }: { job: ImageJob }) {
  const i18n = useI18n()
  const { t, tokens, language } = i18n
  const title = job.productName || t('gen.untitled')
  return (
    <article className="sheet relative p-4 hover:border-edge sm:p-5">
      <div className="flex items-start gap-3">
        <div className="min-w-0 flex-1">
          <h3 className="leading-6 font-semibold tracking-tight">
            {/* The whole sheet leads there. */}
            <Link to="/images/$id" params={{ id: job.id }} className="line-clamp-2 min-h-6 after:absolute after:inset-0 after:rounded-2xl hover:underline">
              {title}
            </Link>
          </h3>
          <p className="num text-xs text-soft">
            {[momentText(job.createdAt, language, serverNow()), tokens(job.tokensCost), tallyText(job, i18n)].join(' · ')}
            {job.sourceJobId && <span className="block">{t('images.fromJob')}</span>}
          </p>
        </div>
        <JobBadge job={job} />
      </div>
      <ul className="mt-3 grid grid-cols-4 gap-2 sm:grid-cols-6">
        {job.cards.map((card) => (
          <li key={card.id} className="overflow-hidden rounded-lg bg-sunken" style={ratioStyle(job.aspectRatio)}>
            <Tile job={job} card={card} />
          </li>
        ))}
      </ul>
    </article>
  )
}

function Tile({ job, card }: { job: ImageJob; card: Card }) {
  const i18n = useI18n()
  const name = cardName(card.type, i18n)
  if (card.status === 'completed' && card.imageUrl) return <Picture card={card} ratio={job.aspectRatio} alt={altOf(job, name)} />
  const said = i18n.t(`images.${card.status}`)
  const look = card.status === 'failed' ? 'bg-danger-wash text-danger' : card.status === 'retrying' ? 'text-warn' : 'text-soft'
  return (
    <span title={`${name}: ${said}`} className={`flex size-full items-center justify-center ${look}`}>
      {card.status === 'failed' ? <Ban size={18} aria-hidden /> : card.status === 'retrying' ? <Clock size={18} aria-hidden /> : card.status === 'processing' ? <LoaderCircle size={18} className="animate-spin text-accent" aria-hidden /> : cardIcon(card.type)}
      <span className="sr-only">{`${name}: ${said}`}</span>
    </span>
  )
}
