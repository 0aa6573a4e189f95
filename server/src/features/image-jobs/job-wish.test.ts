import { describe, expect, it } from 'vitest'
import type { AppError } from '../../kernel/errors.ts'
import { productImagesOf, readJobWish } from './job-wish.ts'

const body = { productName: 'Lamp', productImages: ['https://example.org/a.png'], selectedCards: [0] }
const wrong = (more: object): string[] => {
  try {
    readJobWish({ ...body, ...more })
  } catch (error) {
    return (error as AppError).fields.map(({ path }) => path)
  }
  return []
}

describe('reading what create-generation-job-banana is sent', () => {
  it('what is not filled in may be missing, empty or null; keys that we do not know are ignored', () => {
    const plain = { productName: 'Lamp', category: null, description: null, productImages: [{ url: 'https://example.org/a.png', name: 'image-1', type: 'product' }], selectedCards: [0], unifiedStyling: false, styleSourceImageUrl: null, sourceJobId: null, aspectRatio: '3:4' }
    expect(readJobWish(body)).toEqual(plain)
    expect(readJobWish({ ...body, category: '', description: null, referenceImageUrl: '', styleSourceImageUrl: null, sourceJobId: '', aspectRatio: '', unifiedStyling: null, somethingElse: { deep: true } })).toEqual(plain)
  })

  it('cards are taken once each, in their order, also when they come as text', () => {
    expect(readJobWish({ ...body, selectedCards: [5, '1', 1, 0] }).selectedCards).toEqual([0, 1, 5])
  })

  it('the reference comes after the photos, whether it is named apart, in the list, or both', () => {
    const reference = { url: 'https://example.org/r.png', name: 'r', type: 'reference' as const }
    const photo = { url: 'https://example.org/a.png', name: 'a', type: 'product' as const }
    expect(readJobWish({ ...body, productImages: [reference, photo] }).productImages).toEqual([photo, reference])
    expect(readJobWish({ ...body, productImages: [reference, photo], referenceImageUrl: reference.url }).productImages).toEqual([photo, reference])
    expect(readJobWish({ ...body, referenceImageUrl: reference.url }).productImages.map(({ type }) => type)).toEqual(['product', 'reference'])
  })

  it('more than three photos or one reference are too many', () => {
    const photos = (count: number) => Array.from({ length: count }, (_, index) => `https://example.org/${index}.png`)
    expect(wrong({ productImages: photos(3) })).toEqual([])
    expect(wrong({ productImages: photos(4) })).toEqual(['productImages'])
    expect(wrong({ productImages: photos(500) })).toEqual(['productImages'])
    expect(wrong({ productImages: [...photos(1), { url: 'https://example.org/r1.png', type: 'reference' }], referenceImageUrl: 'https://example.org/r2.png' })).toEqual(['referenceImageUrl'])
  })

  it('each wrong field is named', () => {
    expect(wrong({ productName: 7 })).toEqual(['productName'])
    expect(wrong({ productName: 'x'.repeat(301), selectedCards: [-1, 2.5], aspectRatio: '5:7', sourceJobId: 'mine', unifiedStyling: 'yes' }).sort())
      .toEqual(['aspectRatio', 'productName', 'selectedCards.0', 'selectedCards.1', 'sourceJobId', 'unifiedStyling'])
    expect(wrong({ productImages: [{ name: 'no address' }] })).toEqual(['productImages.0.url'])
  })

  it('of what somebody else wrote into product_images, whatever names an address is taken', () => {
    expect(productImagesOf(['https://example.org/a.png', { url: 'https://example.org/r.png', type: 'reference' }, null, 7, { name: 'x' }])).toEqual([
      { url: 'https://example.org/a.png', name: 'image-1', type: 'product' }, { url: 'https://example.org/r.png', name: 'image-2', type: 'reference' },
    ])
    for (const odd of [null, 'text', {}, 7]) expect(productImagesOf(odd)).toEqual([])
  })
})
