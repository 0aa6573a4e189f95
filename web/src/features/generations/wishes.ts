import { recall, remember } from '../../app/browser-memory.ts'
import { onLeave } from '../../app/session.ts'
import { valueStore } from '../../app/value-store.ts'
import type { Order, Wishes } from './generations.ts'

/** Limits in UTF-16 units, as the provider's room counts them. */
export const IDEA_LIMIT = 500
const LIMITS = { prompt: 5000, title: 80, style: 1000, lyrics: 5000 } as const
const MUREKA_LIMITS = { prompt: 1024, title: 200, style: 1000, lyrics: 3000 } as const

/** Of whom songs can be asked here, and by what name people know them. */
export const SONG_PROVIDERS = { suno: 'Suno', mureka: 'Mureka' } as const
export type SongProvider = keyof typeof SONG_PROVIDERS
/** How many songs Mureka makes of one request; Suno always makes two. */
export const COUNTS = [1, 2, 3] as const

export interface Draft {
  provider: SongProvider
  count: number
  prompt: string
  title: string
  style: string
  lyrics: string
  instrumental: boolean
  model: string
}

export const emptyDraft: Draft = { provider: 'suno', count: 2, prompt: '', title: '', style: '', lyrics: '', instrumental: false, model: '' }

const KEPT = 'reprise.draft'

/** What is being put together. It outlives a reload and a walk to another page. */
export const draftStore = valueStore<Draft>(keptDraft())
onLeave(() => draftStore.set(emptyDraft))

export function changeDraft(change: (draft: Draft) => Draft): void {
  draftStore.set(change(draftStore.get()))
  remember(KEPT, JSON.stringify(draftStore.get()))
}

function keptDraft(): Draft {
  try {
    return { ...emptyDraft, ...(JSON.parse(recall(KEPT) ?? '{}') as Partial<Draft>) }
  } catch {
    return emptyDraft
  }
}

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
    options: draft.provider === 'mureka' && draft.count !== emptyDraft.count ? { n: draft.count } : undefined,
  }
}

export const orderOf = (draft: Draft): Order => ({ provider: draft.provider, kind: 'song', ...wishesOf(draft) })

/** Of Suno: with own words, or as an instrumental with style and title, each part counts for itself; an idea counts as a whole. */
const isIdea = ({ lyrics, instrumental, style, title }: Wishes) => !lyrics && !(instrumental && style && title)

/** What counts against the limit of an idea, or nothing when there is no such limit. */
export function ideaLength(draft: Draft): number | undefined {
  const wishes = wishesOf(draft)
  if (draft.provider !== 'suno' || !isIdea(wishes)) return undefined
  const parts = [wishes.prompt, wishes.style && `Style: ${wishes.style}`, wishes.title && `Title: ${wishes.title}`]
  return parts.filter(Boolean).join('\n').length
}

export type Mistake = { rule: 'required' } | { rule: 'too_long'; n: number }

/** What surely would be refused, found before anything is sent. The server stays the judge of the rest. */
export function mistakesOf(draft: Draft): Partial<Record<keyof Draft, Mistake>> {
  const wishes = wishesOf(draft)
  const limits = draft.provider === 'mureka' ? MUREKA_LIMITS : LIMITS
  const mistakes: Partial<Record<keyof Draft, Mistake>> = {}
  for (const field of ['prompt', 'title', 'style', 'lyrics'] as const) {
    if ((wishes[field]?.length ?? 0) > limits[field]) mistakes[field] = { rule: 'too_long', n: limits[field] }
  }
  if ((ideaLength(draft) ?? 0) > IDEA_LIMIT) mistakes.prompt = { rule: 'too_long', n: IDEA_LIMIT }
  if (!wishes.prompt) mistakes.prompt = { rule: 'required' }
  if (draft.provider === 'suno' && wishes.lyrics && !wishes.title) mistakes.title = { rule: 'required' }
  return mistakes
}
