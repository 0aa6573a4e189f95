import { useId, useState } from 'react'
import { clockText, useNow } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { CopyValue } from '../../ui/copy-button.tsx'
import { Notice } from '../../ui/notice.tsx'
import { PlayButton } from '../tracks/play-button.tsx'
import { isEnded, stageNumber, type Job } from './channels.ts'

/** Where a run stands: its stage and its words, a timer, and everything one needs to ask about it. */
export function JobPanel(props: { job: Job; channelName: string }) {
  const { t } = useI18n()
  const { job } = props
  const [open, setOpen] = useState(false)
  const details = useId()
  const ended = isEnded(job)
  const now = useNow(!ended)
  const stage = stageNumber(job)
  const until = ended ? Date.parse(job.updatedAt ?? job.createdAt) : now
  const time = clockText(until - Date.parse(job.createdAt))
  const song = job.audioUrl ? { id: job.jobId, title: props.channelName, subtitle: 'Music Clips', sources: [job.audioUrl], stored: true } : undefined
  return (
    <div className="mt-4 rounded-xl bg-sunken/60 p-3.5">
      <div className="flex items-center gap-3">
        {song && stage === 50 && <PlayButton what={song} queue={[song]} />}
        <div className="min-w-0 flex-1">
          <p aria-live="polite" className={`text-sm font-medium ${stage >= 90 ? 'text-danger' : ''}`}>
            {job.progressText ?? job.message ?? job.stage}
          </p>
          <p className="num text-xs text-soft">
            {t(ended ? 'channels.ranFor' : 'channels.runFor', { time })} <span className="font-mono">· {job.stage}</span>
          </p>
        </div>
      </div>
      <div
        role="progressbar"
        aria-label={t('gen.steps')}
        aria-valuemin={0}
        aria-valuemax={50}
        aria-valuenow={Math.min(stage, 50)}
        aria-valuetext={job.stage}
        className="mt-3 h-1.5 overflow-hidden rounded-full bg-line"
      >
        <div
          className={`relative h-full overflow-hidden rounded-full transition-[width] duration-700 ${stage >= 90 ? 'bg-danger' : 'bg-accent'}`}
          style={{ width: `${Math.min(stage, 50) * 2}%` }}
        >
          {!ended && <span className="animate-sweep absolute inset-y-0 left-0 w-1/3 bg-sheet/40" />}
        </div>
      </div>
      {!ended && job.heartbeat?.isStale && (
        <Notice tone="warn" live className="mt-3">
          {t('channels.stale', { n: job.heartbeat.secondsSinceUpdate })}
        </Notice>
      )}
      <Button look="quiet" aria-expanded={open} aria-controls={details} onClick={() => setOpen(!open)} className="-mb-1 -ml-2 mt-2">
        {t(open ? 'channels.hideDetails' : 'channels.showDetails')}
      </Button>
      <dl id={details} hidden={!open} className="mt-1 grid gap-2 text-sm">
        <div>
          <dt className="text-xs text-soft">jobId</dt>
          <dd>
            <CopyValue value={job.jobId} label="jobId" />
          </dd>
        </div>
        <div>
          <dt className="text-xs text-soft">{t('channels.taskId')} (taskId)</dt>
          <dd>{job.sunoTaskId ? <CopyValue value={job.sunoTaskId} label="taskId" /> : t('detail.noTask')}</dd>
        </div>
        {job.error && (
          <div>
            <dt className="text-xs text-soft">{t('channels.error')}</dt>
            <dd className="text-danger">{job.error}</dd>
          </div>
        )}
      </dl>
    </div>
  )
}
