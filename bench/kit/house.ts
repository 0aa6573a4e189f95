import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../../server/src/database/embedded.ts'
import { createDatabase, type Database } from '../../server/src/database/pool.ts'
import { signToken } from '../../server/src/http-kit/testing.ts'
import { systemClock } from '../../server/src/kernel/clock.ts'
import { stableUuid } from '../../server/src/kernel/ids.ts'
import { createLogger } from '../../server/src/kernel/logger.ts'
import { cpuSeconds, freePort, startServer, startSimulator, type Child, type Env, type Role, type Simulator } from './children.ts'

const JWT_SECRET = 'the-secret-of-the-bench-is-32-bytes-or-more'

/** As goal 10 and its neighbours want it: no delay, small files, eight different songs, no limit. */
export const INSTANT: Env = { SIMULATOR_SPEED: 'instant', SIMULATOR_SONG_SECONDS: '2', SIMULATOR_SONG_POOL: '8', SIMULATOR_RATE: 'off', SIMULATOR_CREDITS: '1000000000' }

export interface House {
  url: string
  folder: string
  databaseUrl: string
  db: Database
  simulator: Simulator | null
  servers: Child[]
  /** A bearer for each user; the accounts are made at their first request. */
  tokens(count: number): Promise<string[]>
  /** Processor seconds used so far, by process. */
  cpu(): Promise<Record<string, number>>
  stop(): Promise<void>
}

export interface HouseOptions {
  /** One process for each role. */
  roles: Role[]
  /** Environment of the simulator, or the address of a provider that the bench runs itself. */
  provider: Env | string
  env?: Env
  nodeOptions?: string[]
}

/**
 * The real server in processes of its own, on a real PostgreSQL (the embedded one, fsync on, started here so that the
 * peer can share it) and a provider on loopback.
 */
export async function startHouse({ roles, provider, env = {}, nodeOptions = [] }: HouseOptions): Promise<House> {
  const folder = await mkdtemp(join(tmpdir(), 'reprise-bench-'))
  await chmod(folder, 0o755) // as root, the database's user must pass through
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
  const stop = async () => {
    for (const one of undo.splice(0).reverse()) await one()
  }
  try {
    const logger = createLogger({ level: process.env.BENCH_LOG ?? 'error' })
    const postgres = await startEmbeddedPostgres({ dataDir: folder, logger })
    undo.push(() => postgres.stop())
    const db = createDatabase({ url: postgres.url, max: 20, applicationName: 'bench', logger })
    undo.push(() => db.close())
    if (process.env.BENCH_TRACK) await db.query("alter database reprise set track_functions = 'all'")
    const simulator = typeof provider === 'string' ? null : await startSimulator(folder, provider)
    if (simulator) undo.push(() => simulator.stop())
    const base = typeof provider === 'string' ? provider : simulator!.url

    const port = await freePort()
    const servers: Child[] = []
    for (const role of roles) {
      const server = await startServer(`reprise-${role}`, role, folder, {
        DATA_DIR: folder, DATABASE_URL: postgres.url, PORT: String(port), SUNO_API_KEY: 'demo', SUNO_BASE_URL: base, SUNO_RATE: '100000/1s',
        DOWNLOAD_ALLOW_HOSTS: new URL(base).host, JWT_SECRET, SIGNUP_TOKENS: '1000000', DRAIN_SEC: '2', ...env,
      }, nodeOptions)
      servers.push(server)
      undo.push(() => server.stop())
    }
    return {
      url: `http://127.0.0.1:${port}`, folder, databaseUrl: postgres.url, db, simulator, servers, stop,
      tokens: (count) => Promise.all(Array.from({ length: count }, (_, index) => userToken(index))),
      async cpu() {
        const named: [string, number][] = [['bench', process.pid], ['postgres', postgres.pid], ...servers.map(({ name, pid }): [string, number] => [name, pid])]
        if (simulator) named.push(['simulator', simulator.pid])
        const used: Record<string, number> = {}
        for (const [name, pid] of named) used[name] = await cpuSeconds(pid)
        // PostgreSQL is a child of this process, so its time is in ours.
        used.bench = process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6
        return used
      },
    }
  } catch (error) {
    await stop()
    throw error
  }
}

export const userToken = (index: number): Promise<string> =>
  signToken({ sub: stableUuid(`user ${index} of the bench`) }, { secret: JWT_SECRET, clock: systemClock, expiresInSec: 86_400 })

export const ASK = JSON.stringify({ provider: 'suno', kind: 'song', prompt: 'a quiet piano waltz about the sea' })

/** Asks for a song as the user of `token`, waits for the 202; answers the generation's id. */
export async function ask(house: { url: string }, token: string, body: string = ASK): Promise<string> {
  const answer = await fetch(`${house.url}/api/generations`, { method: 'POST', body, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } })
  const accepted = (await answer.json()) as { id: string }
  if (answer.status !== 202) throw new Error(`answered ${answer.status}: ${JSON.stringify(accepted)}`)
  return accepted.id
}

/** How many processors each process kept busy between two readings of `cpu()`. */
export function load(before: Record<string, number>, after: Record<string, number>, seconds: number): string {
  return Object.entries(after).map(([name, used]) => `${name} ${((used - before[name]!) / seconds).toFixed(2)}`).join(', ')
}
