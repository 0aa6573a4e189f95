import { z } from 'zod'
import type { ModelInfo } from '../provider.ts'

/** What a model's input calls a text, and how many characters it may have (null: not documented). */
interface TextField {
  field: string
  max: number | null
}

/**
 * A model as data: each has an input of its own, so what a request means to it stands here and nowhere in the code.
 * Anything that it knows beyond the words of a request is an option under the model's own name for it.
 */
export interface ReplicateModel extends ModelInfo {
  /** Run through `/v1/predictions` with this version; a model without one is official and has an address of its own. */
  version?: string
  prompt: TextField
  /** Absent: it does not sing. */
  lyrics?: TextField
  /** The switch for a piece without voice. */
  instrumentalField?: string
  /** Sent when it is to sing and no lyrics are given. */
  withoutLyrics?: Record<string, unknown>
  /** Sent unless an option says otherwise. */
  defaults: Record<string, unknown>
  options: Record<string, z.ZodType>
}

const range = (min: number, max: number) => z.number(`expected ${min} to ${max}`).min(min, `expected ${min} to ${max}`).max(max, `expected ${min} to ${max}`)
const whole = (min: number, max: number) => range(min, max).int('expected a whole number')
const one = (...values: (string | number)[]) => z.literal(values, `expected one of ${values.join(', ')}`)
const seed = whole(0, 2 ** 31 - 1)

const REPLICATE_MODELS: readonly ReplicateModel[] = [
  {
    id: 'minimax/music-2.6',
    status: 'current',
    prompt: { field: 'prompt', max: 2000 },
    lyrics: { field: 'lyrics', max: 3500 },
    instrumentalField: 'is_instrumental',
    withoutLyrics: { lyrics_optimizer: true },
    defaults: { audio_format: 'mp3' },
    options: {
      sample_rate: one(16_000, 24_000, 32_000, 44_100),
      bitrate: one(32_000, 64_000, 128_000, 256_000),
      audio_format: one('mp3', 'wav'),
    },
  },
  {
    id: 'stability-ai/stable-audio-2.5',
    status: 'current',
    maxDurationSec: 190,
    prompt: { field: 'prompt', max: null },
    defaults: {},
    options: { duration: whole(1, 190), steps: whole(4, 8), cfg_scale: range(1, 25), seed },
  },
  {
    id: 'meta/musicgen',
    status: 'current',
    maxDurationSec: 30,
    version: '671ac645ce5e552cc63a54a2bbff63fcf798043055d2dac5fc9e36a837eedcfb',
    prompt: { field: 'prompt', max: null },
    defaults: { model_version: 'stereo-large', output_format: 'mp3' },
    options: {
      duration: whole(1, 30),
      model_version: one('stereo-large', 'stereo-melody-large', 'large', 'melody-large'),
      output_format: one('mp3', 'wav'),
      normalization_strategy: one('loudness', 'clip', 'peak', 'rms'),
      top_k: whole(0, 10_000),
      top_p: range(0, 1),
      temperature: range(0, 10),
      classifier_free_guidance: whole(0, 100),
      seed,
    },
  },
]

export const DEFAULT_MODEL = 'minimax/music-2.6'

/** `owner/name`, or `owner/name:version` for a model that is not official. */
export const MODEL_NAME = /^([\w.-]+\/[\w.-]+)(?::([0-9a-f]{64}))?$/

/** The table with the operator's default in it: another version of a known model, or one of which only the prompt is known. */
export function modelTable(name: string): { models: readonly ReplicateModel[]; defaultModel: string } {
  const [, id = name, version] = MODEL_NAME.exec(name) ?? []
  const known = REPLICATE_MODELS.find((model) => model.id === id)
  const own: ReplicateModel = { ...(known ?? { id, status: 'current', prompt: { field: 'prompt', max: null }, defaults: {}, options: {} }), ...(version && { version }) }
  return { models: [own, ...REPLICATE_MODELS.filter((model) => model.id !== id)], defaultModel: id }
}
