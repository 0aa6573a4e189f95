import { Clock, TriangleAlert } from 'lucide-react'
import { leftText, momentText, useNow } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { keepingOf } from './keeping.ts'
import type { Track } from './tracks.ts'

/** How long the provider still keeps a song that is not yet with us, and that we are saving it. Nothing once it is. */
export function KeepingNote(props: { track: Track; className?: string }) {
  const { t, language } = useI18n()
  const { track } = props
  const now = useNow(true)
  const keeping = keepingOf(track, now)
  if (keeping.state === 'safe') return null
  const { state, leftMs } = keeping
  const alarming = state !== 'kept' && state !== 'unknown'
  const moment = (iso: string) => momentText(iso, language, now)
  return (
    <p className={`flex gap-1.5 text-xs ${state === 'gone' ? 'text-danger' : alarming ? 'text-warn' : 'text-soft'} ${props.className ?? ''}`}>
      {alarming ? <TriangleAlert size={14} className="mt-0.5 shrink-0" aria-hidden /> : <Clock size={14} className="mt-0.5 shrink-0" aria-hidden />}
      <span>
        {state === 'unknown' || state === 'gone' ? (
          t(`keeping.${state}`)
        ) : (
          <time dateTime={track.expiresAt!}>
            {t(`keeping.${state}`, { date: moment(track.expiresAt!), left: leftText(leftMs, language) })}
          </time>
        )}{' '}
        {state !== 'gone' &&
          (track.saving === 'resting' && track.nextTryAt
            ? t('saving.resting', { time: moment(track.nextTryAt) })
            : t(track.saving === 'working' ? 'saving.working' : 'saving.waiting'))}
      </span>
    </p>
  )
}
