import type { Channel, ChannelBody, Settings } from './channels.ts'

/** A channel as its form shows it: lists are text, numbers are what was typed. */
export interface ChannelDraft {
  name: string
  language: string
  timezone: string
  sunoPrompt: string
  styleTags: string
  promptVariants: string
  promptVariantMode: 'cyclic' | 'random' | 'fixed'
  platforms: { youtube: boolean; tiktok: boolean; instagram: boolean }
  paused: boolean
  numbers: Record<NumberField, string>
}

/** The languages of a channel's music, in their own words. */
export const LANGUAGES: Record<string, string> = { ru: 'Русский', en: 'English', kk: 'Қазақша', fr: 'Français' }

export const NUMBERS = {
  targetDurationSec: 60,
  clipSec: 10,
  segmentDelayMs: 30_000,
  maxParallelSegments: 1,
  maxRetries: 3,
  retryDelayMs: 60_000,
} as const
export type NumberField = keyof typeof NUMBERS
const NUMBER_FIELDS = Object.keys(NUMBERS) as NumberField[]

export function draftOf(channel: Channel | undefined, language: string, timezone: string): ChannelDraft {
  const settings: Settings = channel?.musicClipsSettings ?? {}
  const tags = settings.styleTags ?? []
  return {
    name: channel?.name ?? '',
    language: channel?.language ?? language,
    timezone: channel?.timezone ?? timezone,
    sunoPrompt: settings.sunoPrompt ?? '',
    styleTags: Array.isArray(tags) ? tags.join(', ') : tags,
    promptVariants: (settings.promptVariants ?? []).join('\n'),
    promptVariantMode: settings.promptVariantMode ?? 'cyclic',
    platforms: { youtube: false, tiktok: false, instagram: false, ...settings.platforms },
    paused: settings.paused ?? false,
    numbers: Object.fromEntries(NUMBER_FIELDS.map((name) => [name, String(settings[name] ?? NUMBERS[name])])) as Record<
      NumberField,
      string
    >,
  }
}

/**
 * What is saved: only what the form shows. The server merges settings field by field, so the others, such as the last
 * run, stay as they are by now.
 */
export function bodyOf(draft: ChannelDraft, before: Channel | undefined): ChannelBody {
  const list = (text: string, by: RegExp) => text.split(by).map((part) => part.trim()).filter(Boolean)
  const numbers = Object.fromEntries(
    NUMBER_FIELDS.map((name) => {
      const typed = draft.numbers[name].trim()
      return [name, typed === '' || Number.isNaN(Number(typed)) ? NUMBERS[name] : Number(typed)]
    }),
  )
  return {
    name: draft.name.trim(),
    type: before?.type ?? 'music_clips',
    language: draft.language,
    timezone: draft.timezone,
    musicClipsSettings: {
      ...numbers,
      sunoPrompt: draft.sunoPrompt.trim(),
      styleTags: list(draft.styleTags, /,/),
      promptVariants: list(draft.promptVariants, /\n/),
      promptVariantMode: draft.promptVariantMode,
      platforms: draft.platforms,
      paused: draft.paused,
      ...(Object.hasOwn(LANGUAGES, draft.language) ? { language: draft.language } : {}),
    },
  }
}
