import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSimulator } from '../simulator/src/simulator.ts'
import { createTestDatabase, type TestDatabase } from '../server/src/database/testing/test-database.ts'
import { serve } from '../server/src/http-kit/server.ts'
import { signToken } from '../server/src/http-kit/testing.ts'
import { systemClock } from '../server/src/kernel/clock.ts'
import { stableUuid, systemIds } from '../server/src/kernel/ids.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createGoogle } from '../server/src/providers/google/google.ts'
import { createMureka } from '../server/src/providers/mureka/mureka.ts'
import { createSuno } from '../server/src/providers/suno/suno.ts'
import { createDiskStore, type DiskStore } from '../server/src/storage/disk/disk-store.ts'
import { pictureReader } from '../server/src/configured-providers.ts'
import { wire, type WireOptions } from '../server/src/wire.ts'

export const JWT_SECRET = 'a-secret-of-the-test-suite-with-32-bytes-and-more'
export const SERVICE_KEY = 'service-role-key-of-the-test-suite-0123456789'

type SimulatorOptions = NonNullable<Parameters<typeof createSimulator>[0]>

export interface Harness {
  url: string
  simulator: Awaited<ReturnType<typeof createSimulator>>
  wired: Awaited<ReturnType<typeof wire>>
  /** With what it is wired: for a second process of the same installation. */
  wiredWith: WireOptions
  database: TestDatabase
  blobs: DiskStore
  /** A signed-in user by name, with tokens. */
  user(name: string, tokens?: number): Promise<TestUser>
  /** fetch against the server; JSON in and out. */
  call(method: string, path: string, options?: { token?: string; body?: unknown; headers?: Record<string, string> }): Promise<Answer>
  /** Polls until the generation is in a final state (or `until` holds). */
  settled(id: string, user: TestUser, until?: (generation: any) => boolean, timeoutMs?: number): Promise<any>
  close(): Promise<void>
}

export interface TestUser {
  id: string
  token: string
}

export interface Answer {
  status: number
  headers: Headers
  body: any
}

/**
 * The whole of Reprise in this process: real PostgreSQL, real files, real HTTP, and the simulator speaking Suno's
 * protocol. `options` override what wire gets; `workers: false` starts none.
 */
export async function startHarness(options: Partial<WireOptions> & { simulator?: Partial<SimulatorOptions>; workers?: boolean; timeScale?: number; sunoKey?: string | null; mureka?: boolean; google?: boolean; googleTimeoutMs?: number; more?: WireOptions['providers'] } = {}): Promise<Harness> {
  const { simulator: simulatorOptions, workers = true, timeScale = 1 / 100, sunoKey = 'demo', mureka = false, google = false, googleTimeoutMs = 1_000, more = [], ...overrides } = options
  const database = await createTestDatabase({ max: 4 })
  const folder = await mkdtemp(join(tmpdir(), 'reprise-test-'))
  const blobs = createDiskStore({ root: join(folder, 'files') })
  const simulator = await createSimulator({ speed: 0, songSeconds: [2, 2], songPool: 4, rate: null, pictureSide: 128, callbackRetryMs: [5, 5], data: null, ...simulatorOptions } as SimulatorOptions)
  const http = createProviderFetch()
  const logger = overrides.logger ?? createLogger({ level: process.env.TEST_LOG ?? 'error' })
  const suno = sunoKey === null ? [] : [createSuno({ apiKey: sunoKey, baseUrl: simulator.url, fetch: http.fetch, timeScale, rate: { count: 1000, windowMs: 1000 } })]
  const others = [
    ...(mureka ? [createMureka({ apiKey: 'demo', baseUrl: simulator.url, fetch: http.fetch, timeScale })] : []),
    ...(google ? [createGoogle({ apiKeys: ['demo', 'demo-2'], baseUrl: simulator.url, fetch: http.fetch, readImage: pictureReader(blobs), timeoutMs: googleTimeoutMs, timeScale })] : []),
    ...more,
  ]
  let ownUrl = 'http://127.0.0.1:0'
  const wiredWith: WireOptions = {
    databaseUrl: database.url, databasePool: 10, compatSchema: 'public', providers: [...suno, ...others], providerBases: { suno: simulator.url, mureka: simulator.url, google: simulator.url },
    blobs, downloadAllowHosts: [new URL(simulator.url).host], ownUrl: () => ownUrl,
    corsOrigins: ['*'], demo: true, version: 'test', publicMedia: true, signupTokens: 0, deadlineSec: 60, graceSec: 2, archiveParallel: 16, fixityDays: 30, fixityMbPerSec: 1000, storagePricePerGb: 0.021, leaseMs: 1_000, sessionDays: 1,
    jwtSecret: JWT_SECRET, serviceRoleKey: SERVICE_KEY, node: `test-${systemIds.uuid().slice(0, 8)}`, clock: systemClock, ids: systemIds, random: Math.random, logger,
    ...overrides,
  }
  const wired = await wire(wiredWith)
  const server = await serve({ app: wired.app, host: '127.0.0.1', port: 0, logger, onDrain: () => wired.streams.drain() })
  ownUrl = server.url
  await wired.engine.start()
  if (workers) await wired.startWorkers()

  const call: Harness['call'] = async (method, path, { token, body, headers } = {}) => {
    const response = await fetch(server.url + path, {
      method,
      headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : text }
  }

  return {
    url: server.url, simulator, wired, wiredWith, blobs, database, call,
    async user(name, tokens = 1_000) {
      const id = stableUuid(`test user ${name}`)
      const token = await signToken({ sub: id, role: 'authenticated' }, { secret: JWT_SECRET, clock: systemClock })
      if (tokens > 0) await call('POST', '/api/ledger/grants', { token: SERVICE_KEY, body: { userId: id, amount: tokens, reason: 'test' } })
      return { id, token }
    },
    async settled(id, user, until = (generation) => ['complete', 'failed', 'timed_out', 'cancelled'].includes(generation.state), timeoutMs = 20_000) {
      const end = Date.now() + timeoutMs
      for (;;) {
        const { body } = await call('GET', `/api/generations/${id}`, { token: user.token })
        if (until(body)) return body
        if (Date.now() > end) throw new Error(`not settled in time: ${JSON.stringify(body)}`)
        await new Promise((resolve) => setTimeout(resolve, 25))
      }
    },
    async close() {
      await server.close({ drainMs: 2_000 })
      await wired.close()
      await http.close()
      await simulator.close()
      await database.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
