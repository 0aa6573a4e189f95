import { QueryCard } from '../../app/query-card.tsx'
import { usePrices } from '../../app/queries.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { priceName, priceScope } from './price-names.ts'

/** What everything costs, for everybody to see. */
export function PriceCard() {
  const { t, tokens } = useI18n()
  return (
    <QueryCard title={t('prices.title')} hint={t('prices.hint')} of={usePrices()} height="h-32">
      {(prices) => (
        <dl className="grid text-sm">
          {prices.map((price) => (
            <div key={`${price.kind} ${price.provider} ${price.model}`} className="flex items-baseline justify-between gap-3 border-t border-line py-1.5 first:border-0">
              <dt className="min-w-0">
                {priceName(price.kind, t)}
                {priceScope(price) && <span className="block text-xs text-soft">{priceScope(price)}</span>}
              </dt>
              <dd className="num shrink-0 font-medium">{tokens(price.tokensPerResult)}</dd>
            </div>
          ))}
        </dl>
      )}
    </QueryCard>
  )
}
