import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { createLogger } from '../../server/src/kernel/logger.ts'
import { serve } from '../../server/src/http-kit/server.ts'
import { systemClock } from '../../server/src/kernel/clock.ts'
import { systemIds } from '../../server/src/kernel/ids.ts'
import { createProviderFetch } from '../../server/src/providers/provider-fetch.ts'
import { createSuno } from '../../server/src/providers/suno/suno.ts'
import { createDiskStore } from '../../server/src/storage/disk/disk-store.ts'
import { wire } from '../../server/src/wire.ts'

// A process of its own, started by lifecycle.ts: Reprise as it is, except that a result counts as saved without a byte
// being fetched or written. Everything else happens: HTTP, slots, POST, callbacks, checks, moves, tokens, track rows.
const env = process.env as Record<string, string>
const url = `http://127.0.0.1:${env.PORT}`
const logger = createLogger({ level: 'info' })
const http = createProviderFetch()
const disk = createDiskStore({ root: join(env.DATA_DIR!, 'files') })
const wired = await wire({
  databaseUrl: env.DATABASE_URL!, databasePool: 20, compatSchema: 'public', providerBases: { suno: env.SUNO_BASE_URL! },
  providers: [createSuno({ apiKey: env.SUNO_API_KEY!, baseUrl: env.SUNO_BASE_URL!, fetch: http.fetch, rate: { count: 100_000, windowMs: 1_000 } })],
  blobs: { ...disk, publish: async () => 'published' },
  obtain: async () => ({
    staged: { path: '', sha256: createHash('sha256').update(randomUUID()).digest('hex'), bytes: 1, discard: async () => undefined },
    mime: 'audio/mpeg', ext: 'mp3', durationMs: 2_000, bitrate: 128_000,
  }),
  downloadAllowHosts: [], ownUrl: () => url, corsOrigins: ['*'], demo: false, version: 'bench', publicMedia: true, signupTokens: 1_000_000,
  deadlineSec: 600, graceSec: 90, leaseMs: 10_000, sessionDays: 1, archiveParallel: 16, fixityDays: 30, fixityMbPerSec: 1000, storagePricePerGb: 0.021, jwtSecret: env.JWT_SECRET, node: `control-plane-${process.pid}`,
  clock: systemClock, ids: systemIds, random: Math.random, logger,
})
const server = await serve({ app: wired.app, host: '127.0.0.1', port: Number(env.PORT), logger })
await wired.engine.start()
await wired.startWorkers()
console.log(`Reprise is running at ${url}`)
process.once('SIGTERM', async () => {
  await server.close({ drainMs: 1_000 })
  await wired.close()
  await http.close()
  process.exit(0)
})
