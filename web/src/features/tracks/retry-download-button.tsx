import { LoaderCircle, RotateCw } from 'lucide-react'
import { serverNow } from '../../app/api.ts'
import { problemText } from '../../app/problem-text.ts'
import { momentText } from '../../app/time.ts'
import { useValue } from '../../app/value-store.ts'
import { useI18n, type I18n } from '../../i18n/i18n.tsx'
import { buttonLook } from '../../ui/button.tsx'
import { retried, retryDownload, type Retried } from './retry-download.ts'

/** "Retry download", how it goes, and how it went. */
export function RetryDownload(props: { id: string; title: string; className?: string }) {
  const i18n = useI18n()
  const { t } = i18n
  const now = useValue(retried, (all) => all[props.id])
  const busy = now?.state === 'asked'
  return (
    <div className={props.className}>
      <button
        type="button"
        aria-disabled={busy}
        aria-describedby={now ? `retry-${props.id}` : undefined}
        onClick={() => void retryDownload(props.id)}
        className={buttonLook('plain', 'text-left')}
      >
        {busy ? <LoaderCircle size={16} className="shrink-0 animate-spin" aria-hidden /> : <RotateCw size={16} className="shrink-0" aria-hidden />}
        {t('track.retryDownload')}
        <span className="sr-only">: {props.title}</span>
      </button>
      <p id={`retry-${props.id}`} role="status" className={`text-xs empty:hidden ${now ? 'mt-1' : ''} ${tone(now)}`}>
        {now && outcomeText(now, i18n)}
      </p>
    </div>
  )
}

const tone = (now: Retried | undefined) =>
  now?.state === 'refused' || now?.state === 'gone' ? 'text-danger' : now?.state === 'saved' ? 'text-accent' : 'text-soft'

export function outcomeText(now: Retried, i18n: I18n): string {
  if (now.state === 'refused') return problemText(now.problem, i18n)
  if (now.state !== 'resting') return i18n.t(`retry.${now.state}`)
  if (!now.nextTryAt) return i18n.t('retry.slow')
  return i18n.t('retry.resting', { time: momentText(now.nextTryAt, i18n.language, serverNow()) })
}
