import type { Order, Wishes } from './generations.ts'

/** Limits in UTF-16 units, as the provider's room counts them. */
export const IDEA_LIMIT = 500
const LIMITS = { prompt: 5000, title: 80, style: 1000, lyrics: 5000 } as const

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

export const orderOf = (draft: Draft, key: string): Order => ({
  key,
  body: { provider: 'suno', kind: 'song', ...wishesOf(draft) },
})

/** With own words, or as an instrumental with style and title, each part counts for itself; an idea counts as a whole. */
const isIdea = ({ lyrics, instrumental, style, title }: Wishes) => !lyrics && !(instrumental && style && title)

/** What counts against the limit of an idea, or nothing when there is no such limit. */
export function ideaLength(draft: Draft): number | undefined {
  const wishes = wishesOf(draft)
  if (!isIdea(wishes)) return undefined
  const parts = [wishes.prompt, wishes.style && `Style: ${wishes.style}`, wishes.title && `Title: ${wishes.title}`]
  return parts.filter(Boolean).join('\n').length
}

export type Mistake = { rule: 'required' } | { rule: 'too_long'; n: number }

/** What surely would be refused, found before anything is sent. The server stays the judge of the rest. */
export function mistakesOf(draft: Draft): Partial<Record<keyof Draft, Mistake>> {
  const wishes = wishesOf(draft)
  const mistakes: Partial<Record<keyof Draft, Mistake>> = {}
  for (const field of ['prompt', 'title', 'style', 'lyrics'] as const) {
    if ((wishes[field]?.length ?? 0) > LIMITS[field]) mistakes[field] = { rule: 'too_long', n: LIMITS[field] }
  }
  if ((ideaLength(draft) ?? 0) > IDEA_LIMIT) mistakes.prompt = { rule: 'too_long', n: IDEA_LIMIT }
  if (!wishes.prompt) mistakes.prompt = { rule: 'required' }
  if (wishes.lyrics && !wishes.title) mistakes.title = { rule: 'required' }
  return mistakes
}
