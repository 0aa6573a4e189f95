import { useState } from 'react'
import { problemText } from '../../app/problem-text.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Notice } from '../../ui/notice.tsx'
import { useAct, type Generation } from './generations.ts'

export function CancelButton(props: { generation: Generation }) {
  const i18n = useI18n()
  const { t } = i18n
  const [asking, setAsking] = useState(false)
  const act = useAct(props.generation.id)
  return (
    <>
      <Button look="quiet" onClick={() => setAsking(true)}>
        {t('action.cancel')}
      </Button>
      {asking && (
        <Dialog title={t('gen.cancelConfirm')} onClose={() => setAsking(false)}>
          <p className="mt-2 text-sm text-soft">{t('gen.cancelText')}</p>
          {act.isError && (
            <Notice tone="danger" live className="mt-3">
              {problemText(act.error, i18n)}
            </Notice>
          )}
          <div className="mt-5 flex flex-wrap justify-end gap-2">
            <Button onClick={() => setAsking(false)}>{t('gen.cancelKeep')}</Button>
            <Button
              look="danger"
              disabled={act.isPending}
              onClick={() => act.mutate({ act: 'cancel' }, { onSuccess: () => setAsking(false) })}
            >
              {t('gen.cancelDo')}
            </Button>
          </div>
        </Dialog>
      )}
    </>
  )
}
