import { z } from 'zod'
import { factor, integer, setting, text, url } from '../../config/setting.ts'
import { DEFAULT_MODELS, MODEL_NAME, RETIRED } from './models.ts'

const words = (value: string | undefined): string[] => (value ?? '').split(',').map((word) => word.trim()).filter(Boolean)

const modelNames = () =>
  z
    .string()
    .optional()
    .transform((value, context) => {
      const names = [...new Set(words(value))]
      const wrong = names.find((name) => !MODEL_NAME.test(name))
      const gone = names.find((name) => RETIRED.includes(name))
      if (names.length && !wrong && !gone) return names
      context.addIssue({ code: 'custom', message: gone ? `${gone} was shut down by Google; its successors are ${DEFAULT_MODELS}` : `expected names of models, separated by commas, like ${DEFAULT_MODELS}` })
      return z.NEVER
    })

export const googleSettings = {
  geminiApiKey: setting({
    env: 'GEMINI_API_KEY',
    doc: 'Key of the Google account for pictures. Several, separated by commas, stand in for each other.',
    schema: text(),
    secret: true,
  }),
  geminiBaseUrl: setting({
    env: 'GEMINI_BASE_URL',
    doc: 'Where the Gemini API is.',
    schema: url(),
    default: 'https://generativelanguage.googleapis.com',
  }),
  geminiModels: setting({
    env: 'GEMINI_MODELS',
    aliases: ['GEMINI_MODEL'],
    doc: 'Models for requests that name none, separated by commas: the first, or, where Google has retired it, the next.',
    schema: modelNames(),
    default: DEFAULT_MODELS,
  }),
  geminiTimeoutSec: setting({
    env: 'GEMINI_TIMEOUT_SEC',
    doc: 'How long one picture is waited for before another key is tried, seconds.',
    schema: integer(5, 600),
    default: '60',
  }),
  geminiParallel: setting({
    env: 'GEMINI_PARALLEL',
    doc: 'Most pictures asked for at once, over all processes.',
    schema: integer(1, 1000),
    default: '32',
  }),
  geminiWaitScale: setting({
    env: 'GEMINI_WAIT_SCALE',
    doc: 'Multiplies the waits after trouble (2 s before another key, 10, 20, 25 s before the next attempts); for tests.',
    schema: factor(),
    default: '1',
  }),
}

/** The keys of the setting, each once, in their order. */
export const keysOf = (value: string | undefined): string[] => [...new Set(words(value))]
