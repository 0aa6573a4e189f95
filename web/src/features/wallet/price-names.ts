import { en, type Key } from '../../i18n/en.ts'

/** What a price is for, in the reader's words; a kind that this page does not know yet by its own name. */
export function priceName(kind: string, t: (key: Key) => string): string {
  const key = `prices.${kind}`
  return Object.hasOwn(en, key) ? t(key as Key) : kind
}

/** For whom it holds: nothing for the general price, else the provider and its model. */
export const priceScope = (price: { provider?: string; model?: string | null }): string =>
  [price.provider, price.model].filter((name) => name && name !== '*').join(' · ')
