import { useI18n } from '../../i18n/i18n.tsx'
import { playableOf } from '../tracks/playable.ts'
import { TrackRow } from '../tracks/track-row.tsx'
import { titleOf, type Generation } from './generations.ts'
import { slotsOf } from './slots.ts'

/** The songs of a generation. While it is under way, those still to come have their place too. */
export function Variants(props: { generation: Generation }) {
  const { t } = useI18n()
  const { generation } = props
  const title = titleOf(generation, t('gen.untitled'))
  const rows = slotsOf(generation).map(({ n, track, previewUrl }) => {
    const shown = track ?? { id: `${generation.id}:${n}`, title: null, previewUrl }
    const name = t('gen.variant', { n })
    return { n, shown, name, what: playableOf(shown, { title: track?.title || title, subtitle: name, generationId: generation.id }) }
  })
  const queue = rows.flatMap((row) => row.what ?? [])
  if (rows.length === 0) return null
  return (
    <ul className="mt-3 grid gap-2 sm:grid-cols-2">
      {rows.map((row) =>
        row.what ? (
          <TrackRow key={row.n} track={row.shown} name={row.name} what={row.what} queue={queue} />
        ) : (
          <Awaited key={row.n} n={row.n} />
        ),
      )}
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
