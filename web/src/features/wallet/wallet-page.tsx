import { Link } from '@tanstack/react-router'
import { useState, type FormEvent } from 'react'
import { ApiProblem, serverNow } from '../../app/api.ts'
import { problemText } from '../../app/problem-text.ts'
import { useBalance } from '../../app/queries.ts'
import { isOperator, useUser } from '../../app/session.ts'
import { momentText } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, buttonLook } from '../../ui/button.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Field } from '../../ui/field.tsx'
import { Notice } from '../../ui/notice.tsx'
import { kindText, signOf } from './entry-text.ts'
import { PriceCard } from './price-card.tsx'
import { ReceiptDialog } from './receipt-dialog.tsx'
import { useByHand, useLedger, type LedgerEntry } from './wallet.ts'

const WAYS = {
  grant: { title: 'wallet.grant', hint: 'wallet.grantHint', submit: 'wallet.grantDo', done: 'wallet.granted', path: '/api/ledger/grants', amount: '100' },
  take: { title: 'book.take', hint: 'book.takeHint', submit: 'book.takeDo', done: 'book.taken', path: '/api/ledger/adjustments', amount: '' },
} as const

export function WalletPage() {
  const i18n = useI18n()
  const { t, tokens } = i18n
  const balance = useBalance()
  const user = useUser()
  return (
    <>
      <h1 className="mb-5 text-2xl font-semibold tracking-tight">{t('wallet.title')}</h1>
      <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,21rem)_minmax(0,1fr)]">
        <div className="grid gap-5">
          <section className="sheet p-5 sm:p-6">
            {balance.isPending && <Skeleton className="h-24" />}
            {balance.isError && !balance.data && <Notice tone="danger">{problemText(balance.error, i18n)}</Notice>}
            {balance.data && (
              <dl>
                <dt className="text-sm text-soft">{t('wallet.available')}</dt>
                <dd className="num text-3xl font-semibold tracking-tight">{tokens(balance.data.available)}</dd>
                <dt className="mt-4 text-sm text-soft">{t('wallet.held')}</dt>
                <dd className="num text-lg font-medium">{tokens(balance.data.held)}</dd>
              </dl>
            )}
            <p className="mt-1 text-xs text-soft">{t('wallet.heldHint')}</p>
          </section>
          <PriceCard />
          {isOperator(user) && (
            <>
              <GrantForm self={user?.id ?? ''} way="grant" />
              <GrantForm self="" way="take" />
              <Link to="/operator/ledger" className={buttonLook('plain')}>
                {t('book.open')}
              </Link>
            </>
          )}
        </div>
        <Ledger />
      </div>
    </>
  )
}

function Ledger() {
  const i18n = useI18n()
  const { t } = i18n
  const ledger = useLedger()
  const [receipt, setReceipt] = useState<string | null>(null)
  const entries = ledger.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <section className="sheet p-5 sm:p-6" aria-labelledby="ledger">
      <h2 id="ledger" className="mb-3 text-sm font-semibold">
        {t('wallet.ledger')}
      </h2>
      {ledger.isPending && <Skeleton className="h-40" />}
      {ledger.isError && entries.length === 0 && <Notice tone="danger">{problemText(ledger.error, i18n)}</Notice>}
      {ledger.isSuccess && entries.length === 0 && <p className="text-sm text-soft">{t('wallet.empty')}</p>}
      {entries.length > 0 && (
        <table className="w-full text-sm">
          <thead className="sr-only">
            <tr>
              <th scope="col">{t('wallet.what')}</th>
              <th scope="col">{t('wallet.time')}</th>
              <th scope="col">{t('wallet.change')}</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <Entry key={entry.id} entry={entry} onReceipt={setReceipt} />
            ))}
          </tbody>
        </table>
      )}
      {ledger.hasNextPage && (
        <div className="mt-4 flex justify-center">
          <Button disabled={ledger.isFetchingNextPage} onClick={() => void ledger.fetchNextPage()}>
            {t('action.more')}
          </Button>
        </div>
      )}
      {receipt && <ReceiptDialog generationId={receipt} onClose={() => setReceipt(null)} />}
    </section>
  )
}

function Entry({ entry, onReceipt }: { entry: LedgerEntry; onReceipt: (generationId: string) => void }) {
  const { t, language } = useI18n()
  const sign = signOf(entry.kind)
  const number = new Intl.NumberFormat(language).format(Math.abs(entry.amount))
  return (
    <tr className="border-t border-line first:border-0">
      <td className="py-2.5 pr-3">
        <p className="font-medium">{kindText(entry.kind, t)}</p>
        {entry.reason && <p className="text-xs text-soft">{entry.reason}</p>}
        {entry.generationId && (
          <p className="flex flex-wrap gap-x-3 text-xs text-soft">
            <Link
              to="/generations/$id"
              params={{ id: entry.generationId }}
              className="inline-flex min-h-6 items-center font-mono underline underline-offset-2 hover:text-ink"
            >
              {entry.generationId.slice(0, 8)}
            </Link>
            <button
              type="button"
              className="inline-flex min-h-6 items-center underline underline-offset-2 hover:text-ink"
              onClick={() => onReceipt(entry.generationId!)}
            >
              {t('receipt.open')}
              <span className="sr-only"> {entry.generationId.slice(0, 8)}</span>
            </button>
          </p>
        )}
      </td>
      <td className="num py-2.5 pr-3 text-right text-xs whitespace-nowrap text-soft">{momentText(entry.at, language, serverNow())}</td>
      <td className={`num w-16 py-2.5 text-right font-medium ${sign > 0 ? 'text-accent' : sign === 0 ? 'text-soft' : ''}`}>
        {sign > 0 ? '+' : sign < 0 ? '−' : ''}
        {number}
      </td>
    </tr>
  )
}

/** Tokens by an operator's hand: given, or taken back. */
function GrantForm(props: { self: string; way: keyof typeof WAYS }) {
  const i18n = useI18n()
  const { t } = i18n
  const way = WAYS[props.way]
  const [form, setForm] = useState({ userId: props.self, amount: way.amount as string, reason: '' })
  const [tried, setTried] = useState(false)
  const grant = useByHand(way.path)
  const problem = grant.error instanceof ApiProblem ? grant.error : undefined
  const amount = Number(form.amount)
  const wrong = {
    userId: form.userId.trim() === '',
    amount: !Number.isSafeInteger(amount) || amount <= 0,
    reason: form.reason.trim() === '',
  }
  const mistake = (field: keyof typeof form) =>
    (tried && wrong[field] ? t('problem.required') : undefined) ?? problem?.fields.find((one) => one.path === field)?.message
  const submit = (event: FormEvent) => {
    event.preventDefault()
    setTried(true)
    if (grant.isPending || wrong.userId || wrong.amount || wrong.reason) return
    grant.mutate(
      { key: crypto.randomUUID(), userId: form.userId.trim(), amount, reason: form.reason.trim() },
      { onSuccess: () => (setTried(false), setForm({ ...form, reason: '' })) },
    )
  }
  const input = (field: keyof typeof form, more = {}) => (
    <Field label={t(`wallet.${field === 'userId' ? 'user' : field}`)} error={mistake(field)}>
      {(wire) => (
        <input
          {...wire}
          {...more}
          value={form[field]}
          onChange={(event) => setForm({ ...form, [field]: event.target.value })}
          className="field"
        />
      )}
    </Field>
  )
  return (
    <section className="sheet p-5 sm:p-6" aria-labelledby={props.way}>
      <h2 id={props.way} className="text-sm font-semibold">
        {t(way.title)}
      </h2>
      <p className="mb-4 text-xs text-soft">{t(way.hint)}</p>
      <form onSubmit={submit} className="grid gap-3" noValidate>
        {input('userId', { spellCheck: false })}
        {input('amount', { inputMode: 'numeric' })}
        {input('reason')}
        {problem && problem.fields.length === 0 && (
          <Notice tone="danger" live>
            {problemText(problem, i18n)}
          </Notice>
        )}
        <div className="flex items-center justify-between gap-3">
          <p role="status" className="text-sm text-accent">
            {grant.isSuccess ? t(way.done) : ''}
          </p>
          <Button type="submit" look="primary" aria-disabled={grant.isPending}>
            {t(way.submit)}
          </Button>
        </div>
      </form>
    </section>
  )
}
