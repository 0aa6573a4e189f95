import { useI18n } from '../i18n/i18n.tsx'
import { Button } from './button.tsx'

/** A list that is read page by page. */
export interface Paged {
  hasNextPage: boolean
  isFetchingNextPage: boolean
  fetchNextPage: () => unknown
}

/** The way to the next page, as long as there is one. */
export function More({ of: list }: { of: Paged }) {
  const { t } = useI18n()
  if (!list.hasNextPage) return null
  return (
    <div className="mt-4 flex justify-center">
      <Button aria-disabled={list.isFetchingNextPage} onClick={() => void (list.isFetchingNextPage || list.fetchNextPage())}>
        {t('action.more')}
      </Button>
    </div>
  )
}
