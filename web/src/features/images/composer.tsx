import { Link, useLocation, useNavigate } from '@tanstack/react-router'
import { LoaderCircle, WandSparkles, X } from 'lucide-react'
import { useEffect, useEffectEvent, useRef, useState, type FormEvent } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { isUnanswered } from '../../app/paid.ts'
import { PriceChanged, useBalance, useInfo, usePrice, type Priced } from '../../app/queries.ts'
import { useValue } from '../../app/value-store.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { PriceUnread } from '../wallet/price-unread.tsx'
import { CardChoice } from './card-choice.tsx'
import { STYLE_PLACE } from './card-dialogs.tsx'
import { changeDraft, draftStore, emptyDraft, isUploading, mistakesOf, MOST_PHOTOS, orderOf, picturesOf, type Draft, type Mistakes, type Picture } from './draft.ts'
import { useOrderImages } from './images.ts'
import { MOST_MB, sortFiles, type Refusal } from './picture-files.ts'
import { PictureField } from './picture-field.tsx'
import { imageProblem } from './problem.ts'
import { RatioChoice } from './ratio-shape.tsx'
import { letAllGo, letGo, sendPicture } from './uploads.ts'

type Room = 'photos' | 'reference'

/** Where pictures are asked for: photos, what they show, which pictures to make, and the price before the click. */
export function ImageComposer() {
  const i18n = useI18n()
  const { t, tokens } = i18n
  const draft = useValue(draftStore)
  const [tried, setTried] = useState(false)
  const [refused, setRefused] = useState<Record<Room, Refusal[]>>({ photos: [], reference: [] })
  const [said, setSaid] = useState('')
  const form = useRef<HTMLFormElement>(null)
  const sent = useRef(draft)
  const order = useOrderImages(() => {
    // What was typed while the answer was on its way is the next order.
    if (draftStore.get() !== sent.current) return
    letAllGo(sent.current)
    changeDraft(({ ratio, unified, cards }) => ({ ...emptyDraft, ratio, unified, cards }))
  })
  const navigate = useNavigate()
  const balance = useBalance().data
  const asked: Priced = { kind: 'image', provider: useInfo().data?.imageProvider, results: draft.cards.length }
  const { price, ...reading } = usePrice(asked)
  const short = price && balance && price.tokens > balance.available
  const uploading = isUploading(draft)

  const change = (part: Partial<Draft>) => {
    changeDraft((before) => ({ ...before, ...part }))
    if (order.isError) order.reset()
  }

  const add = (room: Room, files: File[]) => {
    if (files.length === 0) return
    const here = draftStore.get()
    const { taken, refused: not } = sortFiles(files, room === 'photos' ? MOST_PHOTOS - here.photos.length : here.reference ? 0 : 1)
    setRefused((before) => ({ ...before, [room]: not }))
    if (taken.length === 0) return
    setSaid(t('images.added', { n: taken.length }))
    if (order.isError) order.reset()
    const pictures = taken.map((file, i): Picture => ({
      key: crypto.randomUUID(), name: file.name || `${room}-${i + 1}`, state: 'uploading', preview: URL.createObjectURL(file), file,
    }))
    changeDraft((before) => (room === 'photos' ? { ...before, photos: [...before.photos, ...pictures] } : { ...before, reference: pictures[0]! }))
    for (const picture of pictures) void sendPicture(picture)
  }
  const remove = (key: string) => {
    setRefused({ photos: [], reference: [] })
    const gone = picturesOf(draft).find((picture) => picture.key === key)
    if (gone) letGo(gone)
    changeDraft((before) => ({
      ...before, photos: before.photos.filter((photo) => photo.key !== key), reference: before.reference?.key === key ? null : before.reference,
    }))
  }

  const onPaste = useEffectEvent((event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])]
    if (files.length === 0 || isText(event)) return
    event.preventDefault()
    const inReference = document.activeElement?.closest('[data-pictures=reference]')
    add(inReference ? 'reference' : 'photos', files)
  })
  useEffect(() => {
    const listen = (event: ClipboardEvent) => onPaste(event)
    document.addEventListener('paste', listen)
    return () => document.removeEventListener('paste', listen)
  }, [])

  const inStyle = useLocation({ select: ({ hash }) => hash }) === STYLE_PLACE && draft.style !== null
  const style = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (!inStyle) return
    // After the page has put itself to its beginning, as it does when somebody comes to it.
    const frame = requestAnimationFrame(() => (style.current?.scrollIntoView({ block: 'center' }), style.current?.focus({ preventScroll: true })))
    return () => cancelAnimationFrame(frame)
  }, [inStyle])

  const mistakes = mistakesOf(draft)
  const problem = order.error instanceof ApiProblem ? order.error : undefined
  const mistake = (field: keyof Mistakes): string | undefined => {
    const known = mistakes[field]
    if (known?.rule === 'too_long') return t('problem.tooLong', { n: known.n })
    if (known && tried) {
      if (known.rule === 'not_uploaded') return t('images.needUploaded')
      return t(field === 'photos' ? 'images.needPhoto' : field === 'cards' ? 'images.needCard' : 'problem.required')
    }
    const paths: Record<keyof Mistakes, string> = {
      photos: 'productImages', reference: 'referenceImageUrl', cards: 'selectedCards', productName: 'productName', category: 'category', description: 'description',
    }
    return problem?.fields.find(({ path }) => path === paths[field] || path.startsWith(`${paths[field]}.`))?.message
  }
  const atField = (['photos', 'reference', 'productName', 'category', 'description', 'cards'] as const).some((field) => problem && mistake(field))

  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (order.isPending || uploading || short) return
    if (Object.keys(mistakes).length > 0) {
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus())
      return
    }
    sent.current = draft
    order.mutate({ body: orderOf(draft), offer: { asked, shown: price?.tokens } }, {
      onSuccess: ({ jobId }) => void navigate({ to: '/images/$id', params: { id: jobId } }),
    })
  }

  return (
    <form ref={form} onSubmit={submit} noValidate className="sheet overflow-hidden" aria-labelledby="image-composer">
      <h1 id="image-composer" className="px-5 pt-6 text-2xl leading-none font-semibold tracking-tight sm:px-6">
        {t('images.title')}
      </h1>
      <div className="grid gap-5 p-5 sm:p-6">
        <PictureField
          id="photos"
          label={t('images.photos')}
          hint={t('images.photosHint', { n: MOST_PHOTOS, mb: MOST_MB })}
          choose={t('images.choose')}
          most={MOST_PHOTOS}
          pictures={draft.photos}
          refused={refused.photos}
          error={mistake('photos')}
          onAdd={(files) => add('photos', files)}
          onRemove={remove}
          onRetry={(picture) => void sendPicture(picture)}
        />
        <p role="status" className="sr-only">
          {said}
        </p>
        <Field label={t('images.product')} error={mistake('productName')}>
          {(wire) => (
            <input {...wire} value={draft.productName} placeholder={t('images.productPlaceholder')} onChange={(event) => change({ productName: event.target.value })} className="field" />
          )}
        </Field>
        <Field label={t('images.category')} aside={t('create.optional')} error={mistake('category')}>
          {(wire) => <input {...wire} value={draft.category} placeholder={t('images.categoryPlaceholder')} onChange={(event) => change({ category: event.target.value })} className="field" />}
        </Field>
        <Field label={t('images.description')} aside={t('create.optional')} error={mistake('description')}>
          {(wire) => (
            <textarea {...wire} rows={3} value={draft.description} placeholder={t('images.descriptionPlaceholder')} onChange={(event) => change({ description: event.target.value })} className="field resize-y" />
          )}
        </Field>
        <CardChoice value={draft.cards} error={mistake('cards')} onChange={(cards) => change({ cards })} />
        <RatioChoice value={draft.ratio} onChange={(ratio) => change({ ratio })} />
        {draft.style && (
          <div ref={style} id={STYLE_PLACE} tabIndex={-1} className="flex scroll-mt-20 items-center gap-3 rounded-xl bg-wash p-2.5">
            <img src={draft.style.thumbnail} alt="" className="size-14 rounded-lg object-cover" />
            <div className="min-w-0 flex-1 text-sm">
              <p className="font-medium">{t('images.styleOf')}</p>
              {draft.style.product && <p className="truncate text-xs text-soft">{t('images.styleOfHint', { product: draft.style.product })}</p>}
            </div>
            <IconButton label={t('images.styleDrop')} onClick={() => change({ style: null })}>
              <X size={18} aria-hidden />
            </IconButton>
          </div>
        )}
        <label className="flex items-start gap-2.5 text-sm">
          <input type="checkbox" checked={draft.unified} onChange={(event) => change({ unified: event.target.checked })} className="mt-0.5 size-5 shrink-0 accent-accent" />
          <span>
            <span className="block font-medium">{t('images.unified')}</span>
            <span className="block text-xs text-soft">{t('images.unifiedHint')}</span>
          </span>
        </label>
        <PictureField
          id="reference"
          label={t('images.reference')}
          aside={t('create.optional')}
          hint={t('images.referenceHint')}
          choose={t('images.chooseOne')}
          most={1}
          pictures={draft.reference ? [draft.reference] : []}
          refused={refused.reference}
          error={mistake('reference')}
          onAdd={(files) => add('reference', files)}
          onRemove={remove}
          onRetry={(picture) => void sendPicture(picture)}
        />

        {order.isError && !atField && (
          <Notice tone={order.error instanceof PriceChanged ? 'warn' : 'danger'} live>
            <p>{imageProblem(order.error, i18n)}</p>
            {isUnanswered(problem) && <p className="mt-1 text-soft">{t('create.safe')}</p>}
          </Notice>
        )}

        <div className="grid gap-3">
          {short ? (
            <Notice tone="warn" live>
              <p>{t('images.notEnough', { required: tokens(price.tokens), available: tokens(balance.available) })}</p>
              <Link to="/wallet" className="mt-1 inline-flex min-h-6 items-center font-medium text-accent underline underline-offset-2">
                {t('images.toWallet')}
              </Link>
            </Notice>
          ) : (
            <div className="text-sm">
              {draft.cards.length > 0 && !price && reading.failed ? (
                <PriceUnread again={reading.again} />
              ) : (
                <p className="num min-h-5 font-medium">
                  {draft.cards.length === 0
                    ? t('images.pricePick')
                    : price && t('images.price', { tokens: tokens(price.tokens), pictures: t('images.count', { n: draft.cards.length }) })}
                </p>
              )}
              <p className="text-xs text-soft">{t('images.priceHint')}</p>
            </div>
          )}
          <Button type="submit" look="primary" aria-disabled={order.isPending || uploading || Boolean(short)} className="min-h-11 text-base">
            {order.isPending || uploading ? <LoaderCircle size={18} className="animate-spin" aria-hidden /> : <WandSparkles size={18} aria-hidden />}
            {t(order.isPending ? 'create.sending' : uploading ? 'images.stillUploading' : 'images.submit')}
          </Button>
        </div>
      </div>
    </form>
  )
}

/** Words that are put into a text stay words, also when a picture of them is in the clipboard, as office programs do it. */
function isText({ target, clipboardData }: ClipboardEvent): boolean {
  const inText = target instanceof Element && target.closest('textarea, input:not([type=file], [type=checkbox], [type=radio])')
  return Boolean(inText && clipboardData?.types.includes('text/plain'))
}
