import { Link, useSearch } from '@tanstack/react-router'
import { Download, FolderDown, Search, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { clockText, momentText } from '../../app/time.ts'
import { Confirm } from '../../app/confirm.tsx'
import { Listing } from '../../app/listing.tsx'
import { itemsOf } from '../../app/queries.ts'
import { serverNow } from '../../app/api.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { buttonLook, IconButton } from '../../ui/button.tsx'
import { Cover } from '../../ui/cover.tsx'
import { Empty, Skeleton } from '../../ui/empty.tsx'
import { SoughtTrack } from './sought-track.tsx'
import { playableOf } from './playable.ts'
import { PlayButton } from './play-button.tsx'
import type { Playable } from './player.ts'
import { fileName } from './track-row.tsx'
import { KeepingNote } from './keeping-note.tsx'
import { RetryDownload } from './retry-download-button.tsx'
import { downloadUrl, exportUrl, isUnsaved, useDeleteTrack, useTracks, type Track } from './tracks.ts'

export function LibraryPage() {
  const { t } = useI18n()
  const tracks = useTracks()
  const { track: sought } = useSearch({ from: '/library' })
  const [words, setWords] = useState('')
  const [doomed, setDoomed] = useState<Track | null>(null)
  const all = itemsOf(tracks)
  const shown = all.filter((track) => (track.title ?? '').toLowerCase().includes(words.trim().toLowerCase()))
  const heard = shown.map((track) =>
    playableOf(track, {
      title: track.title || t('gen.untitled'),
      subtitle: track.variant ? t('gen.variant', { n: track.variant }) : undefined,
    }),
  )
  const queue = heard.flatMap((one) => one ?? [])

  return (
    <>
      <div className="mb-5 flex flex-wrap items-center justify-between gap-3">
        <h1 className="text-2xl font-semibold tracking-tight">{t('library.title')}</h1>
        {all.length > 0 && (
          <div className="flex w-full items-center gap-2 sm:w-auto">
            {exportUrl() && (
              <a href={exportUrl()} download title={t('library.exportHint')} className={buttonLook('plain', 'order-last shrink-0 max-sm:min-h-10.5 sm:order-none')}>
                <FolderDown size={16} aria-hidden />
                <span className="max-sm:sr-only">{t('library.export')}</span>
              </a>
            )}
            <label className="relative min-w-0 flex-1 sm:w-64">
              <span className="sr-only">{t('library.search')}</span>
              <Search size={16} aria-hidden className="absolute top-1/2 left-3 -translate-y-1/2 text-soft" />
              <input
                type="search"
                value={words}
                onChange={(event) => setWords(event.target.value)}
                placeholder={t('library.search')}
                className="field pl-9"
              />
            </label>
          </div>
        )}
      </div>
      {sought && <SoughtTrack key={sought} id={sought} onDelete={setDoomed} />}
      <Listing
        of={tracks}
        count={all.length}
        skeleton={
          <div className={GRID}>
            {Array.from({ length: 8 }, (_, i) => (
              <Skeleton key={i} className="aspect-[4/5] rounded-2xl" />
            ))}
          </div>
        }
        empty={
          <div className="sheet">
            <Empty title={t('library.emptyTitle')} text={t('library.emptyText')}>
              <Link to="/" className={buttonLook('primary')}>
                {t('library.emptyDo')}
              </Link>
            </Empty>
          </div>
        }
      >
        {shown.length === 0 && <p className="py-10 text-center text-soft">{t('library.noMatch')}</p>}
        <ul className={GRID}>
          {shown.map((track, i) => (
            <Tile
              key={track.id}
              track={track}
              what={heard[i]}
              queue={queue}
              onDelete={() => setDoomed(track)}
            />
          ))}
        </ul>
      </Listing>
      {doomed && <DeleteDialog track={doomed} onClose={() => setDoomed(null)} />}
    </>
  )
}

const GRID = 'grid grid-cols-2 gap-3 sm:grid-cols-3 sm:gap-4 lg:grid-cols-4'

function Tile(props: { track: Track; what?: Playable; queue: Playable[]; onDelete: () => void }) {
  const { t, language } = useI18n()
  const { track } = props
  const title = track.title || t('gen.untitled')
  return (
    <li className="sheet flex flex-col overflow-hidden">
      <div className="relative">
        <Cover seed={track.id} src={track.coverUrl} className="aspect-square w-full" />
        {props.what && <PlayButton what={props.what} queue={props.queue} className="absolute right-3 bottom-3 size-11 shadow-lg" />}
      </div>
      <div className="flex flex-1 flex-col p-3">
        <p className="line-clamp-2 text-sm leading-snug font-medium">
          {track.generationId ? (
            <Link to="/generations/$id" params={{ id: track.generationId }} className="hover:underline">
              {title}
            </Link>
          ) : (
            title
          )}
        </p>
        <p className="num mt-0.5 text-xs text-soft">
          {[
            track.variant ? t('gen.variant', { n: track.variant }) : '',
            track.durationMs ? clockText(track.durationMs) : '',
            track.createdAt ? momentText(track.createdAt, language, serverNow()) : '',
          ]
            .filter(Boolean)
            .join(' · ')}
        </p>
        {isUnsaved(track) && (
          <>
            <KeepingNote track={track} className="mt-2" />
            <RetryDownload id={track.id} title={title} className="mt-2 mb-1" />
          </>
        )}
        <div className="mt-auto -mb-1 -ml-2 flex pt-1">
          {track.audioUrl && (
            <a
              href={downloadUrl(track)}
              download={fileName(track, `${title} ${track.variant ?? ''}`)}
              aria-label={t('track.download', { title })}
              title={t('action.download')}
              className="inline-flex size-9 pointer-coarse:size-11 items-center justify-center rounded-lg text-soft hover:bg-sunken hover:text-ink"
            >
              <Download size={17} aria-hidden />
            </a>
          )}
          <IconButton label={t('track.delete', { title })} onClick={props.onDelete}>
            <Trash2 size={17} aria-hidden />
          </IconButton>
        </div>
      </div>
    </li>
  )
}

function DeleteDialog(props: { track: Track; onClose: () => void }) {
  const { t } = useI18n()
  const remove = useDeleteTrack()
  return (
    <Confirm
      title={t('library.deleteTitle')}
      text={t('library.deleteText', { title: props.track.title || t('gen.untitled') })}
      act={t('action.delete')}
      of={remove}
      onAct={() => remove.mutate(props.track.id, { onSuccess: props.onClose })}
      onClose={props.onClose}
    />
  )
}
