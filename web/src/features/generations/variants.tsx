import { useI18n } from '../../i18n/i18n.tsx'
import { playables } from '../tracks/playable.ts'
import { TrackRow } from '../tracks/track-row.tsx'
import { isOpen, titleOf, type Generation } from './generations.ts'

/** The songs of a generation. While it is under way, those still to come have their place too. */
export function Variants(props: { generation: Generation }) {
  const { t } = useI18n()
  const { generation } = props
  const open = isOpen(generation)
  const tracks = (generation.tracks ?? []).filter((track) => track.audioUrl || track.previewUrl || open)
  const name = (i: number) => t('gen.variant', { n: i + 1 })
  const queue = tracks.flatMap((track, i) =>
    playables([{ ...track, title: track.title || titleOf(generation, t('gen.untitled')) }], '', generation.id).map((one) => ({
      ...one,
      subtitle: name(i),
    })),
  )
  const expected = generation.results ?? 2
  const awaited = open ? Math.max(0, expected - tracks.length) : 0
  if (tracks.length + awaited === 0) return null
  return (
    <ul className="mt-3 grid gap-2 sm:grid-cols-2">
      {tracks.map((track, i) =>
        track.audioUrl || track.previewUrl ? (
          <TrackRow
            key={track.id}
            track={track}
            name={name(i)}
            what={queue.find((one) => one.id === track.id || one.id === `${track.id}:preview`)}
            queue={queue}
          />
        ) : (
          <Awaited key={track.id} n={i + 1} />
        ),
      )}
      {Array.from({ length: awaited }, (_, i) => (
        <Awaited key={`awaited-${i}`} n={tracks.length + i + 1} />
      ))}
    </ul>
  )
}

function Awaited(props: { n: number }) {
  const { t } = useI18n()
  return (
    <li className="flex items-center gap-3 rounded-xl border border-dashed border-line p-2">
      <span className="flex size-12 shrink-0 items-end justify-center gap-1 rounded-lg bg-sunken p-3" aria-hidden="true">
        {[0, 150, 300, 450].map((delay) => (
          <span key={delay} className="animate-bar h-full w-1 rounded-full bg-edge" style={{ animationDelay: `${delay}ms` }} />
        ))}
      </span>
      <span className="text-sm text-soft">{t('gen.variantWaiting', { n: props.n })}</span>
    </li>
  )
}
