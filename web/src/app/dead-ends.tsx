import { useI18n } from '../i18n/i18n.tsx'
import { Button } from '../ui/button.tsx'
import { Empty } from '../ui/empty.tsx'
import { usePageName } from './page-name.ts'

export function NotFound() {
  const { t } = useI18n()
  usePageName(t('app.notFound'))
  return (
    <div className="sheet">
      <Empty page title={t('app.notFound')} text={t('app.notFoundHint')} />
    </div>
  )
}

/** A fault of the page itself, or a part of it that could not be fetched. */
export function Crashed() {
  const { t } = useI18n()
  return (
    <div className="sheet" role="alert">
      <Empty page title={t('app.crashed')} text={t('app.crashedHint')}>
        <Button look="primary" onClick={() => location.reload()}>
          {t('app.reload')}
        </Button>
      </Empty>
    </div>
  )
}
