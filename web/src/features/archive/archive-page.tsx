import { CircleCheck, CircleDashed, CircleX } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import { NotFound } from '../../app/dead-ends.tsx'
import { LoadFailed } from '../../app/load-failed.tsx'
import { Moment } from '../../app/moment.tsx'
import { problemText } from '../../app/problem-text.ts'
import { isOperator, useUser } from '../../app/session.ts'
import { leftText, momentText, useNow } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Sheet } from '../../ui/sheet.tsx'
import { isMet, useArchiveNow, useBoard, type Board, type Expiring, type Failure, type Goal } from './archive.ts'

/** For operators: whether everything that providers delete gets to us in time, and one click where it does not. */
export function ArchivePage() {
  const { t } = useI18n()
  const user = useUser()
  const operator = isOperator(user)
  const [asked, setAsked] = useState<string[]>([])
  const board = useBoard(operator, asked)
  const data = board.data
  if (user && !operator) return <NotFound />
  return (
    <>
      <h1 className="text-2xl font-semibold tracking-tight">{t('archive.title')}</h1>
      <p className="mt-1 mb-5 max-w-2xl text-sm text-soft">{t('archive.lead')}</p>
      {board.isPending && (
        <div className="grid grid-cols-2 gap-3 lg:grid-cols-4" aria-busy="true">
          {GOALS.map((goal) => (
            <Skeleton key={goal} className="h-32 rounded-2xl" />
          ))}
        </div>
      )}
      <LoadFailed of={board} even className="mb-4" />
      {data && (
        <div className="grid gap-4 sm:gap-5">
          <Goals targets={data.targets} />
          <div className="grid gap-4 sm:gap-5 lg:grid-cols-3">
            <Counts counts={data.counts} />
            <Forecast forecast={data.forecast} />
            <Runs runs={data.runs} />
          </div>
          <Part title={t('archive.expiring')} empty={data.expiringSoon.length === 0 && t('archive.nothingExpires')}>
            {data.expiringSoon.map((track) => (
              <ExpiringRow key={track.trackId} track={track} onAsk={(id) => setAsked([...asked, id])} />
            ))}
          </Part>
          <Part title={t('archive.failures')} empty={data.failures.length === 0 && t('archive.noFailures')}>
            {data.failures.map((failure) => (
              <FailureRow key={failure.jobId} failure={failure} />
            ))}
          </Part>
        </div>
      )}
    </>
  )
}

const GOALS: Goal[] = ['archivedBeforeExpiry', 'failures', 'averageSeconds', 'lost']

function Goals({ targets }: { targets: Board['targets'] }) {
  const { t, language } = useI18n()
  const number = (value: number, options?: Intl.NumberFormatOptions) => new Intl.NumberFormat(language, { maximumFractionDigits: 1, ...options }).format(value)
  const percent = (value: number) => number(value / 100, { style: 'percent' })
  const time = (seconds: number) => (seconds < 60 ? number(seconds, { style: 'unit', unit: 'second', unitDisplay: 'short' }) : leftText(seconds * 1000, language))
  const values: Record<Goal, [value: number | null, write: (value: number) => string]> = {
    archivedBeforeExpiry: [targets.archivedBeforeExpiry.percent, percent],
    failures: [targets.failures.percent, percent],
    averageSeconds: [targets.averageSeconds.seconds, time],
    lost: [targets.lost.count, number],
  }
  return (
    <section aria-labelledby="goals">
      <h2 id="goals" className="sr-only">
        {t('archive.goals')}
      </h2>
      <ul className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        {GOALS.map((goal) => {
          const [value, write] = values[goal]
          const met = isMet(targets, goal)
          return (
            <li key={goal} className="sheet flex flex-col p-4">
              <p className="text-sm text-soft">{t(`archive.goal.${goal}`)}</p>
              <p className={`num mt-1 text-2xl font-semibold tracking-tight ${met === false ? 'text-danger' : ''}`}>
                {value === null ? <span className="text-soft">{t('archive.nothingYet')}</span> : write(value)}
              </p>
              <p className="mt-auto flex items-start gap-1.5 pt-2 text-xs text-soft">
                <Mark met={met} />
                <span>
                  <span className="sr-only">{t(met === null ? 'archive.unmeasured' : met ? 'archive.met' : 'archive.missed')} </span>
                  {t(`archive.target.${goal}`, { value: write(targets[goal].target) })}
                </span>
              </p>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

function Mark({ met }: { met: boolean | null }) {
  if (met === null) return <CircleDashed size={16} className="shrink-0" aria-hidden />
  return met ? <CircleCheck size={16} className="shrink-0 text-accent" aria-hidden /> : <CircleX size={16} className="shrink-0 text-danger" aria-hidden />
}

function Counts({ counts }: { counts: Board['counts'] }) {
  const { t, language } = useI18n()
  const number = new Intl.NumberFormat(language)
  const share = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 }).format(counts.percentage / 100)
  return (
    <Sheet title={t('archive.counts')}>
      <div
        role="progressbar"
        aria-label={t('archive.count.archived')}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={counts.percentage}
        aria-valuetext={share}
        className="mb-3 h-2 overflow-hidden rounded-full bg-sunken"
      >
        <div className="h-full rounded-full bg-accent" style={{ width: `${Math.min(100, counts.percentage)}%` }} />
      </div>
      <dl className="grid gap-1.5 text-sm">
        {(['archived', 'unverified', 'pending', 'urgent', 'expired'] as const).map((name) => {
          const alarming = counts[name] > 0 && (name === 'urgent' ? 'text-warn' : name === 'expired' ? 'text-danger' : '')
          return (
            <div key={name} className="flex items-baseline justify-between gap-3">
              <dt className={`text-soft ${name === 'urgent' ? 'pl-3' : ''}`}>{t(`archive.count.${name}`)}</dt>
              <dd className={`num font-medium ${alarming || ''}`}>
                {number.format(counts[name])}
                {name === 'archived' && <span className="ml-1.5 font-normal text-soft">{share}</span>}
              </dd>
            </div>
          )
        })}
      </dl>
    </Sheet>
  )
}

function Forecast({ forecast }: { forecast: Board['forecast'] }) {
  const { t, language } = useI18n()
  const size = (gb: number) => {
    const [value, unit] = gb > 0 && gb < 0.1 ? [gb * 1000, 'megabyte'] : [gb, 'gigabyte']
    return new Intl.NumberFormat(language, { style: 'unit', unit, maximumFractionDigits: value < 10 ? 1 : 0 }).format(value)
  }
  const dollars = (value: number, digits: number) => new Intl.NumberFormat(language, { style: 'currency', currency: 'USD', maximumFractionDigits: digits }).format(value)
  return (
    <Sheet title={t('archive.forecast')}>
      <p className="num text-2xl font-semibold tracking-tight">
        {forecast.usdPerMonth === 0 && forecast.totalGb > 0 ? `< ${dollars(0.01, 2)}` : dollars(forecast.usdPerMonth, 2)}
      </p>
      <p className="text-xs text-soft">
        {t('archive.forecastHint', { n: forecast.newTracksPerMonth, price: dollars(forecast.pricePerGbMonth, 4) })}
      </p>
      <dl className="mt-3 grid gap-1.5 text-sm">
        {(['audioGb', 'coverGb', 'videoGb', 'totalGb'] as const).map((name) => (
          <div key={name} className={`flex items-baseline justify-between gap-3 ${name === 'totalGb' ? 'border-t border-line pt-1.5 font-medium' : ''}`}>
            <dt className={name === 'totalGb' ? '' : 'text-soft'}>{t(`archive.size.${name}`)}</dt>
            <dd className="num">{size(forecast[name])}</dd>
          </div>
        ))}
      </dl>
    </Sheet>
  )
}

function Runs({ runs }: { runs: Board['runs'] }) {
  const { t, language } = useI18n()
  const now = useNow(true)
  const { last, nextAt } = runs
  return (
    <Sheet title={t('archive.runs')}>
      <dl className="grid gap-3 text-sm">
        <div>
          <dt className="text-soft">{t('archive.lastRun')}</dt>
          <dd className="num flex items-center gap-1.5 font-medium">
            <Mark met={last ? last.ok : null} />
            {last ? `${momentText(last.at, language, now)} · ${t(last.ok ? 'archive.runWell' : 'archive.runBadly')}` : t('archive.noRun')}
          </dd>
          {last?.error && <dd className="mt-1 font-mono text-xs break-words text-danger">{last.error}</dd>}
        </div>
        <div>
          <dt className="text-soft">{t('archive.nextRun')}</dt>
          <dd className="num font-medium">
            <Moment at={nextAt} />
            <span className="ml-1.5 font-normal text-soft">{t('archive.left', { left: leftText(Date.parse(nextAt) - now, language) })}</span>
          </dd>
        </div>
      </dl>
      <p className="mt-3 text-xs text-soft">{t('archive.runsHint')}</p>
    </Sheet>
  )
}

function Part(props: { title: string; empty: string | false; children: ReactNode }) {
  return (
    <Sheet title={props.title}>
      {props.empty ? <p className="text-sm text-soft">{props.empty}</p> : <ul className="-mt-2 divide-y divide-line">{props.children}</ul>}
    </Sheet>
  )
}

function ExpiringRow({ track, onAsk }: { track: Expiring; onAsk: (trackId: string) => void }) {
  const { t, language } = useI18n()
  const now = useNow(true)
  const left = Date.parse(track.expiresAt) - now
  const over = left <= 0
  const date = momentText(track.expiresAt, language, now)
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-2 py-3">
      <div className="min-w-0 flex-1 basis-64">
        <p className="text-sm font-medium">{track.title || t('gen.untitled')}</p>
        <p className={`num text-xs ${over ? 'text-danger' : 'text-warn'}`}>
          <time dateTime={track.expiresAt}>
            {over ? t('archive.over', { date }) : t('archive.until', { date, left: leftText(left, language) })}
          </time>
        </p>
        <p className="text-xs text-soft">
          {t(track.audioStored ? 'archive.restMissing' : 'archive.songMissing')}{' '}
          {track.nextAt && Date.parse(track.nextAt) > now ? t('archive.nextTry', { time: momentText(track.nextAt, language, now) }) : ''}
        </p>
        {track.lastError && <p className="mt-0.5 font-mono text-xs break-words text-danger">{track.lastError}</p>}
        <p className="mt-0.5 font-mono text-xs break-all text-soft">{track.trackId}</p>
      </div>
      <ArchiveNow trackId={track.trackId} title={track.title || t('gen.untitled')} onAsk={onAsk} />
    </li>
  )
}

function ArchiveNow(props: { trackId: string; title: string; onAsk: (trackId: string) => void }) {
  const i18n = useI18n()
  const { t } = i18n
  const ask = useArchiveNow()
  return (
    <div className="max-w-full">
      <Button
        aria-disabled={ask.isPending}
        onClick={() => !ask.isPending && ask.mutate(props.trackId, { onSuccess: () => props.onAsk(props.trackId) })}
      >
        {t('archive.now')}
        <span className="sr-only">: {props.title}</span>
      </Button>
      <p role="status" className={`mt-1 text-xs empty:hidden ${ask.isError ? 'text-danger' : 'text-accent'}`}>
        {ask.isError ? problemText(ask.error, i18n) : ask.isSuccess ? t('archive.asked') : ''}
      </p>
    </div>
  )
}

function FailureRow({ failure }: { failure: Failure }) {
  const { t } = useI18n()
  return (
    <li className="py-3">
      <div className="flex items-baseline justify-between gap-3">
        <p className="min-w-0 text-sm font-medium">{failure.title || t('gen.untitled')}</p>
        <Moment at={failure.at} className="num shrink-0 text-xs text-soft" />
      </div>
      <p className="mt-0.5 font-mono text-xs break-words text-danger">{failure.error ?? '–'}</p>
      <p className="mt-0.5 font-mono text-xs break-all text-soft">{failure.trackId}</p>
    </li>
  )
}
