import { Link } from '@tanstack/react-router'
import { serverNow } from '../../app/api.ts'
import { momentText } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { isOpen, titleOf, wishesIn, type Generation } from './generations.ts'
import { Outcome } from './outcome.tsx'
import { StateBadge } from './state-badge.tsx'
import { Elapsed, UnderWay } from './under-way.tsx'
import { Variants } from './variants.tsx'

export function GenerationCard(props: { generation: Generation }) {
  const { t, tokens, language } = useI18n()
  const { generation } = props
  const open = isOpen(generation)
  const title = titleOf(generation, t('gen.untitled'))
  return (
    <article className="sheet p-4 sm:p-5">
      <div className="flex items-start gap-3">
        <div className="min-w-0 flex-1">
          <h3 className="leading-6 font-semibold tracking-tight">
            <Link to="/generations/$id" params={{ id: generation.id }} className="line-clamp-2 min-h-6 hover:underline">
              {title}
            </Link>
          </h3>
          {generation.prompt && generation.prompt !== title && <p className="truncate text-sm text-soft">{generation.prompt}</p>}
          <p className="num flex flex-wrap items-center gap-x-1.5 text-xs text-soft">
            {[momentText(generation.createdAt, language, serverNow()), tokens(generation.cost), wishesIn(generation).model]
              .filter(Boolean)
              .join(' · ')}
            {' · '}
            <Link
              to="/generations/$id"
              params={{ id: generation.id }}
              aria-label={t('gen.open', { title })}
              className="inline-flex min-h-6 pointer-coarse:min-h-11 pointer-coarse:min-w-11 items-center font-medium text-accent underline-offset-2 hover:underline"
            >
              {t('action.details')}
            </Link>
          </p>
        </div>
        <div className="flex flex-col items-end gap-1">
          <StateBadge state={generation.state} />
          <Elapsed generation={generation} />
        </div>
      </div>
      {open && <UnderWay generation={generation} />}
      <Variants generation={generation} />
      {!open && <Outcome generation={generation} />}
    </article>
  )
}
