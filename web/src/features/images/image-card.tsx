import { Ban, Clock, Download, LoaderCircle, Palette, Pencil, RefreshCw, RotateCcw } from 'lucide-react'
import { useEffect, useState, type ReactNode } from 'react'
import { isUnanswered } from '../../app/paid.ts'
import { clockText, useNow } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { useKeptFocus } from '../../ui/kept-focus.ts'
import { AgainDialog, altOf, DownloadLink, ratioStyle, useSameStyle, ViewDialog } from './card-dialogs.tsx'
import { cardIcon, cardName } from './card-choice.tsx'
import { useCardAct, type Card, type ImageJob } from './images.ts'
import { Picture } from './picture.tsx'
import { imageProblem } from './problem.ts'
import { isCardOpen, lineOf } from './progress.ts'
import { isRefusal, reasonOf } from './reason.ts'

type Open = 'view' | 'edit' | 'regenerate'

/** One card of a job: what it will be, is, or why it is not, and what can be done with it. The newest version first. */
export function ImageCard(props: { job: ImageJob; card: Card; sizes: string }) {
  const i18n = useI18n()
  const { t } = i18n
  const { job } = props
  const line = lineOf(props.card)
  const [chosen, setChosen] = useState<number | null>(null)
  const [open, setOpen] = useState<Open | null>(null)
  // A new version is what one has been waiting for.
  useEffect(() => setChosen(null), [line.length])
  const card = line[chosen ?? line.length - 1] ?? props.card
  const name = cardName(props.card.type, i18n)
  const sameStyle = useSameStyle()
  const kept = useKeptFocus<HTMLElement>()
  const dialog = (kind: Open | null) => () => setOpen(kind)
  const small = 'inline-flex size-9 pointer-coarse:size-11 shrink-0 items-center justify-center rounded-lg text-soft transition hover:bg-sunken hover:text-ink'
  return (
    <article {...kept} className="sheet flex min-w-0 flex-col overflow-hidden" aria-label={name} data-card={card.status}>
      <div className="relative bg-sunken" style={ratioStyle(job.aspectRatio)}>
        {card.status === 'completed' && card.imageUrl ? (
          <button type="button" aria-label={t('images.open', { card: name })} onClick={dialog('view')} className="block size-full -outline-offset-2">
            <Picture card={card} ratio={job.aspectRatio} alt={altOf(job, name)} sizes={props.sizes} />
          </button>
        ) : (
          <Waiting card={card} />
        )}
      </div>
      <div className="flex flex-1 flex-col gap-1.5 p-3">
        <div className="flex flex-wrap items-center justify-between gap-x-2 gap-y-1">
          <h2 className="text-sm font-semibold">{name}</h2>
          {line.length > 1 && (
            <div role="group" aria-label={t('images.versions')} className="flex rounded-md border border-line p-px">
              {line.map((one, i) => (
                <button
                  key={one.id}
                  type="button"
                  aria-label={t('images.version', { n: i + 1 })}
                  aria-pressed={one === card}
                  onClick={() => setChosen(i)}
                  className="num min-h-6 min-w-6 pointer-coarse:min-h-11 pointer-coarse:min-w-11 rounded px-1 text-xs text-soft aria-pressed:bg-accent aria-pressed:font-medium aria-pressed:text-on-accent"
                >
                  {i + 1}
                </button>
              ))}
            </div>
          )}
        </div>
        {card.status === 'completed' ? (
          <div className="-mx-1.5 mt-auto -mb-1 flex flex-wrap pointer-coarse:-mx-3 pointer-coarse:flex-nowrap pointer-coarse:*:shrink">
            <DownloadLink job={job} card={card} title={t('images.download')} className={small}>
              <Download size={18} aria-hidden />
            </DownloadLink>
            {card.prices.edit !== null && (
              <IconButton label={t('images.actOf', { act: t('images.edit'), card: name })} onClick={dialog('edit')}>
                <Pencil size={18} aria-hidden />
              </IconButton>
            )}
            {card.prices.regenerate !== null && (
              <IconButton label={t('images.actOf', { act: t('images.regenerate'), card: name })} onClick={dialog('regenerate')}>
                <RefreshCw size={18} aria-hidden />
              </IconButton>
            )}
            <IconButton label={t('images.actOf', { act: t('images.sameStyle'), card: name })} onClick={() => sameStyle(job, card)}>
              <Palette size={18} aria-hidden />
            </IconButton>
          </div>
        ) : (
          <Trouble key={card.id} jobId={job.id} card={card} name={name} />
        )}
      </div>
      {open === 'view' && <ViewDialog job={job} card={card} onClose={dialog(null)} />}
      {(open === 'edit' || open === 'regenerate') && <AgainDialog kind={open} job={job} card={card} onClose={dialog(null)} />}
    </article>
  )
}

/** In the place of the picture, as long as there is none. */
function Waiting({ card }: { card: Card }) {
  const { t } = useI18n()
  const now = useNow(isCardOpen(card))
  const left = Date.parse(card.retryAfter ?? '') - now
  const looks: Record<Card['status'], [look: string, mark: ReactNode, text: string]> = {
    pending: ['text-soft', <span key="m" className="opacity-60">{cardIcon(card.type)}</span>, t('images.pending')],
    processing: ['text-ink', <LoaderCircle key="m" size={22} className="animate-spin text-accent" aria-hidden />, t('images.processing')],
    retrying: ['text-warn', <Clock key="m" size={20} aria-hidden />, left > 500 ? t('images.retryingIn', { time: clockText(left + 999) }) : t('images.retrying')],
    failed: ['bg-danger-wash text-danger', <Ban key="m" size={22} aria-hidden />, t('images.failed')],
    // Stored, but the address is not known yet.
    completed: ['text-soft', <LoaderCircle key="m" size={22} className="animate-spin" aria-hidden />, t('images.completed')],
  }
  const [look, mark, text] = looks[card.status]
  const since = card.status === 'processing' && card.startedAt ? now - Date.parse(card.startedAt) : undefined
  return (
    <div className={`num flex size-full flex-col items-center justify-center gap-1.5 p-3 text-center text-sm ${look}`}>
      {mark}
      <span>{text}</span>
      {since !== undefined && <span className="font-mono text-xs text-soft">{clockText(since)}</span>}
    </div>
  )
}

/** Why it is not there, what was given back, and trying again with its price. */
function Trouble(props: { jobId: string; card: Card; name: string }) {
  const i18n = useI18n()
  const { t, tokens } = i18n
  const { card } = props
  const act = useCardAct(props.jobId, card)
  // Once it has begun the page waits for the new card: a second click would be paid, too.
  const busy = act.isPending || act.isSuccess
  const price = card.prices.retry
  const reason = reasonOf(card)
  const why = reason && (reason.key === 'reason.other' && card.error?.message ? card.error.message : t(reason.key, { name: reason.name }))
  if (card.status !== 'failed') {
    return (
      <>
        {why && <p className="text-xs text-soft">{t('images.retryingWhy', { reason: why })}</p>}
        {card.retryCount > 0 && <p className="text-xs text-soft">{t('images.triedTimes', { n: card.retryCount })}</p>}
      </>
    )
  }
  return (
    <>
      <p className="text-xs text-danger">{why}</p>
      {card.tokens.released > 0 && <p className="num text-xs text-soft">{t('images.givenBack', { amount: tokens(card.tokens.released) })}</p>}
      {act.isError && (
        <p role="alert" className="text-xs text-danger">
          {imageProblem(act.error, i18n)} {isUnanswered(act.error) && t('create.safe')}
        </p>
      )}
      {price !== null && (
        <Button
          look={isRefusal(card) ? 'plain' : 'primary'}
          className="mt-auto"
          aria-disabled={busy}
          aria-label={t('images.actOf', { act: t('images.retry', { price: tokens(price) }), card: props.name })}
          onClick={() => busy || act.mutate({ kind: 'retry' })}
        >
          {busy ? <LoaderCircle size={15} className="shrink-0 animate-spin" aria-hidden /> : <RotateCcw size={15} className="shrink-0 max-sm:hidden" aria-hidden />}
          {t('images.retry', { price: tokens(price) })}
        </Button>
      )}
    </>
  )
}
