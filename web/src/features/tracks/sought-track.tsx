import { Link } from '@tanstack/react-router'
import { ShieldCheck, Trash2, X } from 'lucide-react'
import { ApiProblem } from '../../app/api.ts'
import { problemText } from '../../app/problem-text.ts'
import { clockText } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { IconButton } from '../../ui/button.tsx'
import { Cover } from '../../ui/cover.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Notice } from '../../ui/notice.tsx'
import { KeepingNote } from './keeping-note.tsx'
import { playableOf } from './playable.ts'
import { PlayButton } from './play-button.tsx'
import { RetryDownload } from './retry-download-button.tsx'
import { isStored, isUnsaved, useTrack, type Track } from './tracks.ts'

/** The track that a notice was about, before all others: how it is, and what can be done. */
export function SoughtTrack(props: { id: string; onDelete: (track: Track) => void }) {
  const i18n = useI18n()
  const { t } = i18n
  const { data: track, error } = useTrack(props.id)
  if (error && !track) {
    const missing = error instanceof ApiProblem && (error.status === 404 || error.status === 422)
    return (
      <Notice tone={missing ? 'info' : 'danger'} live className="mb-5">
        <p>{missing ? t('library.soughtMissing') : problemText(error, i18n)}</p>
        <Link to="/library" className="underline underline-offset-2">
          {t('library.showAll')}
        </Link>
      </Notice>
    )
  }
  if (!track) return <Skeleton className="mb-5 h-28 rounded-2xl" />
  const title = track.title || t('gen.untitled')
  const what = playableOf(track, { title })
  return (
    <section aria-label={t('library.sought')} className="sheet mb-6 flex items-start gap-3 p-3 sm:gap-4 sm:p-4">
      <div className="relative">
        <Cover seed={track.id} src={track.coverUrl} className="size-20 rounded-xl sm:size-28" />
        {what && <PlayButton what={what} queue={[what]} className="absolute right-1.5 bottom-1.5 shadow-lg" />}
      </div>
      <div className="min-w-0 flex-1">
        <p className="text-xs text-soft">{t('library.sought')}</p>
        <h2 className="leading-snug font-semibold">
          {track.generationId ? (
            <Link to="/generations/$id" params={{ id: track.generationId }} className="hover:underline">
              {title}
            </Link>
          ) : (
            title
          )}
        </h2>
        {track.durationMs ? <p className="num text-xs text-soft">{clockText(track.durationMs)}</p> : null}
        {isStored(track) && (
          <p className="mt-2 flex gap-1.5 text-sm">
            <ShieldCheck size={18} className="mt-px shrink-0 text-accent" aria-hidden />
            {t('track.stored')}
          </p>
        )}
        <KeepingNote track={track} className="mt-2" />
        {isUnsaved(track) && <RetryDownload id={track.id} title={title} className="mt-2" />}
      </div>
      <div className="-mt-1 -mr-1 flex flex-col-reverse sm:flex-row">
        <IconButton label={t('track.delete', { title })} onClick={() => props.onDelete(track)}>
          <Trash2 size={17} aria-hidden />
        </IconButton>
        <Link
          to="/library"
          aria-label={t('library.showAll')}
          title={t('library.showAll')}
          className="inline-flex size-9 pointer-coarse:size-11 items-center justify-center rounded-lg text-soft hover:bg-sunken hover:text-ink"
        >
          <X size={18} aria-hidden />
        </Link>
      </div>
    </section>
  )
}
