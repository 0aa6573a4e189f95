import { sha256 } from '../../kernel/ids.ts'
import { CARD_SCENES, CARD_TYPES, RATIO_WORDS, SET_STYLES, type AspectRatio, type CardType } from './cards.ts'

/** What a picture that goes along is for; they are numbered in this order. */
export type PictureRole = 'edited' | 'product' | 'reference' | 'style'

export interface PromptParts {
  cardType: string
  productName: string
  category: string | null
  description: string | null
  aspectRatio: string
  /** Roles of the pictures that go along, in their order. */
  pictures: PictureRole[]
  /** The style that all cards of the job share; null when each is free. */
  styleDescription: string | null
  /** Of an edit: what shall change. */
  instruction?: string
}

const ROLE_WORDS: Record<PictureRole, string> = {
  edited: 'the picture to change: keep everything in it that the request does not name',
  product: 'the product: keep its shape, colours, materials, labels and proportions exactly; never invent another one',
  reference: 'a reference for composition and mood: take these from it, not its product',
  style: 'the style to follow: the same palette, light, background, type and layout manner; not its product, not its words',
}

/** The request for one card, in words. Pure: the same parts make the same text. */
export function promptFor(parts: PromptParts): string {
  const { cardType, productName, category, description, aspectRatio, pictures, styleDescription, instruction } = parts
  const scene = isCardType(cardType) ? CARD_SCENES[cardType] : `A product card of the kind "${cardType}" for {product}.`
  return [
    instruction ? `Change this product picture as asked: ${instruction}` : scene.replaceAll('{product}', productName),
    `Product: ${productName}${category ? ` (${category})` : ''}.`,
    description && !instruction ? `About it: ${description}` : null,
    ...picturesInWords(pictures),
    // The style is in the picture already; what was asked for may be another one.
    styleDescription && !instruction ? `All cards of this set share one style: ${styleDescription}.` : null,
    `Format: ${ratioInWords(aspectRatio)}, filled to its edges, with nothing important near them.`,
    'Any words in the picture are few, correctly spelled, and in the language of the product text above. No watermark, no frame, no price.',
  ].filter((line) => line !== null).join('\n')
}

/** The common style of a set that names none: always the same for the same product. */
export function styleFor(productName: string, category: string | null): string {
  return SET_STYLES[sha256(`${productName}\n${category ?? ''}`).readUInt32BE(0) % SET_STYLES.length]!
}

/** Whether nobody chose this style. */
export const isSetStyle = (style: string | null): boolean => (SET_STYLES as readonly (string | null)[]).includes(style)

function picturesInWords(pictures: PictureRole[]): string[] {
  const roles = [...new Set(pictures)]
  return roles.map((role) => {
    const numbers = pictures.flatMap((one, index) => (one === role ? [index + 1] : []))
    return `${numbers.length > 1 ? 'Images' : 'Image'} ${numbers.join(', ')}: ${ROLE_WORDS[role]}.`
  })
}

const isCardType = (type: string): type is CardType => (CARD_TYPES as readonly string[]).includes(type)
const ratioInWords = (ratio: string): string => RATIO_WORDS[ratio as AspectRatio] ?? ratio
