import { mkdir } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { allSettings } from './app.config.ts'
import { readSettings } from './config/setting.ts'
import { configuredProviders, pictureReader } from './configured-providers.ts'
import { startEmbeddedPostgres, type EmbeddedPostgres } from './database/embedded.ts'
import { startSimulator, type RunningSimulator } from './demo/simulator-process.ts'
import { crashFrom } from './engine/crash.ts'
import { serve } from './http-kit/server.ts'
import { systemClock } from './kernel/clock.ts'
import { systemIds } from './kernel/ids.ts'
import { createLogger } from './kernel/logger.ts'
import { createProviderFetch } from './providers/provider-fetch.ts'
import { createDiskStore } from './storage/disk/disk-store.ts'
import { wire } from './wire.ts'

export const VERSION = '0.1.0'
export type Role = 'all' | 'api' | 'worker'

export interface Running {
  url: string
  /** One-time address for the owner; with the embedded database only. */
  ownerLink: string | null
  stop(): Promise<void>
}

/**
 * Starts Reprise in this process. What the environment does not name is brought along: the database, and in the demo
 * the provider. Throws ConfigError, DatabaseRefusedError, FilesFolderError or FolderInUseError with a message for the operator.
 */
export async function start(env: Record<string, string | undefined>, role: Role = 'all'): Promise<Running> {
  const config = readSettings(allSettings, env)
  const logger = createLogger({ level: config.logLevel })
  const dataDir = resolve(config.dataDir)
  await mkdir(dataDir, { recursive: true })
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const one of undo.splice(0).reverse()) await one().catch((error: unknown) => logger.error({ err: error }, 'while stopping'))
  }
  try {
    let embedded: EmbeddedPostgres | null = null
    if (!config.databaseUrl) {
      embedded = await startEmbeddedPostgres({ dataDir, logger })
      undo.push(() => embedded!.stop())
    }
    const demo = isDemo(config)
    let simulator: RunningSimulator | null = null
    if (demo) {
      simulator = await startSimulator({ dataDir, speed: config.demoSpeed, logger })
      undo.push(() => simulator!.stop())
    }

    const blobs = createDiskStore({ root: join(dataDir, 'files') })
    const http = createProviderFetch()
    undo.push(() => http.close())
    const { providers, bases, missing } = configuredProviders(config, http.fetch, pictureReader(blobs), simulator && { url: simulator.url, speed: config.demoSpeed })
    for (const key of missing) logger.warn(`no ${key}: requests to this provider are answered ${key}_NOT_CONFIGURED`)

    let ownUrl = `http://${config.host}:${config.port}`
    const { port, host, drainSec, ...rest } = config
    const wired = await wire({
      ...rest,
      databaseUrl: config.databaseUrl ?? embedded!.url,
      providers,
      providerBases: bases,
      blobs,
      filesFolder: join(dataDir, 'files'),
      downloadAllowHosts: [...config.downloadAllowHosts, ...(simulator ? [new URL(simulator.url).host] : [])],
      ownUrl: () => ownUrl,
      demo,
      version: VERSION,
      signupTokens: demo && env.SIGNUP_TOKENS === undefined ? 1000 : config.signupTokens,
      webFolder: role === 'worker' ? undefined : join(import.meta.dirname, '../../web/dist'),
      node: `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`,
      clock: systemClock, ids: systemIds, random: Math.random, logger, crash: crashFrom(env),
    })
    undo.push(() => wired.close())

    // Taking work ends at once and beside the draining of answers: a player that still streams holds no POST open.
    const together: (() => Promise<unknown>)[] = [() => wired.stop()]
    undo.push(() => Promise.all(together.map((one) => one())))
    if (role !== 'worker') {
      const server = await serve({
        app: wired.app, host, port, logger,
        onDrain() {
          wired.health.drain()
          wired.streams.drain()
        },
      })
      together.push(() => server.close({ drainMs: drainSec * 1000 }))
      ownUrl = server.url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//127.0.0.1:')
    }
    // A worker does not know where the API listens, nor an API behind somebody's proxy: then somebody else tells.
    const knownUrl = config.publicBaseUrl ?? ((embedded || demo) && role !== 'worker' ? ownUrl : null)
    if (knownUrl) await wired.rememberBase(knownUrl)
    await wired.engine.start()
    wired.scheduleWatch.start()
    if (role !== 'api') {
      await wired.startWorkers()
      await wired.maintenance.start()
      together.push(() => wired.maintenance.stop())
    }
    const ownerLink = embedded && role !== 'worker' ? `${config.publicBaseUrl ?? ownUrl}${await wired.accounts.createOwnerLink()}` : null
    logger.info({ role, url: ownUrl, demo }, 'Reprise is ready')
    return { url: ownUrl, ownerLink, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

type Config = ReturnType<typeof readSettings<typeof allSettings>>

const isDemo = (config: Config): boolean =>
  config.demo === 'on' || (config.demo === 'auto' && !config.sunoApiKey && !config.murekaApiKey && !config.replicateApiToken && !config.geminiApiKey && !config.databaseUrl)
