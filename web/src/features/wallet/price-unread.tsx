import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'

/** In the place of a price that could not be read. */
export function PriceUnread({ again }: { again: () => void }) {
  const { t } = useI18n()
  return (
    <div role="status" className="flex flex-wrap items-center justify-between gap-x-3">
      <p>{t('create.priceUnread')}</p>
      <Button onClick={again}>{t('action.retry')}</Button>
    </div>
  )
}
