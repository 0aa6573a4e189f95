import { useState, type FormEvent } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { Confirm } from '../../app/confirm.tsx'
import { LoadFailed } from '../../app/load-failed.tsx'
import { Moment } from '../../app/moment.tsx'
import { problemText } from '../../app/problem-text.ts'
import { usePrices, type Price } from '../../app/queries.ts'
import { QueryCard } from '../../app/query-card.tsx'
import { wholeNumber } from '../../app/whole-number.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Field } from '../../ui/field.tsx'
import { useKeptFocus } from '../../ui/kept-focus.ts'
import { priceName, priceScope } from '../wallet/price-names.ts'
import { usePriceChanges, useSetPrice, type PriceLine } from './book.ts'

const MOST = 1_000_000
const lineOf = ({ kind, provider, model }: Price): PriceLine => ({ kind, provider: provider ?? '*', model: model ?? '*' })

/** The price table: each line changed where it stands, new special prices below, and who changed what. */
export function PricesEditor() {
  const { t } = useI18n()
  // Out here, since the line that it tells of may be gone.
  const [said, setSaid] = useState('')
  const kept = useKeptFocus<HTMLDivElement>()
  return (
    <div {...kept} className="outline-none">
      <QueryCard title={t('prices.title')} hint={t('prices.hint')} of={usePrices()} height="h-48">
        {(prices) => (
          <>
            <ul>
              {prices.map((price) => (
                <PriceRow key={Object.values(lineOf(price)).join(' ')} price={price} onSaid={setSaid} />
              ))}
            </ul>
            <p role="status" className="mt-1 text-right text-xs text-accent empty:hidden">
              {said}
            </p>
            <NewPrice kinds={[...new Set(prices.map((price) => price.kind))]} />
            <Changes />
          </>
        )}
      </QueryCard>
    </div>
  )
}

function PriceRow({ price, onSaid }: { price: Price; onSaid: (text: string) => void }) {
  const i18n = useI18n()
  const { t, tokens } = i18n
  const [draft, setDraft] = useState<string | null>(null)
  const [asking, setAsking] = useState(false)
  const kept = useKeptFocus<HTMLLIElement>('button')
  const set = useSetPrice()
  const line = lineOf(price)
  const name = `${priceName(price.kind, t)} ${priceScope(price)}`.trim()
  const value = draft === null ? null : wholeNumber(draft, MOST)
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (value === null || set.isPending) return
    set.mutate({ ...line, tokens: value }, { onSuccess: () => (setDraft(null), onSaid(`${name}: ${t('prices.saved')}`)) })
  }
  const remove = () => set.mutate({ ...line, tokens: null }, { onSuccess: () => (setAsking(false), onSaid(t('prices.removed', { name }))) })
  const edit = () => {
    set.reset()
    onSaid('')
    setDraft(String(price.tokensPerResult))
  }
  return (
    <li {...kept} className="border-t border-line py-2 text-sm first:border-0">
      <div className="flex flex-wrap items-center justify-between gap-x-3 gap-y-1">
        <p className="min-w-0 flex-1">
          {priceName(price.kind, t)}
          <span className="block text-xs text-soft">{priceScope(price) || t('prices.everyone')}</span>
        </p>
        {draft === null ? (
          <div className="flex items-center gap-1">
            <span className="num mr-1 font-medium">{tokens(price.tokensPerResult)}</span>
            <Button look="quiet" onClick={edit}>
              {t('prices.edit')}
              <span className="sr-only">: {name}</span>
            </Button>
            {(line.provider !== '*' || line.model !== '*') && (
              <Button look="quiet" onClick={() => (set.reset(), setAsking(true))}>
                {t('prices.remove')}
                <span className="sr-only">: {name}</span>
              </Button>
            )}
          </div>
        ) : (
          <form onSubmit={submit} className="flex items-center gap-1.5" noValidate>
            <input
              aria-label={`${t('prices.tokens')}: ${name}`}
              aria-invalid={value === null || undefined}
              autoFocus
              inputMode="numeric"
              value={draft}
              onChange={(event) => setDraft(event.target.value)}
              onKeyDown={(event) => event.key === 'Escape' && setDraft(null)}
              className="field num max-w-24"
            />
            <Button type="submit" look="primary" aria-disabled={value === null || set.isPending}>
              {t('action.save')}
            </Button>
            <Button look="quiet" onClick={() => setDraft(null)}>
              {t('action.cancel')}
            </Button>
          </form>
        )}
      </div>
      {draft !== null && value === null && <p className="mt-1 text-right text-xs text-danger">{t('prices.wrong')}</p>}
      {set.isError && !asking && (
        <p role="alert" className="mt-1 text-right text-xs text-danger">
          {problemText(set.error, i18n)}
        </p>
      )}
      {asking && (
        <Confirm
          title={t('prices.removeTitle')}
          text={t('prices.removeText', { name, price: tokens(price.tokensPerResult) })}
          act={t('prices.remove')}
          of={set}
          onAct={remove}
          onClose={() => setAsking(false)}
        />
      )}
    </li>
  )
}

function NewPrice({ kinds }: { kinds: string[] }) {
  const i18n = useI18n()
  const { t } = i18n
  const [form, setForm] = useState({ kind: '', provider: '', model: '', tokens: '' })
  const [tried, setTried] = useState(false)
  const set = useSetPrice()
  const kind = form.kind || (kinds[0] ?? '')
  const tokens = wholeNumber(form.tokens, MOST)
  const provider = form.provider.trim()
  const told = (field: string) => (set.error instanceof ApiProblem ? set.error.fields.find((one) => one.path === field)?.message : undefined)
  const change = (more: Partial<typeof form>) => (set.reset(), setForm({ ...form, ...more }))
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (set.isPending || tokens === null || !provider) return
    set.mutate({ kind, provider, model: form.model.trim(), tokens }, { onSuccess: () => (setTried(false), setForm({ ...form, model: '', tokens: '' })) })
  }
  return (
    <details className="mt-2 border-t border-line pt-3">
      <summary className="min-h-6 pointer-coarse:py-3 text-sm font-medium">{t('prices.new')}</summary>
      <p className="mt-1 mb-3 text-xs text-soft">{t('prices.newHint')}</p>
      <form onSubmit={submit} className="grid gap-3 sm:grid-cols-2" noValidate>
        <Field label={t('prices.kind')}>
          {(wire) => (
            <select {...wire} value={kind} onChange={(event) => change({ kind: event.target.value })} className="field">
              {kinds.map((one) => (
                <option key={one} value={one}>
                  {priceName(one, t)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label={t('prices.provider')} error={tried && !provider ? t('problem.required') : told('provider')}>
          {(wire) => <input {...wire} value={form.provider} spellCheck={false} onChange={(event) => change({ provider: event.target.value })} className="field" />}
        </Field>
        <Field label={t('prices.model')} error={told('model')}>
          {(wire) => <input {...wire} value={form.model} spellCheck={false} onChange={(event) => change({ model: event.target.value })} className="field" />}
        </Field>
        <Field label={t('prices.tokens')} error={tried && tokens === null ? t('prices.wrong') : undefined}>
          {(wire) => <input {...wire} inputMode="numeric" value={form.tokens} onChange={(event) => change({ tokens: event.target.value })} className="field num" />}
        </Field>
        <div className="flex items-center justify-between gap-3 sm:col-span-2">
          <p role="status" className={`text-sm ${set.isError ? 'text-danger' : 'text-accent'}`}>
            {set.isError ? problemText(set.error, i18n) : set.isSuccess ? t('prices.saved') : ''}
          </p>
          <Button type="submit" aria-disabled={set.isPending}>
            {t('prices.set')}
          </Button>
        </div>
      </form>
    </details>
  )
}

function Changes() {
  const { t, language } = useI18n()
  const asked = usePriceChanges(true)
  const changes = asked.data?.items
  const number = (value: number | null) => (value === null ? t('prices.nothing') : new Intl.NumberFormat(language).format(value))
  return (
    <details className="mt-3 border-t border-line pt-3">
      <summary className="min-h-6 pointer-coarse:py-3 text-sm font-medium">{t('prices.changes')}</summary>
      <LoadFailed of={asked} className="mt-2" />
      {changes?.length === 0 && <p className="mt-2 text-sm text-soft">{t('prices.noChanges')}</p>}
      <ul className="mt-2 grid gap-2 text-sm">
        {changes?.map((change) => (
          <li key={change.id}>
            <span className="flex items-baseline justify-between gap-3">
              <span className="min-w-0">
                {priceName(change.kind, t)} <span className="text-soft">{priceScope(change)}</span>
              </span>
              <Moment at={change.at} className="num shrink-0 text-xs text-soft" />
            </span>
            <span className="num text-xs text-soft">{t('prices.change', { before: number(change.before), after: number(change.after), actor: change.actor })}</span>
          </li>
        ))}
      </ul>
    </details>
  )
}
