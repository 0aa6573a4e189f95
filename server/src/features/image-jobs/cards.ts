/** The kinds of cards, by their number in `selectedCards`, and one that only an edit makes. */
export const SELECTABLE_CARDS = ['cover', 'lifestyle', 'macro', 'beforeAfter', 'bundle', 'guarantee'] as const
export const CARD_TYPES = [...SELECTABLE_CARDS, 'mainEdit'] as const
export type CardType = (typeof CARD_TYPES)[number]

export const ASPECT_RATIOS = ['3:4', '1:1', '4:5', '9:16', '16:9', '4:3', '2:3', '3:2'] as const
export type AspectRatio = (typeof ASPECT_RATIOS)[number]
export const USUAL_RATIO: AspectRatio = '3:4'

export type CardStatus = 'pending' | 'processing' | 'retrying' | 'completed' | 'failed'

/** Lines of the price table that a card may be paid by. */
export const PRICE_KINDS = ['image', 'image_regeneration', 'image_edit'] as const
export type PriceKind = (typeof PRICE_KINDS)[number]

/**
 * What may be done with a card that has ended, each by its line of the price table: without a picture it may be tried
 * again, at the price of what it is; with one it may be made anew or changed. Null: not now.
 */
export function actionsOf(card: { status: CardStatus; storagePath: string | null; generationId: string | null; priceKind: PriceKind }): Record<'retry' | 'regenerate' | 'edit', PriceKind | null> {
  const ended = card.generationId !== null && ['completed', 'failed'].includes(card.status)
  const drawn = ended && card.storagePath !== null
  return {
    retry: card.status === 'failed' && ended && !drawn ? card.priceKind : null,
    regenerate: drawn ? 'image_regeneration' : null,
    edit: drawn ? 'image_edit' : null,
  }
}

/** What each card shows. `{product}` is filled with the product's name. */
export const CARD_SCENES: Record<CardType, string> = {
  cover:
    'The main card of a shop listing: {product} large and whole, seen from its best side, on a clean background that fits it, with soft studio light and a clear shadow. Its name as the headline and two or three short benefits as small labels.',
  lifestyle:
    'The product in use: {product} in the hands or the home of the person it is for, in a natural everyday scene with daylight. The product stays the sharpest thing in the picture. At most one short line of text.',
  macro:
    'A close-up: the material, finish and most telling detail of {product}, very near, with a shallow depth of field. Two or three thin callout lines that name what is seen.',
  beforeAfter:
    'Before and after, in two equal halves with a clear dividing line: on the left the problem without {product}, on the right the same scene when it is solved with it. The words for "before" and "after" as labels.',
  bundle:
    'Everything that comes in the box: {product} and what belongs to it, laid out in order and seen from above, each part whole and labelled briefly. Nothing that does not belong to it.',
  guarantee:
    'Trust: {product} beside a plain quality seal, with calm colours and three short promises as icons with a word each. No invented numbers, awards, logos or certificates.',
  mainEdit: 'The first picture, changed only as asked.',
}

/** Shape and use of each ratio, said in words too: models keep to it better. */
export const RATIO_WORDS: Record<AspectRatio, string> = {
  '3:4': 'upright, 3:4', '1:1': 'square, 1:1', '4:5': 'upright, 4:5', '9:16': 'tall and upright, 9:16', '16:9': 'wide, 16:9',
  '4:3': 'landscape, 4:3', '2:3': 'upright, 2:3', '3:2': 'landscape, 3:2',
}

/** One of these is the common style of a set that asks for one and brings none. */
export const SET_STYLES = [
  'warm off-white background, one muted accent colour taken from the product, soft light from the left, rounded sans-serif type in dark grey',
  'light grey gradient background, one strong accent colour taken from the product, crisp studio light, bold geometric sans-serif type',
  'natural wood and linen textures, earthy colours around the product, warm daylight, calm serif headlines with small sans-serif labels',
  'deep dark background, thin light outlines around the product, a single spotlight from above, narrow light type with wide spacing',
  'pastel background in a colour that complements the product, flat even light, playful rounded type and simple line icons',
  'white background with one large coloured shape behind the product, bright even light, compact bold type aligned to the left',
] as const
