import { describe, expect, it } from 'vitest'
import { emptyDraft, inStyleOf, keepable, keptDraft, mistakesOf, orderOf, type Draft, type Picture } from './draft.ts'
import type { Card, ImageJob } from './images.ts'
import { MOST_BYTES, sortFiles } from './picture-files.ts'
import { awaitsThumbnail, fileName, isCardOpen, isJobOpen, lookOf, newsOf, shapeOf, tallyOf } from './progress.ts'
import { isRefusal, reasonOf } from './reason.ts'

const card = (id: string, more: Partial<Card> = {}): Card => ({
  id, jobId: 'job', index: 0, type: 'cover', status: 'completed', imageUrl: `/${id}.png`, thumbnailUrl: `/${id}.webp`, retryCount: 0, retryAfter: null,
  error: null, arrivedLate: false, generationId: id, startedAt: null, completedAt: null, tokens: { cost: 1, held: 0, captured: 1, released: 0 }, prices: { retry: null, regenerate: 1, edit: 2 }, ...more,
})
const job = (cards: Card[], more: Partial<ImageJob> = {}): ImageJob => ({
  id: 'job', productName: 'Tote', category: 'Bags', description: null, status: 'processing', totalCards: cards.length, completedCards: 0,
  productImages: [{ url: '/a', previewUrl: '/a?s', name: 'a.jpg', type: 'product' }, { url: '/r', previewUrl: '/r?s', name: 'r.jpg', type: 'reference' }], tokensCost: 3, tokens: { cost: 3, held: 3, captured: 0, released: 0 }, errorMessage: null,
  startedAt: null, completedAt: null, createdAt: '', updatedAt: '', unifiedStyling: true, styleDescription: null, automaticStyle: false, styleSourceImageUrl: null, sourceJobId: null,
  aspectRatio: '4:5', cards, ...more,
})
const failure = (code: string | null, more = {}) => ({ code, message: '', retryable: true, ...more })
const photo = (state: Picture['state'] = 'ready'): Picture => ({ key: 'k', name: 'a.jpg', state, url: state === 'ready' ? '/up/1' : undefined, preview: 'blob:x' })
const filled: Draft = { ...emptyDraft, productName: ' Tote ', photos: [photo()], cards: [4, 0] }

describe('what is live', () => {
  it('waiting and trying again are live work, also when a job comes back to a page that was left', () => {
    expect((['pending', 'processing', 'retrying'] as const).every((status) => isCardOpen({ status }))).toBe(true)
    expect((['completed', 'failed'] as const).some((status) => isCardOpen({ status }))).toBe(false)
    expect(isJobOpen(job([card('a', { status: 'retrying' })]))).toBe(true)
    expect(isJobOpen(job([], { status: 'pending' }))).toBe(true)
    expect(isJobOpen(job([card('a')], { status: 'completed' }))).toBe(false)
  })

  it('an ended job is live again while a card of it is made anew', () => {
    expect(isJobOpen(job([card('a', { again: [card('b', { jobId: 'second', status: 'pending' })] })], { status: 'completed' }))).toBe(true)
  })

  it('a small copy is waited for a minute, not for ever', () => {
    const fresh = card('a', { thumbnailUrl: null, completedAt: '2026-11-21T10:00:00Z' })
    expect(awaitsThumbnail(fresh, Date.parse('2026-11-21T10:00:05Z'))).toBe(true)
    expect(awaitsThumbnail(fresh, Date.parse('2026-11-21T10:02:00Z'))).toBe(false)
    expect(awaitsThumbnail(card('a'), 0)).toBe(false)
  })
})

describe('a job as it is shown', () => {
  const failed = (id: string, ...again: Card[]) => card(id, { status: 'failed', again })

  it('counts its cards; some failed is said', () => {
    const cards = [card('a'), failed('b'), card('c', { status: 'retrying', index: 2 })]
    expect(tallyOf(job(cards, { totalCards: 3 }))).toEqual({ all: 3, done: 1, failed: 1, retrying: 1, again: 0 })
    expect(lookOf(job([card('a'), failed('b')], { status: 'completed' }))).toBe('partly')
    expect(lookOf(job([card('a')], { status: 'completed' }))).toBe('completed')
  })

  it('a card that was made again counts as what its best version is', () => {
    const mended = failed('b', failed('b2'), card('b3'))
    expect(tallyOf(job([card('a'), mended]))).toMatchObject({ done: 2, failed: 0, again: 1 })
    expect(lookOf(job([card('a'), mended], { status: 'completed' }))).toBe('completed')
    expect(lookOf(job([mended], { status: 'failed' }))).toBe('completed')
    expect(lookOf(job([mended, failed('c')], { status: 'failed' }))).toBe('partly')
    expect(tallyOf(job([card('a', { again: [failed('a2')] })]))).toMatchObject({ done: 1, failed: 0, again: 0 })
  })

  it('is at work again while a failed card is tried again, but a good picture stays ready while it is drawn anew', () => {
    const anew = card('x', { status: 'processing' })
    expect(lookOf(job([card('a'), failed('b', anew)], { status: 'completed' }))).toBe('processing')
    expect(lookOf(job([card('a', { again: [anew] })], { status: 'completed' }))).toBe('completed')
  })

  it('one from outside without cards is what it says it is', () => {
    expect(lookOf(job([], { status: 'failed', totalCards: 4 }))).toBe('failed')
    expect(lookOf(job([], { status: 'completed', totalCards: 4 }))).toBe('completed')
  })

  it('tells once that a version has begun, and once how it ended', () => {
    const states = [[], [card('b', { status: 'pending' })], [card('b', { status: 'retrying' })], [card('b')], [card('b'), failed('c')]].map((again) => ({ cards: [card('a', { again })] }))
    const told = states.slice(1).map((now, i) => newsOf(states[i]!, now).map(({ key }) => key))
    expect(told).toEqual([['images.begun'], [], ['images.versionReady'], ['images.versionFailed']])
    expect(newsOf(states[3]!, states[3]!)).toEqual([])
  })

  it('a ratio is a shape, also one that nobody knows', () => {
    expect(shapeOf('16:9')).toEqual({ width: 16, height: 9 })
    for (const odd of ['', '0:4', 'wide', '3/4']) expect(shapeOf(odd)).toEqual({ width: 3, height: 4 })
  })

  it('a download is called after its product, in any language, with the file’s own ending', () => {
    expect(fileName(['Сумка «Гавань»', 'Обложка'], '/x/y.jpg?v=1')).toBe('Сумка-Гавань-Обложка.jpg')
    expect(fileName(['../..'], '/x')).toBe('image.png')
  })
})

describe('why a card failed', () => {
  it('prohibited content is named, wherever the server says it', () => {
    for (const error of [failure('content_policy', { reason: 'PROHIBITED_CONTENT' }), failure(null, { message: 'Refused: PROHIBITED_CONTENT' }), failure('content_policy', { reason: 'IMAGE_PROHIBITED_CONTENT' })]) {
      expect(reasonOf({ status: 'failed', error })?.key).toBe('reason.prohibited')
    }
  })

  it('other refusals carry their name; trouble at the model is not called a refusal', () => {
    expect(reasonOf({ status: 'failed', error: failure('content_policy', { reason: 'IMAGE_SAFETY' }) })).toEqual({ key: 'reason.named', name: 'IMAGE_SAFETY' })
    expect(isRefusal({ status: 'failed', error: failure('content_policy') })).toBe(true)
    expect(reasonOf({ status: 'retrying', error: failure('unavailable') })?.key).toBe('reason.unavailable')
    expect(isRefusal({ status: 'failed', error: failure('unavailable') })).toBe(false)
  })

  it('a reason that nobody knows is still a failure; without trouble there is none', () => {
    expect(reasonOf({ status: 'failed', error: failure('constructor') })?.key).toBe('reason.other')
    expect(reasonOf({ status: 'failed', error: null })?.key).toBe('reason.other')
    expect(reasonOf({ status: 'processing', error: null })).toBeUndefined()
  })
})

describe('files that somebody drops', () => {
  const file = (name: string, type = 'image/png', size = 1000) => ({ name, type, size })

  it('each file that cannot be taken is told why; the others are taken', () => {
    const { taken, refused } = sortFiles([file('a.png'), file('b.svg', 'image/svg+xml'), file('c.png', 'image/png', MOST_BYTES + 1), file('d.png', 'image/png', 0)], 3)
    expect(taken.map(({ name }) => name)).toEqual(['a.png'])
    expect(refused.map(({ rule }) => rule)).toEqual(['wrongType', 'tooLarge', 'emptyFile'])
  })

  it('what has no room is named, nothing is dropped silently', () => {
    const { taken, refused } = sortFiles([file('a'), file('b'), file('c')], 1)
    expect(taken).toHaveLength(1)
    expect(refused).toEqual([{ rule: 'tooMany', names: ['b', 'c'] }])
  })
})

describe('a draft', () => {
  it('says what is missing before anything is sent', () => {
    expect(mistakesOf({ ...emptyDraft, cards: [] })).toEqual({ photos: { rule: 'required' }, productName: { rule: 'required' }, cards: { rule: 'required' } })
    expect(mistakesOf({ ...filled, photos: [photo('failed')] })).toEqual({ photos: { rule: 'not_uploaded' } })
    expect(mistakesOf(filled)).toEqual({})
  })

  it('neither ratio nor reference nor style is lost on the way', () => {
    const style = { url: '/s.png', thumbnail: '/s.webp', jobId: 'j', product: 'Tote' }
    expect(orderOf({ ...filled, ratio: '9:16', reference: { ...photo(), url: '/up/2' }, style })).toEqual({
      productName: 'Tote', category: undefined, description: undefined, productImages: [{ url: '/up/1', name: 'a.jpg', type: 'product' }], referenceImageUrl: '/up/2',
      selectedCards: [0, 4], unifiedStyling: true, styleSourceImageUrl: '/s.png', sourceJobId: 'j', aspectRatio: '9:16',
    })
  })

  it('outlives a reload with what is uploaded; a spoilt one begins anew', () => {
    const again = keptDraft(JSON.stringify(keepable({ ...filled, photos: [photo(), photo('uploading'), photo('failed')] })))
    expect(again.photos).toEqual([{ key: 'k', name: 'a.jpg', state: 'ready', url: '/up/1' }])
    expect(keptDraft('{"photos": 3}')).toEqual(emptyDraft)
    expect(keptDraft('nonsense')).toEqual(emptyDraft)
  })

  it('takes a style along with its product, but leaves a begun draft its own', () => {
    const source = job([card('a')])
    expect(inStyleOf(emptyDraft, source, card('a'))).toMatchObject({ productName: 'Tote', ratio: '4:5', photos: [{ url: '/a' }], style: { url: '/a.png', jobId: 'job' } })
    expect(inStyleOf({ ...filled, productName: 'Mine' }, source, card('a'))).toMatchObject({ productName: 'Mine', ratio: '3:4', style: { url: '/a.png' } })
  })
})
