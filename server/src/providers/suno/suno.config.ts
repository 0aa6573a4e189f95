import { z } from 'zod'
import { factor, setting, text, url } from '../../config/setting.ts'
import { DEFAULT_MODEL } from './models.ts'

/** `20/10s` → at most 20 in any 10 seconds. */
const rate = () =>
  z
    .string()
    .optional()
    .transform((value, context) => {
      const [, count, seconds] = /^(\d{1,6})\/(\d{1,5})s$/.exec(value?.trim() ?? '') ?? []
      if (!Number(count) || !Number(seconds)) {
        context.addIssue({ code: 'custom', message: 'expected a rate like 20/10s' })
        return z.NEVER
      }
      return { count: Number(count), windowMs: Number(seconds) * 1000 }
    })

export const sunoSettings = {
  sunoApiKey: setting({
    env: 'SUNO_API_KEY',
    doc: 'Key of the Suno account at sunoapi.org.',
    schema: text(),
    secret: true,
  }),
  sunoBaseUrl: setting({
    env: 'SUNO_BASE_URL',
    doc: 'Where the Suno endpoint is.',
    schema: url(),
    default: 'https://api.sunoapi.org',
  }),
  sunoModel: setting({
    env: 'SUNO_MODEL',
    doc: 'Model used when a request names none. One that is not listed yet may be named too.',
    schema: text(),
    default: DEFAULT_MODEL,
  }),
  sunoRate: setting({
    env: 'SUNO_RATE',
    doc: 'How many submits the account allows in which time. More are refused there, so this is never exceeded here.',
    schema: rate(),
    default: '20/10s',
  }),
  sunoPollScale: setting({
    env: 'SUNO_POLL_SCALE',
    doc: 'Multiplies the times between two questions to the provider (30 s until the first); for tests against a faster one.',
    schema: factor(),
    default: '1',
  }),
}
