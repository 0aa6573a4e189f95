import { useI18n } from '../i18n/i18n.tsx'
import { Button } from '../ui/button.tsx'
import { Dialog } from '../ui/dialog.tsx'
import { Notice } from '../ui/notice.tsx'
import { problemText } from './problem-text.ts'

interface ConfirmProps {
  title: string
  text: string
  /** What the button does, and what leaving all as it is is called. */
  act: string
  keep?: string
  of: { isPending: boolean; error: unknown }
  onAct: () => void
  onClose: () => void
}

/** Asks before something is gone. What did not work is said here. */
export function Confirm({ title, text, act, keep, of: { isPending, error }, onAct, onClose }: ConfirmProps) {
  const i18n = useI18n()
  return (
    <Dialog title={title} onClose={onClose}>
      <p className="mt-2 text-sm text-soft">{text}</p>
      {error !== null && (
        <Notice tone="danger" live className="mt-3">
          {problemText(error, i18n)}
        </Notice>
      )}
      <div className="mt-5 flex flex-wrap justify-end gap-2">
        <Button onClick={onClose}>{keep ?? i18n.t('action.cancel')}</Button>
        <Button look="danger" aria-disabled={isPending} onClick={() => isPending || onAct()}>
          {act}
        </Button>
      </div>
    </Dialog>
  )
}
