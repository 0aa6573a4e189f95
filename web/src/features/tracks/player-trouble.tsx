import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { retry, type Playable, type PlayerState } from './player.ts'
import { RetryDownload } from './retry-download-button.tsx'

/** Why it does not play, in the listener's words, with what mends it. */
export function PlayerTrouble(props: { what: Playable; error: NonNullable<PlayerState['error']> }) {
  const { t } = useI18n()
  const { what, error } = props
  // A file of ours that is broken can be fetched again too; a broken line mends itself.
  const fetchable = what.trackId !== undefined && error.why === undefined && (!what.stored || error.name === 'MEDIA_ERR_DECODE' || error.name === 'MEDIA_ERR_SRC_NOT_SUPPORTED')
  const where = what.stored ? 'copy' : 'provider'
  return (
    <div className="order-last min-w-0 basis-full items-center gap-x-5 pb-1 text-sm sm:flex">
      <p role="alert" className="min-w-0 flex-1 leading-snug">
        <code className="mr-2 font-mono text-xs text-danger">{error.name}</code>
        {t(error.why ? `media.${error.why}` : `media.${error.name}`)}{' '}
        {fetchable && <span className="text-soft">{t(`media.${where}Hint`)}</span>}
      </p>
      <div className="mt-2 flex flex-wrap items-start gap-2 sm:mt-0 sm:shrink-0">
        {error.why !== 'missing' && <Button onClick={() => void retry()}>{t('player.retry')}</Button>}
        {fetchable && <RetryDownload id={what.trackId!} title={what.title} />}
      </div>
    </div>
  )
}
