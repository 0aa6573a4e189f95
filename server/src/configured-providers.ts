import type { Values } from './config/setting.ts'
import { createGoogle, type GoogleOptions } from './providers/google/google.ts'
import { googleSettings, keysOf } from './providers/google/google.config.ts'
import { createMureka } from './providers/mureka/mureka.ts'
import { murekaSettings } from './providers/mureka/mureka.config.ts'
import { MOST_PICTURE_BYTES } from './providers/google/request.ts'
import type { Provider } from './providers/provider.ts'
import type { ProviderFetch } from './providers/provider-fetch.ts'
import { createReplicate } from './providers/replicate/replicate.ts'
import { replicateSettings } from './providers/replicate/replicate.config.ts'
import { createSuno } from './providers/suno/suno.ts'
import { sunoSettings } from './providers/suno/suno.config.ts'
import type { BlobStore } from './storage/blob-store.ts'
import { createReadPicture } from './storage/read-picture.ts'

type Config = Values<typeof sunoSettings & typeof murekaSettings & typeof replicateSettings & typeof googleSettings>

/** Buckets whose pictures may be handed to a provider: uploads, and what was made before. */
const PICTURE_BUCKETS = ['image-uploads', 'generated-images']
export const pictureReader = (blobs: BlobStore) => createReadPicture({ blobs, buckets: PICTURE_BUCKETS, maxBytes: MOST_PICTURE_BYTES })

/** Where and as whom a provider is spoken to. */
interface Access {
  apiKey: string
  baseUrl: string
  timeScale: number
}

/**
 * The providers that have a key. In the demo all of them: the real adapters, played by the simulator and asked more
 * often because it is faster. `missing` names the variables of the keys that are not there.
 */
export function configuredProviders(config: Config, fetch: ProviderFetch, readImage: GoogleOptions['readImage'], demo: { url: string; speed: number } | null) {
  const providers: Provider[] = []
  const bases: Record<string, string> = {}
  const missing: string[] = []
  const offer = (id: string, keyEnv: string, apiKey: string | undefined, baseUrl: string, timeScale: number, create: (access: Access) => Provider) => {
    bases[id] = demo?.url ?? baseUrl
    if (demo) providers.push(create({ apiKey: 'demo', baseUrl: demo.url, timeScale: 1 / demo.speed }))
    else if (apiKey) providers.push(create({ apiKey, baseUrl, timeScale }))
    else missing.push(keyEnv)
  }
  offer('suno', sunoSettings.sunoApiKey.env, config.sunoApiKey, config.sunoBaseUrl!, config.sunoPollScale, (access) =>
    createSuno({ ...access, fetch, model: config.sunoModel, rate: config.sunoRate }))
  offer('mureka', murekaSettings.murekaApiKey.env, config.murekaApiKey, config.murekaBaseUrl!, config.murekaPollScale, (access) =>
    createMureka({ ...access, fetch, model: config.murekaModel, models: config.murekaModels }))
  offer('replicate', replicateSettings.replicateApiToken.env, config.replicateApiToken, config.replicateBaseUrl!, 1, (access) => {
    const replicate = createReplicate({ ...access, fetch, model: config.replicateModel, webhookSecret: demo ? undefined : config.replicateWebhookSecret })
    // Beside the start: every process that may be called back must be able to judge signatures.
    void replicate.prepare()
    return replicate
  })
  offer('google', googleSettings.geminiApiKey.env, config.geminiApiKey, config.geminiBaseUrl!, config.geminiWaitScale, ({ apiKey, ...access }) =>
    createGoogle({ ...access, apiKeys: keysOf(apiKey), fetch, readImage, models: config.geminiModels, timeoutMs: config.geminiTimeoutSec * 1000, parallel: config.geminiParallel }))
  return { providers, bases, missing }
}
