import { Download, ShieldCheck } from 'lucide-react'
import { clockText } from '../../app/time.ts'
import { useValue } from '../../app/value-store.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Cover } from '../../ui/cover.tsx'
import { PlayButton } from './play-button.tsx'
import { player, type Playable } from './player.ts'
import { KeepingNote } from './keeping-note.tsx'
import { RetryDownload } from './retry-download-button.tsx'
import { downloadUrl, isStored, isUnsaved, type Track } from './tracks.ts'

/** One variant of a generation: hear it, keep it, take it home. */
export function TrackRow(props: { track: Track; name: string; what?: Playable; queue: Playable[] }) {
  const { t } = useI18n()
  const { track, what } = props
  const current = useValue(player, (state) => what !== undefined && state.now?.id === what.id)
  return (
    <li className={`flex flex-wrap items-center gap-3 rounded-xl p-2 ${current ? 'bg-wash' : 'bg-sunken/60'}`}>
      <Cover seed={track.id} src={track.coverUrl} className="size-12 rounded-lg" />
      {what ? <PlayButton what={what} queue={props.queue} className="-ml-1" /> : null}
      <div className="min-w-0 flex-1">
        <p className="truncate text-sm font-medium">{props.name}</p>
        <p className="num flex items-center gap-1.5 text-xs text-soft">
          {track.durationMs ? clockText(track.durationMs) : null}
          {!track.audioUrl && track.previewUrl ? <span>{t('gen.preview')} ·</span> : null}
          {isStored(track) ? (
            <ShieldCheck size={14} className="text-accent" role="img" aria-label={t('track.stored')} />
          ) : isUnsaved(track) ? null : (
            <span className="animate-breathe">{t('track.saving')}</span>
          )}
        </p>
      </div>
      {track.audioUrl && (
        <a
          href={downloadUrl(track)}
          download={fileName(track, `${what?.title ?? ''} ${track.variant ?? ''}`)}
          aria-label={t('track.download', { title: props.name })}
          title={t('action.download')}
          className="inline-flex size-9 pointer-coarse:size-11 shrink-0 items-center justify-center rounded-lg text-soft hover:bg-sheet hover:text-ink"
        >
          <Download size={18} aria-hidden />
        </a>
      )}
      {isUnsaved(track) && (
        <div className="basis-full px-1 pb-1">
          <KeepingNote track={track} />
          <RetryDownload id={track.id} title={props.name} className="mt-2" />
        </div>
      )}
    </li>
  )
}

const EXTENSIONS: Record<string, string> = { 'audio/wav': 'wav', 'audio/mp4': 'm4a', 'audio/flac': 'flac', 'audio/ogg': 'ogg' }

/** A name that every file system takes. */
export const fileName = (track: Pick<Track, 'mime'>, title: string) =>
  `${title.replace(/[\\/:*?"<>|]+/g, ' ').trim() || 'reprise'}.${EXTENSIONS[track.mime ?? ''] ?? 'mp3'}`
