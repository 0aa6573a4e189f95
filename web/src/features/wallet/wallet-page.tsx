import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { serverNow } from '../../app/api.ts'
import { problemText } from '../../app/problem-text.ts'
import { useBalance } from '../../app/queries.ts'
import { isOperator, useUser } from '../../app/session.ts'
import { momentText } from '../../app/time.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, buttonLook } from '../../ui/button.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Notice } from '../../ui/notice.tsx'
import { kindText, signOf, toldOf } from './entry-text.ts'
import { PriceCard } from './price-card.tsx'
import { ReceiptDialog } from './receipt-dialog.tsx'
import { useLedger, type LedgerEntry } from './wallet.ts'

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
            <Link to="/operator/ledger" className={buttonLook('plain')}>
              {t('book.open')}
            </Link>
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
  const told = toldOf(entry)
  const number = new Intl.NumberFormat(language).format(Math.abs(entry.amount))
  return (
    <tr className="border-t border-line first:border-0">
      <td className="py-2.5 pr-3">
        <p className="font-medium">{kindText(entry.kind, t)}</p>
        {told && <p className="text-xs text-soft">{told}</p>}
        {entry.generationId && (
          <p className="flex flex-wrap gap-x-3 text-xs text-soft">
            <Link
              to="/generations/$id"
              params={{ id: entry.generationId }}
              className="inline-flex min-h-6 pointer-coarse:min-h-11 pointer-coarse:min-w-11 items-center font-mono underline underline-offset-2 hover:text-ink"
            >
              {entry.generationId.slice(0, 8)}
            </Link>
            <button
              type="button"
              className="inline-flex min-h-6 pointer-coarse:min-h-11 pointer-coarse:min-w-11 items-center underline underline-offset-2 hover:text-ink"
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
