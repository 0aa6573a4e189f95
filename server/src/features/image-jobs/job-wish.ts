import { z } from 'zod'
import { fieldErrors } from '../../http-kit/validation.ts'
import { AppError } from '../../kernel/errors.ts'
import type { FieldRule } from '../../texts/texts.ts'
import { ASPECT_RATIOS, SELECTABLE_CARDS, USUAL_RATIO, type AspectRatio } from './cards.ts'

/** As it stands in `generation_jobs.product_images`. */
export interface ProductImage {
  url: string
  name: string
  type: 'product' | 'reference'
}

export interface JobWish {
  productName: string
  category: string | null
  description: string | null
  /** Photos first, at most three; then the reference, if there is one. */
  productImages: ProductImage[]
  /** Numbers of card types, each once, rising. */
  selectedCards: number[]
  unifiedStyling: boolean
  styleSourceImageUrl: string | null
  sourceJobId: string | null
  aspectRatio: AspectRatio
}

export const MOST_PHOTOS = 3

/** As the seed's front end sends it: what is not filled in may be empty or null. */
const filled = <T extends z.ZodType>(schema: T) => z.preprocess((value) => (value === null || value === '' ? undefined : value), schema.optional())
const words = (max: number) => filled(z.string().trim().max(max))
const address = z.string().trim().min(1).max(2_000)
const image = z.preprocess(
  (value) => (typeof value === 'string' ? { url: value } : value),
  z.object({ url: address, name: words(200), type: filled(z.enum(['product', 'reference'])) }),
)
/** A number, or its digit as forms send it: what merely becomes a number (null, true, []) would be a card that nobody chose. */
const cardNumber = z.preprocess(
  (value) => (typeof value === 'string' && /^\d$/.test(value) ? Number(value) : value),
  z.number().int().min(0).max(SELECTABLE_CARDS.length - 1),
)
const bodySchema = z.object({
  productName: z.string().trim().min(1).max(300),
  category: words(200),
  description: words(4_000),
  productImages: z.array(image).max(MOST_PHOTOS + 1),
  referenceImageUrl: filled(address),
  selectedCards: z.array(cardNumber).min(1).max(50),
  unifiedStyling: filled(z.boolean()),
  styleSourceImageUrl: filled(address),
  sourceJobId: filled(z.uuid()),
  aspectRatio: filled(z.enum(ASPECT_RATIOS)),
})

/** Reads the body of `create-generation-job-banana`. Throws AppError(validation_failed) that names each wrong field. */
export function readJobWish(body: Record<string, unknown>): JobWish {
  const read = bodySchema.safeParse(body)
  if (!read.success) throw new AppError('validation_failed', {}, fieldErrors(read.error, body))
  const { productName, category = null, description = null, referenceImageUrl, selectedCards, unifiedStyling = false, styleSourceImageUrl = null, sourceJobId = null, aspectRatio = USUAL_RATIO } = read.data
  const images = read.data.productImages.map(({ url, name, type = 'product' }, index) => ({ url, name: name ?? `image-${index + 1}`, type }))
  const photos = images.filter(({ type }) => type === 'product')
  const references = images.filter(({ type }) => type === 'reference')
  // The one that is named apart may be in the list too.
  if (referenceImageUrl && !references.some(({ url }) => url === referenceImageUrl)) references.push({ url: referenceImageUrl, name: 'reference', type: 'reference' })
  const wrong = (path: string, rule: FieldRule) => new AppError('validation_failed', {}, [{ path, rule, message: '', params: { maximum: MOST_PHOTOS } }])
  if (photos.length === 0) throw wrong('productImages', 'photo_needed')
  if (photos.length > MOST_PHOTOS) throw wrong('productImages', 'too_many_photos')
  if (references.length > 1) throw wrong('referenceImageUrl', 'too_many_references')
  return {
    productName, category, description, productImages: [...photos, ...references],
    selectedCards: [...new Set(selectedCards)].sort((a, b) => a - b),
    unifiedStyling, styleSourceImageUrl, sourceJobId, aspectRatio,
  }
}

/** The pictures of a job that somebody else wrote: whatever of them names an address. */
export function productImagesOf(stored: unknown): ProductImage[] {
  if (!Array.isArray(stored)) return []
  return stored.flatMap((one: unknown, index): ProductImage[] => {
    const read = image.safeParse(one)
    if (!read.success) return []
    const { url, name = `image-${index + 1}`, type = 'product' } = read.data
    return [{ url, name, type }]
  })
}
