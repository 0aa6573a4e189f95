import type { Order, Wishes } from './generations.ts'

export const IDEA_LIMIT = 500
export const LIMITS = { title: 80, style: 1000, lyrics: 5000 } as const

export interface Draft {
  prompt: string
  title: string
  style: string
  lyrics: string
  instrumental: boolean
  model: string
}

export const emptyDraft: Draft = { prompt: '', title: '', style: '', lyrics: '', instrumental: false, model: '' }

/** What is sent: only what was filled in. */
export function wishesOf(draft: Draft): Wishes {
  const text = (value: string) => value.trim() || undefined
  return {
    prompt: text(draft.prompt),
    title: text(draft.title),
    style: text(draft.style),
    lyrics: draft.instrumental ? undefined : text(draft.lyrics),
    instrumental: draft.instrumental || undefined,
    model: draft.model || undefined,
  }
}

/** Letters as people count them: an emoji is one. */
export const lengthOf = (text: string) => [...text].length

/** The fields that are surely too long, with their limits, before anything is sent. */
export function tooLong(draft: Draft): Partial<Record<keyof Draft, number>> {
  const over: Partial<Record<keyof Draft, number>> = {}
  if (lengthOf(draft.prompt.trim()) > IDEA_LIMIT) over.prompt = IDEA_LIMIT
  for (const field of ['title', 'style', 'lyrics'] as const) {
    if (lengthOf(draft[field].trim()) > LIMITS[field]) over[field] = LIMITS[field]
  }
  return over
}

export const orderOf = (draft: Draft, key: string): Order => ({
  key,
  body: { provider: 'suno', kind: 'song', ...wishesOf(draft) },
})
