import { Link, useNavigate } from '@tanstack/react-router'
import { LoaderCircle, WandSparkles, X } from 'lucide-react'
import { useEffect, useEffectEvent, useRef, useState, type FormEvent } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { priceOf, useBalance, usePrices } from '../../app/queries.ts'
import { useValue } from '../../app/value-store.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { CardChoice } from './card-choice.tsx'
import { changeDraft, draftStore, emptyDraft, isUploading, mistakesOf, MOST_PHOTOS, orderOf, type Draft, type Mistakes, type Picture } from './draft.ts'
import { uploadPicture, useOrderImages, type ImageOrder } from './images.ts'
import { MOST_MB, sortFiles, type Refusal } from './picture-files.ts'
import { PictureField } from './picture-field.tsx'
import { imageProblem } from './problem.ts'
import { RatioChoice } from './ratio-shape.tsx'

type Room = 'photos' | 'reference'

/** Where pictures are asked for: photos, what they show, which pictures to make, and the price before the click. */
export function ImageComposer() {
  const i18n = useI18n()
  const { t, tokens } = i18n
  const draft = useValue(draftStore)
  const [tried, setTried] = useState(false)
  const [refused, setRefused] = useState<Record<Room, Refusal[]>>({ photos: [], reference: [] })
  const [said, setSaid] = useState('')
  const [last, setLast] = useState<ImageOrder | null>(null)
  const form = useRef<HTMLFormElement>(null)
  const order = useOrderImages()
  const navigate = useNavigate()
  const prices = usePrices().data ?? []
  const balance = useBalance().data
  const price = priceOf(prices, { kind: 'image', provider: 'google', results: draft.cards.length })
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
    for (const picture of pictures) void send(picture)
  }
  const remove = (key: string) => {
    setRefused({ photos: [], reference: [] })
    const gone = [...draft.photos, draft.reference].find((picture) => picture?.key === key)
    if (gone?.preview) URL.revokeObjectURL(gone.preview)
    changeDraft((before) => ({
      ...before, photos: before.photos.filter((photo) => photo.key !== key), reference: before.reference?.key === key ? null : before.reference,
    }))
  }

  const onPaste = useEffectEvent((event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])]
    if (files.length === 0) return
    event.preventDefault()
    const inReference = document.activeElement?.closest('[data-pictures=reference]')
    add(inReference ? 'reference' : 'photos', files)
  })
  useEffect(() => {
    const listen = (event: ClipboardEvent) => onPaste(event)
    document.addEventListener('paste', listen)
    return () => document.removeEventListener('paste', listen)
  }, [])

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

  const place = (what: ImageOrder) => {
    setLast(what)
    order.mutate(what, {
      onSuccess: ({ jobId }) => {
        setTried(false)
        changeDraft(({ ratio, unified, cards }) => ({ ...emptyDraft, ratio, unified, cards }))
        void navigate({ to: '/images/$id', params: { id: jobId } })
      },
    })
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (order.isPending || uploading || short) return
    if (Object.keys(mistakes).length > 0) {
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus())
      return
    }
    place(orderOf(draft, crypto.randomUUID()))
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
          onRetry={(picture) => void send(picture)}
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
          <div className="flex items-center gap-3 rounded-xl bg-wash p-2.5">
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
          onRetry={(picture) => void send(picture)}
        />

        {order.isError && !atField && (
          <Notice tone="danger" live>
            <p>{imageProblem(order.error, i18n)}</p>
            {problem?.status === 0 && last && (
              <>
                <p className="mt-1 text-soft">{t('create.safe')}</p>
                <Button className="mt-2" onClick={() => place(last)}>
                  {t('create.again')}
                </Button>
              </>
            )}
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
              <p className="num font-medium">
                {draft.cards.length === 0 || !price
                  ? t('images.pricePick')
                  : t('images.price', { tokens: tokens(price.tokens), pictures: t('images.count', { n: draft.cards.length }) })}
              </p>
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

/** Sends one picture, also when its page has been left meanwhile; what was removed before the answer stays removed. */
async function send(picture: Picture): Promise<void> {
  const put = (part: Partial<Picture>) => {
    const fresh = (one: Picture): Picture => (one.key === picture.key ? { ...one, ...part } : one)
    changeDraft((draft) => ({ ...draft, photos: draft.photos.map(fresh), reference: draft.reference && fresh(draft.reference) }))
  }
  if (!picture.file) return
  put({ state: 'uploading', problem: undefined })
  try {
    const { url } = await uploadPicture(picture.file)
    put({ state: 'ready', url, file: undefined })
  } catch (problem) {
    put({ state: 'failed', problem })
  }
}
