import { clockText, useNow } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Notice } from '../../ui/notice.tsx'
import { CancelButton } from './cancel-button.tsx'
import { isOpen, type Generation } from './generations.ts'
import { Stepper } from './stepper.tsx'

const STALE_MS = 60_000

/** How far it is, in a line, in words and, when something is odd, plainly. */
export function UnderWay(props: { generation: Generation }) {
  const { t } = useI18n()
  const { generation } = props
  const now = useNow(true)
  const silent = now - Date.parse(generation.updatedAt ?? generation.createdAt)
  return (
    <div className="mt-4">
      <Stepper state={generation.state} />
      <div className="-mr-2 mt-1 flex min-h-9 items-center justify-between gap-3">
        <p aria-live="polite" className={`text-sm ${generation.indeterminate || generation.blockedReason ? 'text-warn' : 'text-soft'}`}>
          {generation.progressText || t(`progress.${generation.state}`)}
        </p>
        <CancelButton generation={generation} />
      </div>
      {silent > STALE_MS && (
        <Notice tone="warn" live className="mt-3">
          {t('gen.stale', { time: clockText(silent) })}
        </Notice>
      )}
    </div>
  )
}

/** How long it has been running, second by second, or how long it took. */
export function Elapsed(props: { generation: Generation }) {
  const { t } = useI18n()
  const { generation } = props
  const open = isOpen(generation)
  const now = useNow(open)
  const end = open ? now : Date.parse(generation.finishedAt ?? generation.updatedAt ?? generation.createdAt)
  const time = clockText(end - Date.parse(generation.createdAt))
  return (
    <span className="num font-mono text-xs whitespace-nowrap text-soft" title={t(open ? 'gen.elapsed' : 'gen.took', { time })}>
      {time}
    </span>
  )
}
