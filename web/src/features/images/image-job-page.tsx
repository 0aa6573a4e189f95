import { Link, useParams } from '@tanstack/react-router'
import { FolderDown, LoaderCircle } from 'lucide-react'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { Missing } from '../../app/missing.tsx'
import { Moment } from '../../app/moment.tsx'
import { usePageName } from '../../app/page-name.ts'
import { problemText } from '../../app/problem-text.ts'
import { clockText, useNow } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { BackLink } from '../../ui/back-link.tsx'
import { Button, buttonLook } from '../../ui/button.tsx'
import { CopyValue } from '../../ui/copy-button.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Notice } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/sheet.tsx'
import { cardName } from './card-choice.tsx'
import { saveZip, useImageJob, zipLink, type ImageJob } from './images.ts'
import { ImageCard } from './image-card.tsx'
import { JobBadge, JobBar, tallyText } from './job-badge.tsx'
import { fileName, isJobOpen, lineOf, newsOf, shapeOf } from './progress.ts'

/** One job as it is now: a card each, live while it runs, and everything that was asked for. */
export function ImageJobPage() {
  const { t } = useI18n()
  const { id } = useParams({ strict: false }) as { id: string }
  const asked = useImageJob(id)
  const job = asked.data
  usePageName(job && (job.productName || t('gen.untitled')))
  return (
    <>
      <BackLink to="/images">{t('images.back')}</BackLink>
      {asked.isPending && (
        <div aria-busy="true" className="grid gap-4">
          <Skeleton className="h-28 rounded-2xl" />
          <div className="grid grid-cols-2 gap-4 sm:grid-cols-3">
            {[0, 1, 2].map((i) => (
              <Skeleton key={i} className="aspect-[3/5] rounded-2xl" />
            ))}
          </div>
        </div>
      )}
      <Missing of={asked} text={t('images.loadFailed')} />
      {job && <Whole key={job.id} job={job} />}
    </>
  )
}

function Whole({ job }: { job: ImageJob }) {
  const i18n = useI18n()
  const { t } = i18n
  const open = isJobOpen(job)
  // What nothing of ours ended says so only here.
  const told = (job.cards.length === 0 || job.cards.some((card) => card.status === 'failed' && card.generationId === null)) && job.errorMessage
  const { width, height } = shapeOf(job.aspectRatio)
  const wide = width > height
  const sizes = wide ? '(min-width: 1024px) 24rem, (min-width: 640px) 46vw, 92vw' : '(min-width: 1280px) 15.5rem, (min-width: 1024px) 14rem, (min-width: 640px) 31vw, 46vw'
  return (
    <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_minmax(0,19rem)]">
      <div className="grid min-w-0 gap-4 sm:gap-5">
        <section className="sheet p-5" aria-labelledby="image-job">
          <div className="flex items-start justify-between gap-4">
            <h1 id="image-job" className="text-xl leading-snug font-semibold tracking-tight">
              {job.productName || t('gen.untitled')}
            </h1>
            <div className="flex flex-col items-end gap-1 pt-1">
              <JobBadge job={job} />
              <Took job={job} open={open} />
            </div>
          </div>
          {job.sourceJobId && (
            <Link to="/images/$id" params={{ id: job.sourceJobId }} className="inline-flex min-h-6 items-center text-xs text-accent underline-offset-2 hover:underline">
              {t('images.fromJob')}
            </Link>
          )}
          <div className="mt-3">
            <JobBar job={job} />
          </div>
          <div className="mt-2 flex min-h-9 flex-wrap items-center justify-between gap-x-4 gap-y-2">
            <p role="status" className="num text-sm">
              {tallyText(job, i18n)}
            </p>
            <VersionNews job={job} />
            <Zip job={job} />
          </div>
          {told && (
            <Notice tone="danger" className="mt-2">
              {told}
            </Notice>
          )}
          {open && <p className="mt-1 text-xs text-soft">{t('images.leave')}</p>}
        </section>
        <ul className={`grid gap-3 sm:gap-4 ${wide ? 'sm:grid-cols-2' : 'grid-cols-2 sm:grid-cols-3'}`}>
          {job.cards.map((card) => (
            <li key={card.id} className="flex min-w-0 *:w-full">
              <ImageCard job={job} card={card} sizes={sizes} />
            </li>
          ))}
        </ul>
      </div>
      <Wishes job={job} />
    </div>
  )
}

/** Says how a picture that is made again fares, and then falls silent. */
function VersionNews({ job }: { job: ImageJob }) {
  const i18n = useI18n()
  const before = useRef(job)
  const [news, setNews] = useState('')
  useEffect(() => {
    const told = newsOf(before.current, job)
    before.current = job
    if (told.length > 0) setNews(told.map(({ key, type }) => i18n.t(key, { card: cardName(type, i18n) })).join(' '))
  }, [job, i18n])
  useEffect(() => {
    const timer = setTimeout(() => setNews(''), 5000)
    return () => clearTimeout(timer)
  }, [news])
  return (
    <span role="status" className="sr-only">
      {news}
    </span>
  )
}

function Took({ job, open }: { job: ImageJob; open: boolean }) {
  const { t } = useI18n()
  const running = open && !job.completedAt
  const now = useNow(running)
  const time = clockText((running ? now : Date.parse(job.completedAt ?? job.updatedAt)) - Date.parse(job.createdAt))
  return (
    <span className="num font-mono text-xs whitespace-nowrap text-soft" title={t(running ? 'gen.elapsed' : 'gen.took', { time })}>
      {time}
    </span>
  )
}

function Zip({ job }: { job: ImageJob }) {
  const i18n = useI18n()
  const { t } = i18n
  const [state, setState] = useState<'idle' | 'busy' | unknown>('idle')
  if (!job.cards.flatMap(lineOf).some(({ imageUrl }) => imageUrl)) return null
  const look = buttonLook('plain')
  const inside = (
    <>
      {state === 'busy' ? <LoaderCircle size={16} className="animate-spin" aria-hidden /> : <FolderDown size={16} aria-hidden />}
      {t(state === 'busy' ? 'images.zipMaking' : 'images.zip')}
    </>
  )
  const link = zipLink(job.id)
  if (link) {
    return (
      <a href={link} download className={look}>
        {inside}
      </a>
    )
  }
  const save = () => {
    setState('busy')
    saveZip(job.id, fileName([job.productName ?? ''], '').replace(/\.png$/, '.zip')).then(() => setState('idle'), setState)
  }
  return (
    <span className="flex flex-wrap items-center gap-2">
      {state instanceof Error && (
        <span role="alert" className="text-sm text-danger">
          {problemText(state, i18n)}
        </span>
      )}
      <Button disabled={state === 'busy'} onClick={save}>
        {inside}
      </Button>
    </span>
  )
}

function Wishes({ job }: { job: ImageJob }) {
  const { t, tokens } = useI18n()
  const { cost, held, captured, released } = job.tokens
  const rows: [string, ReactNode][] = [
    [t('images.category'), job.category],
    [t('images.ratio'), job.aspectRatio],
    [t('images.created'), <Moment key="at" at={job.createdAt} />],
    [t('images.receipt'), <strong key="p" className="font-semibold">{tokens(Math.max(cost, job.tokensCost))}</strong>],
    [t('detail.held'), held > 0 && tokens(held)],
    [t('detail.captured'), captured > 0 && tokens(captured)],
    [t('detail.released'), released > 0 && tokens(released)],
    [t('images.id'), <CopyValue key="id" value={job.id} label={t('images.id')} />],
  ]
  return (
    <Sheet title={t('images.wishes')}>
      {job.description && <p className="mb-3 text-sm whitespace-pre-line">{job.description}</p>}
      {job.productImages.length > 0 && (
        <ul aria-label={t('images.photosGiven')} className="mb-3 flex flex-wrap gap-2">
          {job.productImages.map((image) => (
            <li key={image.url}>
              <img src={image.previewUrl} alt={image.name} title={image.name} width={64} height={64} loading="lazy" className="size-16 rounded-lg bg-sunken object-cover text-[0.65rem]" />
            </li>
          ))}
        </ul>
      )}
      <dl className="grid gap-2 text-sm">
        {rows.map(([name, value]) =>
          value ? (
            <div key={name} className="flex flex-wrap items-baseline justify-between gap-x-4">
              <dt className="text-soft">{name}</dt>
              <dd className="num min-w-0">{value}</dd>
            </div>
          ) : null,
        )}
        {job.unifiedStyling && (
          <div>
            <dt className="text-soft">{t('images.styleUsed')}</dt>
            <dd className="text-xs">{(!job.automaticStyle && job.styleDescription) || t('images.unified')}</dd>
          </div>
        )}
      </dl>
    </Sheet>
  )
}
