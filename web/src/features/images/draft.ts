import { recall, remember } from '../../app/browser-memory.ts'
import { onLeave } from '../../app/session.ts'
import { valueStore } from '../../app/value-store.ts'
import type { Card, GivenImage, ImageJob, ImageOrder } from './images.ts'

/** By their numbers in `selectedCards`. */
export const CARD_TYPES = ['cover', 'lifestyle', 'macro', 'beforeAfter', 'bundle', 'guarantee'] as const
export const RATIOS = ['3:4', '1:1', '4:5', '2:3', '9:16', '4:3', '3:2', '16:9'] as const
export const MOST_PHOTOS = 3
export const LIMITS = { productName: 300, category: 200, description: 4000 } as const

/** A picture that somebody chose. `preview` lives as long as the page; `url` is where the server keeps it. */
export interface Picture {
  key: string
  name: string
  state: 'uploading' | 'ready' | 'failed'
  preview?: string
  url?: string
  /** Where it can be seen for an hour. */
  previewUrl?: string
  problem?: unknown
  file?: File
}

/** A finished picture whose style the new ones take. */
export interface StyleSource {
  url: string
  thumbnail: string
  jobId: string
  product: string
}

export interface Draft {
  productName: string
  category: string
  description: string
  photos: Picture[]
  reference: Picture | null
  cards: number[]
  ratio: string
  unified: boolean
  style: StyleSource | null
}

export const emptyDraft: Draft = {
  productName: '', category: '', description: '', photos: [], reference: null, cards: [0, 1, 2], ratio: '3:4', unified: true, style: null,
}

const KEPT = 'reprise.imageDraft'

/** What is being put together. It outlives a reload and a walk to another page. */
export const draftStore = valueStore<Draft>(keptDraft(recall(KEPT)))
onLeave(() => draftStore.set(emptyDraft))

export function changeDraft(change: (draft: Draft) => Draft): void {
  draftStore.set(change(draftStore.get()))
  remember(KEPT, JSON.stringify(keepable(draftStore.get())))
}

/** Only what is uploaded can be there again after a reload. */
export function keepable(draft: Draft): Draft {
  const kept = (picture: Picture): Picture[] =>
    picture.state === 'ready' && picture.url ? [{ key: picture.key, name: picture.name, state: 'ready', url: picture.url, ...(picture.previewUrl && { previewUrl: picture.previewUrl }) }] : []
  return { ...draft, photos: draft.photos.flatMap(kept), reference: (draft.reference && kept(draft.reference)[0]) ?? null }
}

export function keptDraft(text: string | null): Draft {
  try {
    const read = JSON.parse(text ?? '{}') as Partial<Draft>
    const draft = { ...emptyDraft, ...read }
    return Array.isArray(draft.photos) && Array.isArray(draft.cards) ? draft : emptyDraft
  } catch {
    return emptyDraft
  }
}

/** "Same style as this": an empty draft takes the product along as well, a begun one only the style. */
export function inStyleOf(draft: Draft, job: ImageJob, card: Card): Draft {
  if (!card.imageUrl) return draft
  const product = job.productName ?? ''
  const style = { url: card.imageUrl, thumbnail: card.thumbnailUrl ?? card.imageUrl, jobId: card.jobId, product }
  if (draft.productName.trim() !== '' || draft.photos.length > 0) return { ...draft, style, unified: true }
  const picture = ({ url, previewUrl, name }: GivenImage, i: number): Picture => ({ key: `${job.id}-${i}`, name, url, previewUrl, state: 'ready' })
  return {
    ...draft, productName: product, category: job.category ?? '', description: job.description ?? '', ratio: job.aspectRatio, style, unified: true,
    photos: job.productImages.filter(({ type }) => type === 'product').slice(0, MOST_PHOTOS).map(picture),
  }
}

export type Mistake = { rule: 'required' } | { rule: 'too_long'; n: number } | { rule: 'not_uploaded' }
export type Mistakes = Partial<Record<'productName' | 'category' | 'description' | 'photos' | 'reference' | 'cards', Mistake>>

/** What surely would be refused, found before anything is sent. */
export function mistakesOf(draft: Draft): Mistakes {
  const mistakes: Mistakes = {}
  for (const field of ['productName', 'category', 'description'] as const) {
    if (draft[field].trim().length > LIMITS[field]) mistakes[field] = { rule: 'too_long', n: LIMITS[field] }
  }
  if (draft.photos.length === 0) mistakes.photos = { rule: 'required' }
  else if (draft.photos.some(({ state }) => state === 'failed')) mistakes.photos = { rule: 'not_uploaded' }
  if (draft.reference?.state === 'failed') mistakes.reference = { rule: 'not_uploaded' }
  if (draft.productName.trim() === '') mistakes.productName = { rule: 'required' }
  if (draft.cards.length === 0) mistakes.cards = { rule: 'required' }
  return mistakes
}

export const picturesOf = (draft: Draft): Picture[] => [...draft.photos, ...(draft.reference ? [draft.reference] : [])]

export const isUploading = (draft: Draft) => picturesOf(draft).some(({ state }) => state === 'uploading')

/** What is sent to the seed's function. */
export function orderOf(draft: Draft): ImageOrder {
  const text = (value: string) => value.trim() || undefined
  const given = ({ url, name }: Picture, type: 'product' | 'reference') => ({ url, name: name.slice(0, 200), type })
  return {
    productName: text(draft.productName),
    category: text(draft.category),
    description: text(draft.description),
    productImages: draft.photos.map((photo) => given(photo, 'product')),
    referenceImageUrl: draft.reference?.url,
    selectedCards: [...draft.cards].sort((a, b) => a - b),
    unifiedStyling: draft.unified,
    styleSourceImageUrl: draft.style?.url,
    sourceJobId: draft.style?.jobId,
    aspectRatio: draft.ratio,
  }
}
