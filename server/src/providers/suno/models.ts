import type { ModelInfo } from '../provider.ts'

/** Limits in characters. */
export interface SunoModel extends ModelInfo {
  lyrics: number
  style: number
  /** Takes the `duration` option (10 to 360 s). */
  takesDuration: boolean
}

/** 80 everywhere: the documents disagree between 80 and 100 for some models. */
export const TITLE_LIMIT = 80
/** An idea (lyrics are written for us), whatever the model. */
export const IDEA_LIMIT = 500
/** Every request gives two songs. */
export const SONGS_PER_REQUEST = 2

const model = (id: string, status: ModelInfo['status'], more: Partial<SunoModel> = {}): SunoModel => ({
  id,
  status,
  lyrics: 5000,
  style: 1000,
  takesDuration: false,
  ...more,
})

const SUNO_MODELS: readonly SunoModel[] = [
  model('V6', 'current', { takesDuration: true }),
  model('V6_WILD', 'current', { takesDuration: true }),
  model('V6_MINI', 'current', { takesDuration: true }),
  model('V5_5', 'deprecated', { takesDuration: true, maxDurationSec: 480 }),
  model('V5', 'deprecated', { maxDurationSec: 480 }),
  model('V4_5PLUS', 'deprecated', { maxDurationSec: 480 }),
  model('V4_5ALL', 'deprecated', { maxDurationSec: 480 }),
  model('V4_5', 'deprecated', { maxDurationSec: 480 }),
  model('V4', 'deprecated', { lyrics: 3000, style: 200, maxDurationSec: 240 }),
  model('V3_5', 'retired', { lyrics: 3000, style: 200, maxDurationSec: 240 }),
]

export const DEFAULT_MODEL = 'V6'

/** The table with the operator's default in it: a model newer than this file gets the strictest limits. */
export function modelTable(defaultModel: string): readonly SunoModel[] {
  if (SUNO_MODELS.some((known) => known.id === defaultModel)) return SUNO_MODELS
  return [model(defaultModel, 'current', { lyrics: 3000, style: 200 }), ...SUNO_MODELS]
}
