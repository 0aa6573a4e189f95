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

interface LoadFailedProps {
  of: Asked
  /** Said before the reason. */
  text?: string
  /** Also while something older is shown: who looks at it must know that it is old. */
  even?: boolean
  className?: string
}

/** Why something, or the next page of it, could not be read, and another try. */
export function LoadFailed({ of: asked, text, even, className = '' }: LoadFailedProps) {
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
