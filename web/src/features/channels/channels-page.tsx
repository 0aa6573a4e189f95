import { LoaderCircle, Pencil, Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { Confirm } from '../../app/confirm.tsx'
import { Listing } from '../../app/listing.tsx'
import { problemText } from '../../app/problem-text.ts'
import { itemsOf } from '../../app/queries.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { CopyValue } from '../../ui/copy-button.tsx'
import { Empty, Skeleton } from '../../ui/empty.tsx'
import { Notice } from '../../ui/notice.tsx'
import { RepeatSign } from '../../ui/repeat-sign.tsx'
import { ChannelForm } from './channel-form.tsx'
import { isEnded, useChannels, useDeleteChannel, useJob, useRunOnce, type Channel } from './channels.ts'
import { JobPanel } from './job-panel.tsx'

export function ChannelsPage() {
  const { t } = useI18n()
  const channels = useChannels()
  const [edited, setEdited] = useState<{ channel?: Channel } | null>(null)
  const [doomed, setDoomed] = useState<Channel | null>(null)
  const items = itemsOf(channels)
  const add = (
    <Button look="primary" onClick={() => setEdited({})}>
      <Plus size={17} aria-hidden />
      {t('channels.new')}
    </Button>
  )
  return (
    <>
      <div className="mb-5 flex flex-wrap items-center justify-between gap-3">
        <div>
          <h1 className="text-2xl font-semibold tracking-tight">{t('channels.title')}</h1>
          <p className="text-sm text-soft">{t('channels.lead')}</p>
        </div>
        {items.length > 0 && add}
      </div>
      <Listing
        of={channels}
        count={items.length}
        skeleton={<Skeleton className="h-40 rounded-2xl" />}
        empty={
          <div className="sheet">
            <Empty title={t('channels.emptyTitle')} text={t('channels.emptyText')}>
              {add}
            </Empty>
          </div>
        }
      >
        <ul className="grid items-start gap-4 lg:grid-cols-2">
          {items.map((channel) => (
            <ChannelCard
              key={channel.id}
              channel={channel}
              onEdit={() => setEdited({ channel })}
              onDelete={() => setDoomed(channel)}
            />
          ))}
        </ul>
      </Listing>
      {edited && <ChannelForm channel={edited.channel} onClose={() => setEdited(null)} />}
      {doomed && <DeleteDialog channel={doomed} onClose={() => setDoomed(null)} />}
    </>
  )
}

function ChannelCard(props: { channel: Channel; onEdit: () => void; onDelete: () => void }) {
  const i18n = useI18n()
  const { t, language } = i18n
  const { channel } = props
  const settings = channel.musicClipsSettings ?? {}
  const run = useRunOnce(channel.id, language)
  // What was just started; after a reload, the run that the channel remembers.
  const [started, setStarted] = useState<string>()
  const jobId = started ?? settings.lastJobId
  const job = useJob(jobId, language).data
  const busy = run.isPending || (job !== undefined && !isEnded(job))
  const refusal = run.error instanceof ApiProblem ? run.error : undefined
  const platforms = Object.entries(settings.platforms ?? {}).flatMap(([name, on]) => (on ? [name] : []))
  const start = () => {
    if (!busy) run.mutate(undefined, { onSuccess: (made) => setStarted(made.jobId) })
  }
  return (
    <li className="sheet p-5">
      <div className="flex items-start gap-2">
        <div className="min-w-0 flex-1">
          <h2 className="leading-snug font-semibold tracking-tight">{channel.name}</h2>
          <p className="text-xs text-soft">
            {[channel.language, channel.timezone, ...platforms, settings.paused ? t('channels.paused') : ''].filter(Boolean).join(' · ')}
          </p>
        </div>
        <div className="-mt-1 -mr-2 flex">
          <IconButton label={`${t('action.edit')}: ${channel.name}`} onClick={props.onEdit}>
            <Pencil size={16} aria-hidden />
          </IconButton>
          <IconButton label={`${t('action.delete')}: ${channel.name}`} onClick={props.onDelete}>
            <Trash2 size={16} aria-hidden />
          </IconButton>
        </div>
      </div>
      <p className="mt-2 line-clamp-3 text-sm text-soft">{settings.sunoPrompt || t('channels.noPrompt')}</p>
      <Button look="primary" aria-disabled={busy} onClick={start} className="mt-4 min-h-10 max-sm:w-full">
        {busy ? <LoaderCircle size={17} className="animate-spin" aria-hidden /> : <RepeatSign className="h-4" />}
        {t(busy ? 'channels.running' : 'channels.run')}
      </Button>
      {run.isError && (
        <Notice tone="danger" live className="mt-3">
          <p>{problemText(run.error, i18n)}</p>
          <p className="mt-1 font-mono text-xs">{refusal?.code}</p>
          {typeof refusal?.body.jobId === 'string' && <CopyValue value={refusal.body.jobId} label="jobId" />}
        </Notice>
      )}
      {job && !run.isError && <JobPanel job={job} channelName={channel.name} />}
    </li>
  )
}

function DeleteDialog(props: { channel: Channel; onClose: () => void }) {
  const { t } = useI18n()
  const remove = useDeleteChannel()
  return (
    <Confirm
      title={t('channels.deleteTitle')}
      text={t('channels.deleteText', { name: props.channel.name })}
      act={t('action.delete')}
      of={remove}
      onAct={() => remove.mutate(props.channel.id, { onSuccess: props.onClose })}
      onClose={props.onClose}
    />
  )
}
