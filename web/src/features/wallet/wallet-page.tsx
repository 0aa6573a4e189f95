import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { Listing } from '../../app/listing.tsx'
import { Moment } from '../../app/moment.tsx'
import { itemsOf, useBalance } from '../../app/queries.ts'
import { QueryCard } from '../../app/query-card.tsx'
import { isOperator, useUser } from '../../app/session.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { buttonLook } from '../../ui/button.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { Sheet } from '../../ui/sheet.tsx'
import { Amount } from './amount.tsx'
import { kindText, toldOf } from './entry-text.ts'
import { PriceCard } from './price-card.tsx'
import { WorkLink } from './work-link.tsx'
import { ReceiptDialog } from './receipt-dialog.tsx'
import { useLedger, type LedgerEntry } from './wallet.ts'

export function WalletPage() {
  const { t, tokens } = useI18n()
  const user = useUser()
  return (
    <>
      <h1 className="mb-5 text-2xl font-semibold tracking-tight">{t('wallet.title')}</h1>
      <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,21rem)_minmax(0,1fr)]">
        <div className="grid gap-5">
          <QueryCard
            title={t('balance.label')}
            of={useBalance()}
            height="h-24"
            below={<p className="mt-1 text-xs text-soft">{t('wallet.heldHint')}</p>}
          >
            {({ available, held }) => (
              <dl>
                <dt className="text-sm text-soft">{t('wallet.available')}</dt>
                <dd className="num text-3xl font-semibold tracking-tight">{tokens(available)}</dd>
                <dt className="mt-4 text-sm text-soft">{t('wallet.held')}</dt>
                <dd className="num text-lg font-medium">{tokens(held)}</dd>
              </dl>
            )}
          </QueryCard>
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
  const { t } = useI18n()
  const ledger = useLedger()
  const [receipt, setReceipt] = useState<string | null>(null)
  const entries = itemsOf(ledger)
  return (
    <Sheet title={t('wallet.ledger')}>
      <Listing of={ledger} count={entries.length} skeleton={<Skeleton className="h-40" />} empty={<p className="text-sm text-soft">{t('wallet.empty')}</p>}>
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
      </Listing>
      {receipt && <ReceiptDialog generationId={receipt} onClose={() => setReceipt(null)} />}
    </Sheet>
  )
}

function Entry({ entry, onReceipt }: { entry: LedgerEntry; onReceipt: (generationId: string) => void }) {
  const { t } = useI18n()
  const told = toldOf(entry)
  const what = entry.title || entry.generationId?.slice(0, 8)
  return (
    <tr className="border-t border-line first:border-0">
      <td className="py-2.5 pr-3">
        <p className="font-medium">{kindText(entry.kind, t)}</p>
        {told && <p className="text-xs text-soft">{told}</p>}
        {entry.generationId && (
          <p className="flex flex-wrap gap-x-3 text-xs text-soft">
            <WorkLink
              of={entry}
              className="inline-flex min-h-6 pointer-coarse:min-h-11 pointer-coarse:min-w-11 items-center underline underline-offset-2 hover:text-ink"
            >
              <span className="line-clamp-1">{what}</span>
            </WorkLink>
            <button
              type="button"
              className="inline-flex min-h-6 pointer-coarse:min-h-11 pointer-coarse:min-w-11 items-center underline underline-offset-2 hover:text-ink"
              onClick={() => onReceipt(entry.generationId!)}
            >
              {t('receipt.open')}
              <span className="sr-only">: {what}</span>
            </button>
          </p>
        )}
      </td>
      <td className="num py-2.5 pr-3 text-right text-xs whitespace-nowrap text-soft">
        <Moment at={entry.at} />
      </td>
      <td className="w-16 py-2.5 text-right">
        <Amount kind={entry.kind} n={entry.amount} />
      </td>
    </tr>
  )
}
