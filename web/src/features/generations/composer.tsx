import { ChevronDown, LoaderCircle } from 'lucide-react'
import { useRef, useState, type FormEvent, type KeyboardEvent } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { isUnanswered } from '../../app/paid.ts'
import { problemText } from '../../app/problem-text.ts'
import { PriceChanged, useInfo, usePrice, usePrices, type Priced } from '../../app/queries.ts'
import { useValue } from '../../app/value-store.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { PriceUnread } from '../wallet/price-unread.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { RepeatSign } from '../../ui/repeat-sign.tsx'
import { useOrder } from './generations.ts'
import {
  changeDraft, COUNTS, draftStore, emptyDraft, IDEA_LIMIT, ideaLength, mistakesOf, orderOf, SONG_PROVIDERS, type Draft, type SongProvider,
} from './wishes.ts'

/** Where a song is asked for. What was typed survives a reload; the price stands beside the one button. */
export function Composer() {
  const i18n = useI18n()
  const { t, tokens } = i18n
  const kept = useValue(draftStore)
  const [tried, setTried] = useState(false)
  const sent = useRef(kept)
  // What is typed while the answer is on its way is the next song: it is neither cleared nor called a mistake.
  const order = useOrder(() => changeDraft((now) => (now === sent.current ? { ...emptyDraft, provider: now.provider, count: now.count, model: now.model } : now)))
  const form = useRef<HTMLFormElement>(null)
  const prices = usePrices().data ?? []
  const info = useInfo().data
  const providers = providersOf(info?.modelsOf)
  const draft = offered(kept, providers)
  const manyCounts = draft.provider === 'mureka'
  const asked: Priced = { kind: 'song', provider: draft.provider, model: draft.model || undefined, ...(manyCounts && { results: draft.count }) }
  const { price, ...reading } = usePrice(asked)
  // Another provider's models mean nothing to this one.
  const models = modelNames(info?.modelsOf?.[draft.provider] ?? info?.models, prices)
  const [advanced, setAdvanced] = useState(() => hasAdvanced(kept))

  const change = (part: Partial<Draft>) => {
    changeDraft((before) => ({ ...offered(before, providers), ...part }))
    if (order.isError) order.reset()
  }

  const mistakes = mistakesOf(draft)
  const used = ideaLength(draft)
  const problem = order.error instanceof ApiProblem ? order.error : undefined
  const mistake = (field: keyof Draft): string | undefined => {
    const known = mistakes[field]
    if (known?.rule === 'too_long') return t('problem.tooLong', { n: known.n })
    // What is still empty is no mistake before somebody has tried to send it.
    if (known && tried) return t('problem.required')
    return problem?.fields.find((one) => one.path === field || one.path.endsWith(`.${field}`))?.message
  }
  const FIELDS: (keyof Draft)[] = ['prompt', 'title', 'style', 'lyrics', 'model']
  const shownAtField = FIELDS.some((field) => problem && mistake(field))

  const submit = (event?: FormEvent) => {
    event?.preventDefault()
    setTried(true)
    if (order.isPending) return
    if (Object.keys(mistakes).length > 0) {
      if (!mistakes.prompt) setAdvanced(true)
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus())
      return
    }
    sent.current = kept
    setTried(false)
    order.mutate({ body: orderOf(draft), offer: { asked, shown: price?.tokens } }, {
      // A field that is folded away must not hide its mistake.
      onError: (problem) => {
        if (problem instanceof ApiProblem && problem.fields.length > 0) setAdvanced(true)
      },
    })
  }
  const submitByKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) submit()
  }

  return (
    <form ref={form} onSubmit={submit} onKeyDown={submitByKey} noValidate className="sheet overflow-hidden">
      <div className="relative px-5 pt-6 sm:px-6">
        <div className="staff pointer-events-none absolute inset-x-0 top-[25px] h-[37px]" aria-hidden="true" />
        <div className="relative flex h-[37px] items-center justify-between">
          <h1 className="bg-sheet pr-3 text-2xl leading-none font-semibold tracking-tight">{t('create.title')}</h1>
          <RepeatSign className="h-[37px] shrink-0 text-accent" />
        </div>
      </div>

      <div className="grid gap-4 p-5 sm:p-6">
        <Field
          label={t('create.prompt')}
          error={mistake('prompt')}
          aside={used !== undefined && <Count used={used} limit={IDEA_LIMIT} />}
        >
          {(wire) => (
            <textarea
              {...wire}
              name="prompt"
              rows={4}
              value={draft.prompt}
              placeholder={t('create.placeholder')}
              onChange={(event) => change({ prompt: event.target.value })}
              className="field resize-y text-base leading-relaxed"
            />
          )}
        </Field>

        {draft.prompt === '' && (
          <div>
            <p className="mb-1.5 text-xs text-soft">{t('create.examples')}</p>
            <ul className="grid gap-1.5">
              {(['create.example1', 'create.example2', 'create.example3'] as const).map((key) => (
                <li key={key}>
                  <button
                    type="button"
                    onClick={() => {
                      change({ prompt: t(key) })
                      form.current?.querySelector('textarea')?.focus()
                    }}
                    className="min-h-9 pointer-coarse:min-h-11 w-full rounded-lg bg-sunken/70 px-3 py-1.5 text-left text-sm text-ink hover:bg-wash"
                  >
                    {t(key)}
                  </button>
                </li>
              ))}
            </ul>
          </div>
        )}

        <details className="group" open={advanced} onToggle={(event) => setAdvanced(event.currentTarget.open)}>
          <summary
            className={
              '-mx-2 flex min-h-9 pointer-coarse:min-h-11 list-none items-center gap-1.5 rounded-lg px-2 text-sm text-soft hover:text-ink ' +
              '[&::-webkit-details-marker]:hidden'
            }
          >
            <ChevronDown size={16} aria-hidden className="-rotate-90 transition-transform group-open:rotate-0" />
            {t('create.advanced')}
          </summary>
          <div className="mt-2 grid gap-4">
            <Field label={t('create.titleField')} aside={t('create.optional')} error={mistake('title')}>
              {(wire) => (
                <input
                  {...wire}
                  value={draft.title}
                  onChange={(event) => change({ title: event.target.value })}
                  className="field"
                />
              )}
            </Field>
            <Field label={t('create.style')} aside={t('create.optional')} error={mistake('style')}>
              {(wire) => (
                <input
                  {...wire}
                  value={draft.style}
                  placeholder={t('create.stylePlaceholder')}
                  onChange={(event) => change({ style: event.target.value })}
                  className="field"
                />
              )}
            </Field>
            <label className="flex min-h-8 pointer-coarse:min-h-11 items-center gap-2.5 text-sm">
              <input
                type="checkbox"
                checked={draft.instrumental}
                onChange={(event) => change({ instrumental: event.target.checked })}
                className="size-5 accent-accent"
              />
              {t('create.instrumental')}
            </label>
            {!draft.instrumental && (
              <Field label={t('create.lyrics')} hint={t('create.lyricsHint')} aside={t('create.optional')} error={mistake('lyrics')}>
                {(wire) => (
                  <textarea
                    {...wire}
                    rows={5}
                    value={draft.lyrics}
                    onChange={(event) => change({ lyrics: event.target.value })}
                    className="field resize-y"
                  />
                )}
              </Field>
            )}
            {providers.length > 1 && (
              <Field label={t('detail.provider')}>
                {(wire) => (
                  <select
                    {...wire}
                    value={draft.provider}
                    onChange={(event) => change({ provider: event.target.value as SongProvider, model: '' })}
                    className="field"
                  >
                    {providers.map((id) => (
                      <option key={id} value={id}>
                        {SONG_PROVIDERS[id]}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
            )}
            {manyCounts && (
              <Field label={t('create.count')}>
                {(wire) => (
                  <select
                    {...wire}
                    value={draft.count}
                    onChange={(event) => change({ count: Number(event.target.value) })}
                    className="field"
                  >
                    {COUNTS.map((n) => (
                      <option key={n} value={n}>
                        {t('count.songs', { n })}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
            )}
            {models.length > 0 && (
              <Field label={t('create.model')} error={mistake('model')}>
                {(wire) => (
                  <select
                    {...wire}
                    value={draft.model}
                    onChange={(event) => change({ model: event.target.value })}
                    className="field"
                  >
                    <option value="">{t('create.modelDefault')}</option>
                    {models.map((name) => (
                      <option key={name}>{name}</option>
                    ))}
                  </select>
                )}
              </Field>
            )}
          </div>
        </details>

        {order.isError && !shownAtField && (
          <Notice tone={order.error instanceof PriceChanged ? 'warn' : 'danger'} live>
            <p>{problem?.fields.map((one) => one.message).join(' ') || problemText(order.error, i18n)}</p>
            {isUnanswered(problem) && <p className="mt-1 text-soft">{t('create.safe')}</p>}
          </Notice>
        )}

        <div className="grid gap-3">
          <div className="text-sm">
            {price && (
              <>
                <p className="num font-medium">
                  {t('create.price', { tokens: tokens(price.tokens), songs: t('count.songs', { n: price.results }) })}
                </p>
                <p className="text-xs text-soft">{t('create.priceHint')}</p>
              </>
            )}
            {!price && reading.failed && <PriceUnread again={reading.again} />}
          </div>
          <Button type="submit" look="primary" aria-disabled={order.isPending} className="min-h-11 text-base">
            {order.isPending ? <LoaderCircle size={18} className="animate-spin" aria-hidden /> : <RepeatSign className="h-4" />}
            {t(order.isPending ? 'create.sending' : 'create.submit')}
          </Button>
        </div>
        <p role="status" className={order.isSuccess ? 'text-sm text-accent' : 'sr-only'}>
          {order.isSuccess ? t('create.accepted') : ''}
        </p>
      </div>
    </form>
  )
}

const hasAdvanced = (draft: Draft) =>
  draft.instrumental || draft.provider !== emptyDraft.provider || [draft.title, draft.style, draft.lyrics, draft.model].some((value) => value !== '')

/** What is left; said aloud only when it gets tight. */
function Count(props: { used: number; limit: number }) {
  const { t } = useI18n()
  const left = props.limit - props.used
  return (
    <>
      <span aria-hidden="true" className={`num ${left < 0 ? 'font-medium text-danger' : ''}`}>
        {props.used} / {props.limit}
      </span>
      <span role="status" className="sr-only">
        {left <= 50 && left >= 0 && left % 10 === 0 ? t('count.left', { n: left }) : ''}
      </span>
    </>
  )
}

const providersOf = (known: Record<string, unknown> = {}): SongProvider[] =>
  (Object.keys(SONG_PROVIDERS) as SongProvider[]).filter((id) => id in known)

/** Who was chosen once may not be there any more. */
const offered = (draft: Draft, [first, ...others]: SongProvider[]): Draft =>
  first === undefined || [first, ...others].includes(draft.provider) ? draft : { ...draft, provider: first, model: '' }

function modelNames(told: string[] | undefined, prices: { model?: string | null }[]): string[] {
  const priced = prices.flatMap((price) => (price.model && price.model !== '*' ? [price.model] : []))
  return [...new Set(told ?? priced)]
}
