import { chmod, mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbeddedPostgres } from '../server/src/database/embedded.ts'
import { createDatabase } from '../server/src/database/pool.ts'
import { removeDataDir } from '../server/src/database/testing/postgres.global.ts'
import { isTransient } from '../server/src/database/transient.ts'
import { signToken } from '../server/src/http-kit/testing.ts'
import { sleep, systemClock } from '../server/src/kernel/clock.ts'
import { stableUuid } from '../server/src/kernel/ids.ts'
import { createLogger } from '../server/src/kernel/logger.ts'
import { isAlive, leftovers, startNode, type Child } from './processes.ts'

const SERVER = join(import.meta.dirname, '../server/src/main.ts')
const SIMULATOR = join(import.meta.dirname, '../simulator/src/main.ts')
const JWT_SECRET = 'a-secret-of-the-proofs-with-32-bytes-and-more'
const SERVICE_KEY = 'service-role-key-of-the-proofs-0123456789'
const SUNO_KEY = 'demo-key-of-the-proofs'
const MUREKA_SONGS = 3

export interface FleetOptions {
  /** How many times faster than the real provider. */
  speed: number
  leaseMs?: number
  graceSec?: number
  deadlineSec?: number
}

export type SongProvider = 'suno' | 'mureka'

export interface Song {
  id: string
  /** Without fault tags: the simulator names its tasks by it. */
  prompt: string
  userId: string
  provider: SongProvider
  /** How many files it gives. */
  results: number
}

export type Fleet = Awaited<ReturnType<typeof startFleet>>

/**
 * Reprise as operated: an api and workers as processes of their own, a real PostgreSQL, a simulator, one folder of
 * files. Starts database, simulator and api; workers are started by the caller.
 */
export async function startFleet({ speed, leaseMs = 10_000, graceSec = 8, deadlineSec = 180 }: FleetOptions) {
  const folder = await mkdtemp(join(tmpdir(), 'reprise-proof-'))
  await chmod(folder, 0o755) // as root, the database's user must pass through
  const port = await freePort()
  const simulatorPort = await freePort()
  const simulatorUrl = `http://127.0.0.1:${simulatorPort}`
  const postgres = await startEmbeddedPostgres({ dataDir: folder, logger: createLogger({ level: 'silent' }) })
  const db = createDatabase({ url: postgres.url, max: 4, applicationName: 'reprise proof', logger: createLogger({ level: 'silent' }) })
  process.once('exit', () => isAlive(postgres.pid) && process.kill(postgres.pid, 'SIGQUIT')) // a proof that breaks off
  const children = new Set<Child>()
  const url = `http://127.0.0.1:${port}`

  async function start(name: string, file: string, args: string[], env: Record<string, string>, ready: (line: string) => boolean): Promise<Child> {
    const child = await startNode({ name, file, args, env, ready })
    children.add(child)
    return child
  }

  const startServer = (role: 'api' | 'worker', env: Record<string, string> = {}) => start(role, SERVER, [role], {
    DATABASE_URL: postgres.url, DATABASE_POOL: '10', DATA_DIR: folder, PORT: String(port), JWT_SECRET, SERVICE_ROLE_KEY: SERVICE_KEY,
    DEMO: 'off', SUNO_API_KEY: SUNO_KEY, SUNO_BASE_URL: simulatorUrl, DOWNLOAD_ALLOW_HOSTS: new URL(simulatorUrl).host, SUNO_RATE: '1000/1s',
    SUNO_POLL_SCALE: String(1 / speed), MUREKA_API_KEY: SUNO_KEY, MUREKA_BASE_URL: simulatorUrl, MUREKA_POLL_SCALE: String(1 / speed),
    GEMINI_API_KEY: `${SUNO_KEY},${SUNO_KEY}-2`, GEMINI_BASE_URL: simulatorUrl, GEMINI_WAIT_SCALE: String(1 / speed), LEASE_MS: String(leaseMs), SUBMIT_GRACE_SEC: String(graceSec),
    GENERATION_DEADLINE_SEC: String(deadlineSec), LOG_LEVEL: 'info', ...env,
  }, (line) => line.includes('Reprise is ready'))

  const startSimulator = () => start('simulator', SIMULATOR, [], {
    SIMULATOR_PORT: String(simulatorPort), SIMULATOR_DATA: join(folder, 'simulator'), SIMULATOR_SPEED: String(speed), SIMULATOR_KEY: SUNO_KEY,
    SIMULATOR_SONG_SECONDS: '2', SIMULATOR_SONG_POOL: '8', SIMULATOR_RATE: 'off', SIMULATOR_PICTURE_SIDE: '128', SIMULATOR_CALLBACK_RETRY_MS: '1000,3000', SIMULATOR_EXIT_WITH_PARENT: '1',
  }, (line) => line.includes('"ready":true'))

  async function call(method: string, path: string, options: { token?: string; body?: unknown; headers?: Record<string, string> } = {}) {
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(options.token ? { authorization: `Bearer ${options.token}` } : {}), ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: AbortSignal.timeout(15_000),
    })
    const text = await response.text()
    return { status: response.status, body: /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : text }
  }

  async function user(name: string, tokens: number) {
    const id = stableUuid(`proof user ${name}`)
    const token = await signToken({ sub: id, role: 'authenticated' }, { secret: JWT_SECRET, clock: systemClock, expiresInSec: 86_400 })
    const granted = await call('POST', '/api/ledger/grants', { token: SERVICE_KEY, body: { userId: id, amount: tokens, reason: 'proof' } })
    if (granted.status >= 300) throw new Error(`no tokens granted: ${granted.status} ${JSON.stringify(granted.body)}`)
    return { id, token }
  }

  /** A question to the database that outlives its being away. */
  async function rows<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    for (const end = Date.now() + 60_000; ; await sleep(100)) {
      try {
        return (await db.query<Row>(text, values)).rows
      } catch (error) {
        if (!isTransient(error) || Date.now() > end) throw error
      }
    }
  }

  async function control<T = any>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${simulatorUrl}/control${path}`, { method, body: body === undefined ? undefined : JSON.stringify(body) })
    if (!response.ok) throw new Error(`simulator: ${path} ${response.status} ${await response.text()}`)
    return (await response.json()) as T
  }

  let asked = 0
  /** Accepts `count` songs of ten users; `tags` may give the n-th prompt its faults. Of Mureka three variants each. */
  async function ask(count: number, tags: (place: number) => string = () => '', provider: SongProvider = 'suno'): Promise<Song[]> {
    asked++
    const users = await Promise.all(Array.from({ length: Math.min(10, count) }, (_, i) => user(`${i}`, count * 15)))
    const songs: Song[] = []
    await Promise.all(users.map(async (one, first) => {
      for (let i = first; i < count; i += users.length) {
        const prompt = `song ${asked}.${i} of the proof`
        const { status, body } = await call('POST', '/api/generations', { token: one.token, body: { provider, kind: 'song', prompt: `${prompt} ${tags(i)}`.trim(), ...(provider === 'mureka' && { options: { n: MUREKA_SONGS } }) } })
        if (status !== 202) throw new Error(`not accepted: ${status} ${JSON.stringify(body)}`)
        songs.push({ id: body.id, prompt, userId: one.id, provider, results: provider === 'mureka' ? MUREKA_SONGS : 2 })
      }
    }))
    return songs
  }

  /** Waits until all are in a final state and nothing waits to be saved. Answers the milliseconds it took. */
  async function settled(songs: Song[], withinMs: number): Promise<number> {
    const begun = Date.now()
    for (;;) {
      const open = await rows<{ id: string; state: string; cause: string }>(
        `select g.id, g.state from reprise.generations g where g.id = any ($1) and (g.finished_at is null
           or exists (select 1 from reprise.results r where r.generation_id = g.id and r.state = 'known'))`,
        [songs.map((song) => song.id)],
      )
      if (open.length === 0) return Date.now() - begun
      if (Date.now() - begun > withinMs) throw new Error(`${open.length} of ${songs.length} not in a final state within ${withinMs} ms, e.g. ${await story(open[0]!.id)}`)
      await sleep(100)
    }
  }

  async function story(id: string): Promise<string> {
    const events = await rows<{ line: string }>(
      "select to_char(at, 'MI:SS.MS') || ' ' || type || ' → ' || state || ' (' || cause || ')' as line from reprise.events where generation_id = $1 order by id", [id],
    )
    const [now] = await rows<{ now: unknown }>('select to_jsonb(g) as now from reprise.generations g where id = $1', [id])
    return `${id}\n${events.map((event) => event.line).join('\n')}\n${JSON.stringify(now?.now)}`
  }

  /** Ends all that was started here. Answers what could not be ended. */
  async function stop(): Promise<string[]> {
    await Promise.all([...children].map(async (child) => {
      if (child.ended() !== null) return
      await child.kill('SIGCONT')
      await child.kill('SIGKILL')
    }))
    await db.close()
    const { pid } = postgres
    await postgres.stop()
    await removeDataDir(folder)
    return [...leftovers(), ...(isAlive(pid) ? [`PostgreSQL (${pid})`] : [])]
  }

  const fleet = {
    url, simulatorUrl, folder, files: join(folder, 'files'), db, rows, call, control, user, ask, settled, story, startServer, startSimulator, stop,
    databaseUrl: postgres.url,
    databasePid: () => postgres.pid,
    /** kill -9 of the postmaster; it is started again on its port. */
    killDatabase: () => process.kill(postgres.pid, 'SIGKILL'),
    /** All processes of the server so far, dead ones too. */
    children: (): Child[] => [...children],
  }
  try {
    await startSimulator()
    await startServer('api')
    return fleet
  } catch (error) {
    await stop()
    throw error
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}
