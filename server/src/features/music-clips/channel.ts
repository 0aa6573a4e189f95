import { z } from '@hono/zod-openapi'

/** Settings of a music-clips channel, as seed 001's front end stores them; what is absent gets the seed's default. */
export const settingsSchema = z.looseObject({
  sunoPrompt: z.string().max(5_000).default(''),
  styleTags: z.array(z.string().max(200)).max(50).default([]),
  promptVariants: z.array(z.string().max(5_000)).max(100).default([]),
  promptVariantMode: z.enum(['cyclic', 'random', 'fixed']).default('cyclic'),
  language: z.enum(['ru', 'en', 'kk', 'fr']).optional(),
  targetDurationSec: z.number().int().min(1).max(3_600).default(60),
  clipSec: z.number().int().min(1).max(600).default(10),
  segmentDelayMs: z.number().int().min(0).max(3_600_000).default(30_000),
  maxParallelSegments: z.number().int().min(1).max(20).default(1),
  maxRetries: z.number().int().min(0).max(20).default(3),
  retryDelayMs: z.number().int().min(0).max(3_600_000).default(60_000),
  platforms: z.object({ youtube: z.boolean().default(false), tiktok: z.boolean().default(false), instagram: z.boolean().default(false) })
    .default({ youtube: false, tiktok: false, instagram: false }),
  schedule: z.unknown().optional(),
  paused: z.boolean().default(false),
  lastJobId: z.string().nullable().default(null),
  lastJobStatus: z.string().nullable().default(null),
})

export type Settings = z.infer<typeof settingsSchema>

const timezone = z.string().max(60).refine(isTimezone, { message: 'expected a time zone such as Europe/Moscow', params: { rule: 'timezone' } })

export const channelInput = z.object({
  name: z.string().trim().min(1).max(200),
  type: z.string().min(1).max(50).default('music_clips'),
  language: z.string().min(2).max(10).default('ru'),
  timezone: timezone.default('UTC'),
  musicClipsSettings: settingsSchema.default(settingsSchema.parse({})),
})

/** Only what is sent changes; settings are merged field by field. */
export const channelPatch = z.object({
  name: z.string().trim().min(1).max(200).optional(),
  type: z.string().min(1).max(50).optional(),
  language: z.string().min(2).max(10).optional(),
  timezone: timezone.optional(),
  musicClipsSettings: z.looseObject({}).optional(),
})

export const channelSchema = z.object({
  id: z.string(), name: z.string(), type: z.string(), language: z.string(), timezone: z.string(),
  musicClipsSettings: z.looseObject({}), createdAt: z.iso.datetime(), updatedAt: z.iso.datetime(),
}).openapi('Channel')

export interface Channel {
  id: string
  userId: string
  name: string
  type: string
  language: string
  timezone: string
  musicClipsSettings: Settings
  createdAt: Date
  updatedAt: Date
}

/** The prompt of this run: a variant by the channel's mode, otherwise the channel's own prompt. */
export function promptOf(settings: Settings, run: number, random: () => number): { prompt: string; variantIndex: number | null } {
  const variants = settings.promptVariants.filter((variant) => variant.trim() !== '')
  if (variants.length === 0 || settings.promptVariantMode === 'fixed') return { prompt: settings.sunoPrompt.trim(), variantIndex: null }
  const variantIndex = settings.promptVariantMode === 'cyclic' ? run % variants.length : Math.floor(random() * variants.length)
  return { prompt: variants[variantIndex]!.trim(), variantIndex }
}

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
