import { useQuery } from '@tanstack/react-query'
import { LoadFailed } from '../../app/load-failed.tsx'
import { Moment } from '../../app/moment.tsx'
import { read } from '../../app/queries.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Button, buttonLook } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { priceName } from './price-names.ts'
import { WorkLink } from './work-link.tsx'

interface ReceiptItem {
  index: number
  amount: number
  state: 'open' | 'captured' | 'released'
  settledAt: string | null
  reason: string | null
  text: string | null
}

interface FullReceipt {
  generationId: string
  imageJobId?: string | null
  provider: string
  kind: string
  model: string | null
  title: string | null
  at: string
  cost: number
  held: number
  captured: number
  released: number
  items: ReceiptItem[]
}

const STATES = { open: 'receipt.stateOpen', captured: 'receipt.stateCaptured', released: 'receipt.stateReleased' } as const
const SUMS = ['held', 'captured', 'released'] as const

/** What became of the tokens of one generation, result by result. */
export function ReceiptDialog({ generationId, onClose }: { generationId: string; onClose: () => void }) {
  const { t, tokens } = useI18n()
  // Below the key that every live event looks at anew.
  const receipt = useQuery({ queryKey: ['ledger', 'receipt', generationId], queryFn: read<FullReceipt>(`/api/receipts/${encodeURIComponent(generationId)}`) })
  const data = receipt.data
  return (
    <Dialog title={t('receipt.title')} onClose={onClose}>
      {receipt.isPending && <Skeleton className="mt-4 h-48" />}
      <LoadFailed of={receipt} className="mt-4" />
      {data && (
        <>
          <p className="text-sm text-soft">
            {data.title ? `${data.title} · ` : ''}
            {priceName(data.kind, t)} · {data.provider} · <Moment at={data.at} />
          </p>
          <ul className="mt-4 border-y border-line text-sm">
            {data.items.map((item) => (
              <li key={item.index} className="flex items-baseline justify-between gap-4 border-t border-line py-2 first:border-0">
                <span className="min-w-0">
                  {t('receipt.item', { n: item.index + 1 })}
                  <span className="block text-xs text-soft">
                    {t(STATES[item.state])}
                    {item.text && ` · ${item.text}`}
                    {item.settledAt && (
                      <>
                        {' · '}
                        <Moment at={item.settledAt} />
                      </>
                    )}
                  </span>
                </span>
                <span className={`num shrink-0 font-medium ${item.state === 'released' ? 'text-soft line-through' : ''}`}>{tokens(item.amount)}</span>
              </li>
            ))}
          </ul>
          <dl className="mt-3 grid gap-1 text-sm">
            {SUMS.filter((sum) => data[sum] > 0).map((sum) => (
              <div key={sum} className="flex justify-between gap-4">
                <dt className="text-soft">{t(`receipt.${sum}`)}</dt>
                <dd className="num">{tokens(data[sum])}</dd>
              </div>
            ))}
            <div className="flex justify-between gap-4 font-medium">
              <dt>{t('receipt.cost')}</dt>
              <dd className="num">{tokens(data.cost)}</dd>
            </div>
          </dl>
        </>
      )}
      <div className="mt-5 flex flex-wrap justify-end gap-2">
        <WorkLink of={data ?? { generationId }} className={buttonLook('plain')}>
          {t('receipt.details')}
        </WorkLink>
        <Button look="primary" onClick={onClose}>
          {t('receipt.close')}
        </Button>
      </div>
    </Dialog>
  )
}
