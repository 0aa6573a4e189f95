import { useI18n, type I18n } from '../../i18n/i18n.tsx'
import { lookOf, standingOf, tallyOf, type JobLook } from './progress.ts'
import type { Card, ImageJob } from './images.ts'

const LOOKS: Partial<Record<JobLook, string>> = {
  completed: 'bg-wash text-accent',
  partly: 'bg-warn-wash text-warn',
  failed: 'bg-danger-wash text-danger',
}

export function JobBadge(props: { job: ImageJob }) {
  const { t } = useI18n()
  const look = lookOf(props.job)
  return <span className={`rounded-md px-2 py-0.5 text-xs font-medium whitespace-nowrap ${LOOKS[look] ?? 'bg-sunken text-ink'}`}>{t(`images.job.${look}`)}</span>
}

/** How far it is, in words. */
export function tallyText(job: ImageJob, { t }: I18n): string {
  const { all, done, failed, retrying, again } = tallyOf(job)
  return [
    t('images.ready', { n: all, done }),
    failed > 0 && t('images.failedCount', { n: failed }),
    retrying > 0 && t('images.retryingCount', { n: retrying }),
    again > 0 && t('images.againCount', { n: again }),
  ].filter(Boolean).join(' · ')
}

const PARTS: Record<Card['status'], string> = {
  pending: 'bg-line',
  processing: 'bg-accent/45 animate-breathe',
  retrying: 'bg-warn animate-breathe',
  completed: 'bg-accent',
  failed: 'bg-danger',
}

/** One part for each card: what is done is full, nothing is guessed in between. */
export function JobBar(props: { job: ImageJob }) {
  return (
    <div className="flex gap-1" aria-hidden="true">
      {props.job.cards.map((card) => (
        <span key={card.id} className={`h-1.5 flex-1 rounded-full transition-colors ${PARTS[standingOf(card)]}`} />
      ))}
    </div>
  )
}
