import { problemText } from '../../app/problem-text.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Empty, Skeleton } from '../../ui/empty.tsx'
import { Notice } from '../../ui/notice.tsx'
import { GenerationCard } from './generation-card.tsx'
import { useGenerations } from './generations.ts'

export function GenerationList() {
  const i18n = useI18n()
  const { t } = i18n
  const list = useGenerations()
  const items = list.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <section aria-labelledby="generation-list">
      <h2 id="generation-list" className="mb-3 text-sm font-medium text-soft">
        {t('gen.list')}
      </h2>
      {list.isPending && (
        <div className="grid gap-3" aria-busy="true">
          {[0, 1, 2].map((i) => (
            <div key={i} className="sheet p-5">
              <Skeleton className="h-5 w-2/3" />
              <Skeleton className="mt-3 h-1.5 w-full" />
              <div className="mt-4 grid gap-2 sm:grid-cols-2">
                <Skeleton className="h-16" />
                <Skeleton className="h-16" />
              </div>
            </div>
          ))}
        </div>
      )}
      {list.isError && items.length === 0 && (
        <Notice tone="danger" live>
          <p>
            {t('gen.loadFailed')} {problemText(list.error, i18n)}
          </p>
          <Button className="mt-2" onClick={() => void list.refetch()}>
            {t('action.retry')}
          </Button>
        </Notice>
      )}
      {list.isSuccess && items.length === 0 && (
        <div className="sheet">
          <Empty title={t('gen.emptyTitle')} text={t('gen.emptyText')} />
        </div>
      )}
      <ul className="grid gap-3">
        {items.map((generation) => (
          <li key={generation.id} className="min-w-0">
            <GenerationCard generation={generation} />
          </li>
        ))}
      </ul>
      {list.hasNextPage && (
        <div className="mt-4 flex justify-center">
          <Button disabled={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
            {t('action.more')}
          </Button>
        </div>
      )}
    </section>
  )
}
