import { usePrices } from '../../app/queries.ts'
import { useI18n } from '../../i18n/i18n.tsx'
import { Skeleton } from '../../ui/empty.tsx'
import { priceName, priceScope } from './price-names.ts'

/** What everything costs, for everybody to see. */
export function PriceCard() {
  const { t, tokens } = useI18n()
  const prices = usePrices()
  return (
    <section className="sheet p-5 sm:p-6" aria-labelledby="prices">
      <h2 id="prices" className="text-sm font-semibold">
        {t('prices.title')}
      </h2>
      <p className="mb-3 text-xs text-soft">{t('prices.hint')}</p>
      {prices.isPending && <Skeleton className="h-32" />}
      <dl className="grid text-sm">
        {prices.data?.map((price) => (
          <div key={`${price.kind} ${price.provider} ${price.model}`} className="flex items-baseline justify-between gap-3 border-t border-line py-1.5 first:border-0">
            <dt className="min-w-0">
              {priceName(price.kind, t)}
              {priceScope(price) && <span className="block text-xs text-soft">{priceScope(price)}</span>}
            </dt>
            <dd className="num shrink-0 font-medium">{tokens(price.tokensPerResult)}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}
