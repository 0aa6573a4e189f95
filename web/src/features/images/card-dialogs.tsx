import { Link, useNavigate } from '@tanstack/react-router'
import { Download, LoaderCircle, Palette } from 'lucide-react'
import { useState, type FormEvent } from 'react'
import { isUnanswered } from '../../app/paid.ts'
import { PriceChanged, useBalance } from '../../app/queries.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, buttonLook } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { cardName } from './card-choice.tsx'
import { changeDraft, inStyleOf } from './draft.ts'
import { useCardAct, type Card, type ImageJob } from './images.ts'
import { Picture } from './picture.tsx'
import { imageProblem } from './problem.ts'
import { fileName, lineOf, shapeOf } from './progress.ts'

export const INSTRUCTION_LIMIT = 1000

/** Asks what to change, or only whether to draw it anew; the price stands on the button that spends it. */
export function AgainDialog(props: { kind: 'edit' | 'regenerate'; job: ImageJob; card: Card; onClose: () => void }) {
  const i18n = useI18n()
  const { t, tokens } = i18n
  const { kind, job } = props
  // A newer version may come meanwhile: the one that was chosen stays meant.
  const [chosen] = useState(props.card)
  const card = job.cards.flatMap(lineOf).find(({ id }) => id === chosen.id) ?? chosen
  const [instruction, setInstruction] = useState('')
  const [tried, setTried] = useState(false)
  const act = useCardAct(job.id, card, props.onClose)
  const price = card.prices[kind]
  const available = useBalance().data?.available
  const short = price !== null && available !== undefined && price > available
  const text = instruction.trim()
  const mistake = text.length > INSTRUCTION_LIMIT ? t('problem.tooLong', { n: INSTRUCTION_LIMIT }) : tried && text === '' ? t('problem.required') : undefined
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (act.isPending || short || (kind === 'edit' && (text === '' || mistake))) return
    act.mutate(kind === 'edit' ? { kind, instruction: text } : { kind })
  }
  const label = t(kind === 'edit' ? 'images.editSubmit' : 'images.regenerate')
  return (
    <Dialog title={kind === 'edit' ? t('images.editTitle') : `${t('images.regenerate')}: ${cardName(card.type, i18n)}`} onClose={props.onClose}>
      <form onSubmit={submit} noValidate className="mt-4 grid gap-4">
        <div className="flex items-start gap-3">
          {card.imageUrl && (
            <span className="block w-20 shrink-0 overflow-hidden rounded-lg bg-sunken" style={ratioStyle(job.aspectRatio)}>
              <Picture card={card} ratio={job.aspectRatio} alt="" />
            </span>
          )}
          <p className="text-sm text-soft">{t(kind === 'edit' ? 'images.editText' : 'images.regenerateHint')}</p>
        </div>
        {kind === 'edit' && (
          <Field label={t('images.editPrompt')} error={mistake}>
            {(wire) => (
              <textarea {...wire} rows={3} autoFocus value={instruction} placeholder={t('images.editPlaceholder')} onChange={(event) => setInstruction(event.target.value)} className="field resize-y" />
            )}
          </Field>
        )}
        {short && (
          <Notice tone="warn" live>
            {t('problem.tokens', { required: tokens(price), available: tokens(available) })}{' '}
            <Link to="/wallet" className="font-medium text-accent underline underline-offset-2">
              {t('images.toWallet')}
            </Link>
          </Notice>
        )}
        {act.isError && (
          <Notice tone={act.error instanceof PriceChanged ? 'warn' : 'danger'} live>
            <p>{imageProblem(act.error, i18n)}</p>
            {isUnanswered(act.error) && <p className="mt-1 text-soft">{t('create.safe')}</p>}
          </Notice>
        )}
        <div className="flex flex-wrap justify-end gap-2">
          <Button onClick={props.onClose}>{t('action.cancel')}</Button>
          <Button type="submit" look="primary" aria-disabled={act.isPending || short}>
            {act.isPending && <LoaderCircle size={16} className="animate-spin" aria-hidden />}
            {price === null ? label : t('images.withPrice', { act: label, price: tokens(price) })}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

/** The whole picture, as large as the window lets it. */
export function ViewDialog(props: { job: ImageJob; card: Card; linkToJob?: boolean; onClose: () => void }) {
  const i18n = useI18n()
  const { t } = i18n
  const { job, card } = props
  const sameStyle = useSameStyle()
  const name = cardName(card.type, i18n)
  const { width, height } = shapeOf(job.aspectRatio)
  return (
    <Dialog title={[job.productName, name].filter(Boolean).join(': ')} wide onClose={props.onClose}>
      <div
        className="mx-auto mt-4 overflow-hidden rounded-xl bg-sunken"
        style={{ ...ratioStyle(job.aspectRatio), maxWidth: `calc((100dvh - 15rem) * ${width / height})` }}
      >
        <img src={card.imageUrl ?? ''} alt={altOf(job, name)} width={width * 100} height={height * 100} className="size-full object-contain" />
      </div>
      <div className="mt-4 flex flex-wrap justify-end gap-2">
        {props.linkToJob && (
          <Link to="/images/$id" params={{ id: job.id }} className={buttonLook('plain')}>
            {t('images.openJob')}
          </Link>
        )}
        <Button title={t('images.sameStyleHint')} onClick={() => sameStyle(job, card)}>
          <Palette size={16} aria-hidden />
          {t('images.sameStyle')}
        </Button>
        <DownloadLink job={job} card={card} className={buttonLook('plain')}>
          <Download size={16} aria-hidden />
          {t('images.download')}
        </DownloadLink>
        <Button look="primary" onClick={props.onClose}>
          {t('images.close')}
        </Button>
      </div>
    </Dialog>
  )
}

export function DownloadLink(props: { job: ImageJob; card: Card; className: string; title?: string; children: React.ReactNode }) {
  const i18n = useI18n()
  const { job, card } = props
  const name = cardName(card.type, i18n)
  return (
    <a
      href={card.imageUrl ?? undefined}
      download={fileName([job.productName ?? '', name], card.imageUrl ?? '')}
      title={props.title}
      aria-label={i18n.t('images.downloadOf', { card: name })}
      className={props.className}
    >
      {props.children}
    </a>
  )
}

/** Where the composer shows the style that it was given. */
export const STYLE_PLACE = 'style'

/** Begins new pictures in the style of this one. */
export function useSameStyle() {
  const navigate = useNavigate()
  return (job: ImageJob, card: Card) => {
    changeDraft((draft) => inStyleOf(draft, job, card))
    void navigate({ to: '/images', hash: STYLE_PLACE })
  }
}

export const altOf = (job: Pick<ImageJob, 'productName'>, name: string) => [name, job.productName].filter(Boolean).join(': ')

export function ratioStyle(ratio: string): { aspectRatio: string } {
  const { width, height } = shapeOf(ratio)
  return { aspectRatio: `${width} / ${height}` }
}
