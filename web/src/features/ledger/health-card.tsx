import { CircleCheck, CircleDashed, CircleX } from 'lucide-react'
import { serverNow } from '../../app/api.ts'
import { Moment } from '../../app/moment.tsx'
import { problemText } from '../../app/problem-text.ts'
import { QueryCard } from '../../app/query-card.tsx'
import { momentText } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Notice } from '../../ui/notice.tsx'
import { promiseText, useCheckNow, useHealth, type Health } from './book.ts'

/** Whether the promises about tokens are kept, by the daily look or one made now. */
export function HealthCard() {
  const i18n = useI18n()
  const { t, language } = i18n
  const check = useCheckNow()
  return (
    <QueryCard
      title={t('book.health')}
      of={useHealth(true)}
      height="h-24"
      below={
        <>
          {check.isError && (
            <Notice tone="danger" live className="mt-3">
              {problemText(check.error, i18n)}
            </Notice>
          )}
          <div className="mt-4 flex flex-wrap items-center gap-3">
            <Button aria-disabled={check.isPending} onClick={() => !check.isPending && check.mutate()}>
              {t('book.check')}
            </Button>
            {/* To the second, so that a look within the minute of the last one is seen to have been made. */}
            <p role="status" className="num text-sm text-accent">
              {check.data?.last && t('book.looked', { time: new Intl.DateTimeFormat(language, { timeStyle: 'medium' }).format(Date.parse(check.data.last.at)) })}
            </p>
          </div>
        </>
      }
    >
      {(health) => <Finding health={health} />}
    </QueryCard>
  )
}

function Finding({ health: { last, failure, nextAt } }: { health: Health }) {
  const { t, language } = useI18n()
  return (
    <div className="grid gap-3 text-sm">
      <p role="status" className={`flex items-start gap-2 font-medium ${last && last.found > 0 ? 'text-danger' : ''}`}>
        {!last && <CircleDashed size={18} className="mt-0.5 shrink-0 text-soft" aria-hidden />}
        {last && last.found === 0 && <CircleCheck size={18} className="mt-0.5 shrink-0 text-accent" aria-hidden />}
        {last && last.found > 0 && <CircleX size={18} className="mt-0.5 shrink-0" aria-hidden />}
        {!last ? t('book.never') : last.found === 0 ? t('book.sound') : t('book.broken', { n: last.found })}
      </p>
      {last && last.found > 0 && (
        <ul className="max-h-60 overflow-y-auto border-y border-line font-mono text-xs">
          {last.violations.map((one, place) => (
            <li key={place} className="py-1.5 break-words">
              {promiseText(one.promise, t)} · {one.userId}
              {one.generationId && ` · ${one.generationId}`}
            </li>
          ))}
        </ul>
      )}
      {failure && <Notice tone="warn">{t('book.failed', { time: momentText(failure.at, language, serverNow()), error: failure.error })}</Notice>}
      <dl className="num flex flex-wrap gap-x-6 gap-y-1">
        {last && (
          <div>
            <dt className="text-xs text-soft">{t('book.last')}</dt>
            <dd>
              <Moment at={last.at} />
            </dd>
          </div>
        )}
        <div>
          <dt className="text-xs text-soft">{t('book.next')}</dt>
          <dd>
            <Moment at={nextAt} />
          </dd>
        </div>
      </dl>
    </div>
  )
}
