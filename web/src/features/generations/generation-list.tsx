import { Listing } from '../../app/listing.tsx'
import { itemsOf } from '../../app/queries.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Empty, Skeleton } from '../../ui/empty.tsx'
import { GenerationCard } from './generation-card.tsx'
import { useGenerations } from './generations.ts'

export function GenerationList() {
  const { t } = useI18n()
  const list = useGenerations()
  const items = itemsOf(list)
  return (
    <section aria-labelledby="generation-list">
      <h2 id="generation-list" className="mb-3 text-sm font-medium text-soft">
        {t('gen.list')}
      </h2>
      <Listing
        of={list}
        count={items.length}
        failed={t('gen.loadFailed')}
        skeleton={[0, 1, 2].map((i) => (
          <div key={i} className="sheet mb-3 p-5">
            <Skeleton className="h-5 w-2/3" />
            <Skeleton className="mt-3 h-1.5 w-full" />
            <div className="mt-4 grid gap-2 sm:grid-cols-2">
              <Skeleton className="h-16" />
              <Skeleton className="h-16" />
            </div>
          </div>
        ))}
        empty={
          <div className="sheet">
            <Empty title={t('gen.emptyTitle')} text={t('gen.emptyText')} />
          </div>
        }
      >
        <ul className="grid gap-3">
          {items.map((generation) => (
            <li key={generation.id} className="min-w-0">
              <GenerationCard generation={generation} />
            </li>
          ))}
        </ul>
      </Listing>
    </section>
  )
}
