import { factor, list, setting, text, url } from '../../config/setting.ts'
import { DEFAULT_MODEL, DEFAULT_MODELS } from './mureka.ts'

export const murekaSettings = {
  murekaApiKey: setting({
    env: 'MUREKA_API_KEY',
    doc: 'Key of the account at platform.mureka.ai.',
    schema: text(),
    secret: true,
  }),
  murekaBaseUrl: setting({
    env: 'MUREKA_BASE_URL',
    doc: 'Where the Mureka endpoint is.',
    schema: url(),
    default: 'https://api.mureka.ai',
  }),
  murekaModel: setting({
    env: 'MUREKA_MODEL',
    doc: 'Model used when a request names none.',
    schema: text(),
    default: DEFAULT_MODEL,
  }),
  murekaModels: setting({
    env: 'MUREKA_MODELS',
    doc: 'Models that a request may name, separated by commas; your own fine-tuned ones too.',
    schema: list(),
    default: DEFAULT_MODELS.join(','),
  }),
  murekaPollScale: setting({
    env: 'MUREKA_POLL_SCALE',
    doc: 'Multiplies the times between two questions to the provider (30 s until the first); for tests against a faster one.',
    schema: factor(),
    default: '1',
  }),
}
