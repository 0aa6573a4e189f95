import { ConfigError, requiredText, setting } from '../../config/setting.ts'
import type { Provider } from '../../providers/provider.ts'

const USUAL = 'google'

export const imageJobsSettings = {
  imageProvider: setting({
    env: 'IMAGE_PROVIDER',
    doc: 'Which provider makes the pictures of new image jobs. What was accepted before goes to the provider that it was accepted for.',
    schema: requiredText(),
    default: USUAL,
  }),
}

/** Throws ConfigError unless it is one of these and makes pictures. Without a key for the usual one there are no pictures, as with any provider. */
export function imageProviderOf(name: string = USUAL, providers: readonly Pick<Provider, 'descriptor'>[]): string {
  const able = providers.filter(({ descriptor }) => descriptor.kinds.includes('image')).map(({ descriptor }) => descriptor.id)
  const isThere = providers.some(({ descriptor }) => descriptor.id === name)
  if (able.includes(name) || (name === USUAL && !isThere)) return name
  const why = isThere ? 'makes no pictures' : 'is not there, or has no key'
  throw new ConfigError([`${imageJobsSettings.imageProvider.env}: ${JSON.stringify(name)} ${why}; pictures can be made by ${able.join(', ') || 'none of the providers that have a key'}`])
}
