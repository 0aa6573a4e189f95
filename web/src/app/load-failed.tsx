import { useI18n } from '../i18n/i18n.tsx'
import { Button } from '../ui/button.tsx'
import { Notice } from '../ui/notice.tsx'
import { problemText } from './problem-text.ts'

/** What is read, as a query tells of it. */
export interface Asked {
  isError: boolean
  error: unknown
  data: unknown
  refetch: () => unknown
  /** Of a list that is read page by page. */
  isFetchNextPageError?: boolean
  fetchNextPage?: () => unknown
}

/**
 * Why something could not be read, and another try. What was read before stays, and is not spoken of unless `even` it
 * is shown: a next page that did not come is.
 */
export function LoadFailed({ of: asked, text, even, className = '' }: { of: Asked; text?: string; even?: boolean; className?: string }) {
  const i18n = useI18n()
  const older = asked.data !== undefined
  if (!asked.isError || (older && !even && !asked.isFetchNextPageError)) return null
  return (
    <Notice tone={older ? 'warn' : 'danger'} live className={className}>
      <p>
        {text} {problemText(asked.error, i18n)}
      </p>
      <Button className="mt-2" onClick={() => void (asked.isFetchNextPageError ? asked.fetchNextPage?.() : asked.refetch())}>
        {i18n.t('action.retry')}
      </Button>
    </Notice>
  )
}
