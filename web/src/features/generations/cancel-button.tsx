import { useState } from 'react'
import { Confirm } from '../../app/confirm.tsx'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { useAct, type Generation } from './generations.ts'

export function CancelButton(props: { generation: Generation }) {
  const { t } = useI18n()
  const [asking, setAsking] = useState(false)
  const act = useAct(props.generation.id)
  return (
    <>
      <Button look="quiet" onClick={() => setAsking(true)}>
        {t('action.cancel')}
      </Button>
      {asking && (
        <Confirm
          title={t('gen.cancelConfirm')}
          text={t('gen.cancelText')}
          act={t('gen.cancelDo')}
          keep={t('gen.cancelKeep')}
          of={act}
          onAct={() => act.mutate({ act: 'cancel' }, { onSuccess: () => setAsking(false) })}
          onClose={() => setAsking(false)}
        />
      )}
    </>
  )
}
