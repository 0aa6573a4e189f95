import { z } from 'zod'
import { setting, text, url } from '../../config/setting.ts'
import { DEFAULT_MODEL, MODEL_NAME } from './models.ts'
import { isSecret } from './signature.ts'

const modelName = () =>
  z
    .string()
    .optional()
    .transform((value, context) => {
      if (value && MODEL_NAME.test(value)) return value
      context.addIssue({ code: 'custom', message: 'expected owner/name or owner/name:version (64 hexadecimal digits)' })
      return z.NEVER
    })

const webhookSecret = () =>
  z
    .string()
    .optional()
    .transform((value, context) => {
      if (value === undefined || isSecret(value)) return value
      context.addIssue({ code: 'custom', message: 'expected a secret that begins with whsec_' })
      return z.NEVER
    })

export const replicateSettings = {
  replicateApiToken: setting({
    env: 'REPLICATE_API_TOKEN',
    doc: 'Token of the Replicate account.',
    schema: text(),
    secret: true,
  }),
  replicateBaseUrl: setting({
    env: 'REPLICATE_BASE_URL',
    doc: 'Where the Replicate API is.',
    schema: url(),
    default: 'https://api.replicate.com',
  }),
  replicateModel: setting({
    env: 'REPLICATE_MODEL',
    doc: 'Model used when a request names none: `owner/name`, or `owner/name:version` for one that is not official. Of a model that is not listed only the prompt is used.',
    schema: modelName(),
    default: DEFAULT_MODEL,
  }),
  replicateWebhookSecret: setting({
    env: 'REPLICATE_WEBHOOK_SECRET',
    doc: "The secret (`whsec_…`) that Replicate signs its callbacks with. Without it Replicate is asked for it at the start.",
    schema: webhookSecret(),
    secret: true,
  }),
}
