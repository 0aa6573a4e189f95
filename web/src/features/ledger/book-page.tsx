import { useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useState, type FormEvent } from 'react'
import { ApiProblem } from '../../app/api.ts'
import { NotFound } from '../../app/dead-ends.tsx'
import { Listing } from '../../app/listing.tsx'
import { Moment } from '../../app/moment.tsx'
import { itemsOf } from '../../app/queries.ts'
import { isOperator, useUser } from '../../app/session.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button } from '../../ui/button.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Field } from '../../ui/field.tsx'
import { useKeptFocus } from '../../ui/kept-focus.ts'
import { Amount } from '../wallet/amount.tsx'
import { kindText, toldOf } from '../wallet/entry-text.ts'
import { KINDS, NO_SEARCH, useMovements, type Movement, type Search } from './book.ts'
import { WorkLink } from '../wallet/work-link.tsx'
import { HandForm } from './hand-form.tsx'
import { HealthCard } from './health-card.tsx'
import { PricesEditor } from './prices-editor.tsx'

/** For operators: everybody's movements, the prices, and whether the sums are right. */
export function BookPage() {
  const { t } = useI18n()
  const user = useUser()
  if (user && !isOperator(user)) return <NotFound />
  return (
    <>
      <h1 className="text-2xl font-semibold tracking-tight">{t('book.title')}</h1>
      <p className="mt-1 mb-5 max-w-2xl text-sm text-soft">{t('book.lead')}</p>
      {user ? <Book self={user.id} /> : <Skeleton className="h-96" />}
    </>
  )
}

function Book({ self }: { self: string }) {
  return (
    <div className="grid items-start gap-4 sm:gap-5 lg:grid-cols-[minmax(0,1fr)_minmax(0,24rem)] lg:grid-rows-[auto_1fr]">
      <div className="lg:col-start-2">
        <HealthCard />
      </div>
      <div className="lg:col-start-1 lg:row-span-2 lg:row-start-1">
        <Explorer />
      </div>
      <div className="grid gap-4 sm:gap-5 lg:col-start-2">
        <PricesEditor />
        <HandForm self={self} way="grant" />
        <HandForm self="" way="take" />
      </div>
    </div>
  )
}

function Explorer() {
  const i18n = useI18n()
  const { t } = i18n
  const navigate = useNavigate()
  const asked = JSON.stringify(useSearch({ from: '/operator/ledger' }))
  const search: Search = { ...NO_SEARCH, ...JSON.parse(asked) }
  const [form, setForm] = useState(search)
  // The address is what is searched for: also after a reload, and on the way back.
  useEffect(() => setForm({ ...NO_SEARCH, ...JSON.parse(asked) }), [asked])
  const movements = useMovements(search, true)
  const kept = useKeptFocus<HTMLElement>()
  const items = itemsOf(movements)
  const look = (more: Partial<Search>) => {
    void navigate({ to: '/operator/ledger', search: { ...form, ...more }, resetScroll: false })
  }
  const fields = movements.error instanceof ApiProblem ? movements.error.fields : []
  const wrong = (name: keyof Search) => (form[name] === search[name] ? fields.find(({ path }) => path === name)?.message : undefined)
  const atField = fields.some(({ path }) => Object.hasOwn(NO_SEARCH, path))
  const submit = (event: FormEvent) => {
    event.preventDefault()
    look({})
  }
  const input = (name: 'userId' | 'generationId' | 'from' | 'to', label: string, type = 'text') => (
    <Field label={label} error={wrong(name)}>
      {(wire) => (
        <input {...wire} type={type} spellCheck={false} value={form[name]} onChange={(event) => setForm({ ...form, [name]: event.target.value })} className="field" />
      )}
    </Field>
  )
  return (
    <section {...kept} className="sheet p-5 outline-none" aria-labelledby="search">
      <h2 id="search" className="mb-3 text-sm font-semibold">
        {t('book.search')}
      </h2>
      <form onSubmit={submit} className="grid gap-3 sm:grid-cols-2" noValidate role="search">
        {input('userId', t('book.user'))}
        {input('generationId', t('book.generation'))}
        {input('from', t('book.from'), 'datetime-local')}
        {input('to', t('book.to'), 'datetime-local')}
        <Field label={t('book.kind')}>
          {(wire) => (
            <select {...wire} value={form.kind} onChange={(event) => setForm({ ...form, kind: event.target.value })} className="field">
              <option value="">{t('book.anyKind')}</option>
              {KINDS.map((kind) => (
                <option key={kind} value={kind}>
                  {kindText(kind, t)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <div className="flex items-end justify-end gap-2">
          <Button look="quiet" onClick={() => look(NO_SEARCH)}>
            {t('book.clear')}
          </Button>
          <Button type="submit" look="primary">
            {t('book.search')}
          </Button>
        </div>
      </form>
      <div className="mt-4 border-t border-line pt-2" aria-busy={movements.isFetching}>
        {!atField && (
          <Listing
            of={movements}
            count={items.length}
            skeleton={<Skeleton className="mt-3 h-48" />}
            empty={<p className="py-4 text-sm text-soft">{t('book.nothing')}</p>}
          >
            <ul className="divide-y divide-line">
              {items.map((one) => (
                <MovementRow key={one.id} movement={one} onLook={look} />
              ))}
            </ul>
          </Listing>
        )}
      </div>
    </section>
  )
}

function MovementRow({ movement, onLook }: { movement: Movement; onLook: (more: Partial<Search>) => void }) {
  const { t } = useI18n()
  const told = toldOf(movement)
  const link = 'inline-flex min-h-6 pointer-coarse:min-h-11 items-center font-mono underline underline-offset-2 hover:text-ink'
  return (
    <li className="flex items-start justify-between gap-4 py-2.5 text-sm">
      <div className="min-w-0">
        <p className="font-medium">
          {kindText(movement.kind, t)}
          {told && <span className="font-normal text-soft"> · {told}</span>}
        </p>
        <p className="flex flex-wrap gap-x-3 text-xs text-soft">
          <button type="button" className={link} onClick={() => onLook({ userId: movement.userId })}>
            <span className="sr-only">{t('book.user')}: </span>
            {movement.subject ?? movement.userId}
          </button>
          {movement.generationId && (
            <WorkLink of={movement} className={link}>
              <span className="sr-only">{t('book.generation')}: </span>
              {movement.generationId.slice(0, 8)}
              {movement.itemIndex !== null && ` #${movement.itemIndex + 1}`}
            </WorkLink>
          )}
          {movement.actor !== 'reprise' && <span className="inline-flex min-h-6 items-center">{t('book.by', { actor: movement.actor })}</span>}
        </p>
      </div>
      <div className="num shrink-0 text-right">
        <p>
          <Amount kind={movement.kind} n={movement.amount} />
        </p>
        <Moment at={movement.at} className="text-xs text-soft" />
      </div>
    </li>
  )
}
