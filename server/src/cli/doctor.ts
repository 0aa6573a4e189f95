import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import type { allSettings } from '../app.config.ts'
import type { Values } from '../config/setting.ts'
import { createDatabase, type Queryable } from '../database/pool.ts'
import { callbackAddress } from '../features/generations/callback-address.ts'
import { readSchedules } from '../features/operations/schedule-watch.ts'
import { createLogger } from '../kernel/logger.ts'
import { createProviderFetch, type ProviderFetch } from '../providers/provider-fetch.ts'
import { createMureka } from '../providers/mureka/mureka.ts'
import { keysOf } from '../providers/google/google.config.ts'
import { servedModels } from '../providers/google/served-models.ts'
import type { Provider } from '../providers/provider.ts'
import { createReplicate } from '../providers/replicate/replicate.ts'
import { createSuno } from '../providers/suno/suno.ts'
import { createDiskStore } from '../storage/disk/disk-store.ts'
import { createGuardedFetch } from '../storage/guarded-fetch.ts'

export interface Finding {
  level: 'good' | 'note' | 'bad'
  about: string
  says: string
}

type Config = Values<typeof allSettings>

/** Looks at everything that Reprise depends on and says in a sentence each how it stands. Changes nothing. */
export async function doctor(config: Config, databaseUrl: () => string): Promise<Finding[]> {
  const looks = [lookAtDatabase(databaseUrl), lookAtProvider(config), lookAtMureka(config), lookAtReplicate(config), lookAtGoogle(config), lookAtAddress(config), lookAtFiles(config), lookAtIdentity(config)]
  return (await Promise.all(looks)).flat()
}

const good = (about: string, says: string): Finding => ({ level: 'good', about, says })
const note = (about: string, says: string): Finding => ({ level: 'note', about, says })
const bad = (about: string, says: string): Finding => ({ level: 'bad', about, says })

async function lookAtDatabase(databaseUrl: () => string): Promise<Finding[]> {
  let url: string
  try {
    url = databaseUrl()
  } catch (error) {
    return [note('database', (error as Error).message)]
  }
  // The ledger is read as a whole.
  const db = createDatabase({ url, max: 1, applicationName: 'reprise doctor', statementTimeoutMs: 600_000, logger: createLogger({ level: 'silent' }) })
  try {
    const { rows } = await db.query<Record<string, any>>(
      `select current_setting('server_version') as version, current_setting('fsync') as fsync, extract(epoch from now()) * 1000 as now,
        (select count(*) from reprise.migrations) as migrations, (select max(round_at) from reprise.nodes) as round,
        (select count(*) from reprise.generations where finished_at is null and next_at < reprise.now() - interval '60 seconds' and coalesce(lease_until < reprise.now(), true)) as overdue,
        (select count(*) from reprise.ledger_violations) as violations`,
    )
    const row = rows[0]!
    const skew = Math.round(Math.abs(row.now - Date.now()))
    const age = row.round ? Math.round((Date.now() - row.round.getTime()) / 1000) : null
    return [
      row.fsync === 'on' ? good('database', `PostgreSQL ${row.version}, ${row.migrations} migrations`) : bad('database', 'fsync is off: an accepted request could be lost'),
      skew < 2_000 ? good('clock', `${skew} ms from the database's`) : bad('clock', `${skew} ms from the database's: signatures and sessions will be judged wrongly`),
      age === null ? bad('workers', 'none has ever run') : age < 30 ? good('workers', `last round ${age} s ago`) : bad('workers', `last round ${age} s ago: nobody looks after open generations`),
      row.overdue === 0 ? good('stuck', 'nothing is overdue') : bad('stuck', `${row.overdue} generations are overdue`),
      row.violations === 0 ? good('ledger', 'every token is accounted for') : bad('ledger', `${row.violations} rows break a promise: select * from reprise.ledger_violations`),
      ...(await lookAtSchedules(db)),
    ]
  } catch (error) {
    return [bad('database', (error as Error).message)]
  } finally {
    await db.close()
  }
}

/** A job that has missed two of its times, or failed last, is bad; one that had no time to run yet is not. */
async function lookAtSchedules(db: Queryable): Promise<Finding[]> {
  return (await readSchedules(db)).map(({ name, succeeded, failed, error, missed }) => {
    const about = `schedule ${name}`
    const last = succeeded ? `last success ${succeeded.toISOString()}` : 'never succeeded'
    if (failed && (!succeeded || failed > succeeded)) return bad(about, `failed ${failed.toISOString()} (${error}), ${last}`)
    if (missed) return bad(about, `${last}: it has missed two of its times; does a worker run?`)
    return succeeded ? good(about, last) : note(about, 'its first time has not come yet')
  })
}

async function lookAtProvider(config: Config): Promise<Finding[]> {
  if (!config.sunoApiKey && (config.murekaApiKey || config.replicateApiToken || config.geminiApiKey) && config.demo !== 'on') return [note('suno', 'SUNO_API_KEY is not set: songs can be asked of the other providers only')]
  if (!config.sunoApiKey) return [config.databaseUrl || config.demo === 'off' ? bad('suno', 'SUNO_API_KEY is not set: requests for songs are refused') : note('suno', 'no key: the demo provider is used')]
  return lookAtCredits('suno', config.sunoBaseUrl!, (fetch) => createSuno({ apiKey: config.sunoApiKey!, baseUrl: config.sunoBaseUrl!, fetch, model: config.sunoModel, rate: config.sunoRate }))
}

async function lookAtMureka({ murekaApiKey: apiKey, murekaBaseUrl: baseUrl }: Config): Promise<Finding[]> {
  return apiKey ? lookAtCredits('mureka', baseUrl!, (fetch) => createMureka({ apiKey, baseUrl: baseUrl!, fetch })) : []
}

async function lookAtCredits(name: string, baseUrl: string, create: (fetch: ProviderFetch) => Provider): Promise<Finding[]> {
  const http = createProviderFetch()
  try {
    const credits = await create(http.fetch).credits!(AbortSignal.timeout(15_000))
    if (credits === null) return [bad(name, `${baseUrl} did not tell its credits: wrong key, wrong address (http instead of https?) or out of reach`)]
    const atOnce = credits.concurrency ? `, ${credits.concurrency} tasks at once` : ''
    return [credits.amount > 0 ? good(name, `${credits.amount} ${credits.unit}${atOnce}`) : bad(name, 'no credits are left')]
  } finally {
    await http.close()
  }
}

/** It tells no credits; that it tells the signing secret shows that the token is good. */
async function lookAtReplicate({ replicateApiToken: apiKey, replicateBaseUrl, replicateModel }: Config): Promise<Finding[]> {
  if (!apiKey) return []
  const http = createProviderFetch()
  try {
    const known = await createReplicate({ apiKey, baseUrl: replicateBaseUrl!, fetch: http.fetch, model: replicateModel }).prepare()
    return [known ? good('replicate', 'the token is accepted, callbacks can be verified') : bad('replicate', `${replicateBaseUrl} did not tell how its callbacks are signed: wrong token, wrong address or out of reach`)]
  } finally {
    await http.close()
  }
}

/** It tells no credits; that it tells of its models shows, for each key, that it is good and that they are still served. */
async function lookAtGoogle({ geminiApiKey, geminiBaseUrl: baseUrl, geminiModels }: Config): Promise<Finding[]> {
  const keys = keysOf(geminiApiKey)
  if (!keys.length) return []
  const http = createProviderFetch()
  try {
    return await Promise.all(keys.map(async (key, index) => {
      const served = await servedModels({ key, baseUrl: baseUrl!, models: geminiModels, fetch: http.fetch })
      const name = keys.length > 1 ? `google, key ${index + 1}` : 'google'
      if (served === null) return bad(name, `${baseUrl} did not tell its models: wrong key, wrong address or out of reach`)
      return served.length ? good(name, `the key is accepted; served: ${served.join(', ')}`) : bad(name, `none of ${geminiModels.join(', ')} is served any more: set GEMINI_MODELS`)
    }))
  } finally {
    await http.close()
  }
}

async function lookAtAddress(config: Config): Promise<Finding[]> {
  const { problem } = callbackAddress({ publicBaseUrl: config.publicBaseUrl, ownUrl: `http://${config.host}:${config.port}`, providerBaseUrl: config.sunoBaseUrl! })
  if (!config.sunoApiKey && !config.databaseUrl) return [note('public address', 'not needed for the demo')]
  if (problem === 'not_configured') return [note('public address', 'PUBLIC_BASE_URL is not set: everything works by polling, seed 001 answers CALLBACK_URL_NOT_CONFIGURED')]
  if (problem === 'invalid') return [bad('public address', `${config.publicBaseUrl} is not a public https address: no provider can call it`)]
  if (!config.publicBaseUrl) return [good('public address', 'the provider is on this machine')]
  const guardedFetch = createGuardedFetch({ allowHosts: config.downloadAllowHosts })
  try {
    const response = await guardedFetch(`${config.publicBaseUrl}/livez`, { trust: 'provider-api', purpose: 'doctor', maxBytes: 10_000, timeoutMs: 10_000 })
    response.discard()
    return [response.status === 200 ? good('callback', `${config.publicBaseUrl} is reachable from here`) : bad('callback', `${config.publicBaseUrl}/livez answers ${response.status}`)]
  } catch (error) {
    return [bad('callback', `${config.publicBaseUrl} cannot be reached from here: ${(error as Error).message}`)]
  } finally {
    await guardedFetch.close()
  }
}

async function lookAtFiles(config: Config): Promise<Finding[]> {
  const root = join(resolve(config.dataDir), 'files')
  try {
    const store = createDiskStore({ root })
    const staged = await store.stage(once(randomBytes(1024)), { maxBytes: 2048 })
    await staged.discard()
    return [good('files', `${root} can be written`)]
  } catch (error) {
    return [bad('files', `${root}: ${(error as Error).message}`)]
  }
}

async function lookAtIdentity({ jwtSecret, jwksUrl, serviceRoleKey, databaseUrl }: Config): Promise<Finding[]> {
  if (jwtSecret || jwksUrl) return [good('sign-in', `tokens of ${[jwtSecret && 'the shared secret', jwksUrl && 'the key set'].filter(Boolean).join(' and ')} are accepted${serviceRoleKey ? ', and the service key' : ''}`)]
  return [databaseUrl ? bad('sign-in', 'neither JWT_SECRET nor JWKS_URL is set: nobody but the owner can sign in') : note('sign-in', 'only the owner link: set JWT_SECRET or JWKS_URL for users of your app')]
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
