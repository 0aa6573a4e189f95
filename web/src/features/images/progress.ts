import type { Card, ImageJob } from './images.ts'

/** Waiting and trying again are live work, too. */
export const isCardOpen = ({ status }: Pick<Card, 'status'>) => status !== 'completed' && status !== 'failed'

export const isJobOpen = (job: Pick<ImageJob, 'status' | 'cards'>) =>
  job.status === 'pending' || job.status === 'processing' || job.cards.flatMap(lineOf).some(isCardOpen)

/** How long a small copy is waited for; then the picture itself is shown. */
const THUMBNAIL_MS = 60_000

/** A finished picture whose small copy is still being made. */
export const awaitsThumbnail = (card: Pick<Card, 'status' | 'imageUrl' | 'thumbnailUrl' | 'completedAt'>, now: number) =>
  card.status === 'completed' && Boolean(card.imageUrl) && !card.thumbnailUrl && now - Date.parse(card.completedAt ?? '') < THUMBNAIL_MS

/** Whether something of it is still to come. */
export const isUnsettled = (job: Pick<ImageJob, 'status' | 'cards'>, now: number) =>
  isJobOpen(job) || job.cards.flatMap(lineOf).some((card) => awaitsThumbnail(card, now))

/** A card and what was made again from it, oldest first. */
export const lineOf = (card: Card): Card[] => [card, ...(card.again ?? [])]

/** Where a card stands together with what was made again from it: done as soon as there is one good version. */
export function standingOf(card: Card): Card['status'] {
  const line = lineOf(card)
  return (line.find(({ status }) => status === 'completed') ?? line.findLast(isCardOpen) ?? card).status
}

export interface Tally {
  all: number
  done: number
  failed: number
  retrying: number
  /** Good versions that were made again. */
  again: number
}

/** What became of the job's cards. A list does not know what was made again: there it counts in its own job. */
export function tallyOf({ cards, totalCards }: Pick<ImageJob, 'cards' | 'totalCards'>): Tally {
  const count = (status: Card['status']) => cards.filter((card) => standingOf(card) === status).length
  const again = cards.flatMap((card) => card.again ?? []).filter(({ status }) => status === 'completed').length
  return { all: Math.max(totalCards, cards.length), done: count('completed'), failed: count('failed'), retrying: count('retrying'), again }
}

export type JobLook = 'pending' | 'processing' | 'completed' | 'partly' | 'failed'

export function lookOf(job: Pick<ImageJob, 'status' | 'cards' | 'totalCards'>): JobLook {
  const { all, done, failed } = tallyOf(job)
  if (job.status === 'pending' || job.status === 'processing') return job.status
  if (job.cards.some((card) => isCardOpen({ status: standingOf(card) }))) return 'processing'
  if (job.status === 'failed' && done === 0) return 'failed'
  return done < all && (job.status === 'failed' || failed > 0) ? 'partly' : 'completed'
}

export interface VersionNews {
  key: 'images.begun' | 'images.versionReady' | 'images.versionFailed'
  /** Of the card. */
  type: string
}

/** What has become of the versions that are made again, since `before`. */
export function newsOf(before: Pick<ImageJob, 'cards'>, now: Pick<ImageJob, 'cards'>): VersionNews[] {
  const known = new Map(before.cards.flatMap(lineOf).map((card) => [card.id, card]))
  return now.cards.flatMap(({ type, again = [] }) =>
    again.flatMap((version): VersionNews[] => {
      const was = known.get(version.id)
      if (isCardOpen(version)) return was ? [] : [{ key: 'images.begun', type }]
      if (was && !isCardOpen(was)) return []
      return [{ key: version.status === 'completed' ? 'images.versionReady' : 'images.versionFailed', type }]
    }),
  )
}

export interface Shape {
  width: number
  height: number
}

/** `3:4` as a shape; what cannot be read is the seed's usual one. */
export function shapeOf(ratio: string): Shape {
  const [, width, height] = /^(\d{1,3}):(\d{1,3})$/.exec(ratio) ?? []
  return Number(width) > 0 && Number(height) > 0 ? { width: Number(width), height: Number(height) } : { width: 3, height: 4 }
}

/** A file name that says what is inside; letters of every language stay. */
export function fileName(words: string[], url: string): string {
  const ext = /\.(png|jpe?g|webp)(?:[?#]|$)/i.exec(url)?.[1]?.toLowerCase() ?? 'png'
  const name = words.join(' ').normalize('NFC').replace(/[^\p{L}\p{M}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 80)
  return `${name || 'image'}.${ext}`
}
