import { type ChildProcess, execFile, spawn, type StdioOptions } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import pg from 'pg'
import { sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import { canWork, giveTo, isRoot, nobody, publicShelf, type RunAs, serverBinaries, serverEnv } from './embedded-files.ts'
import { lockFolder } from './embedded-lock.ts'

export interface EmbeddedPostgres {
  /** Stays the same over crashes and, as long as the port is free, over restarts. Holds the password. */
  readonly url: string
  readonly port: number
  /** Of the running server; changes when it had to be started again. */
  readonly pid: number
  /** Fast shutdown: open transactions are rolled back, everything committed is on disk. Close the pools first. */
  stop(): Promise<void>
  /** Lets go of the server without stopping it, as if this process were killed. The next start settles it. */
  abandon(): void
}

interface Options {
  dataDir: string
  logger: Logger
  /** Default: a free one, kept in the data folder and used again. */
  port?: number
}

/** Kept in `<dataDir>/postgres.json`, readable by the owner only. */
interface Kept {
  password: string
  /** Set once the cluster is made. */
  port?: number
  /** Where the cluster lies, when its user cannot get through to `<dataDir>/postgres`. */
  elsewhere?: string
}

const DATABASE = 'reprise'
const READY_WITHIN_MS = 120_000 // recovery after a crash may have to replay a lot
const LEFTOVERS_FADE_MS = 15_000
const FAST_STOP_MS = 30_000
const run = promisify(execFile)

/** Given at each start, so that a new version of Reprise brings its own. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '128MB',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  max_wal_size: '1GB',
  checkpoint_timeout: '10min',
  jit: 'off', // short queries only: compiling costs more than it gives
  max_parallel_workers_per_gather: '0', // containers have too little /dev/shm for them
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'log', // failed statements reach us as errors; their texts may hold what no log should
  log_checkpoints: 'off',
  log_line_prefix: '',
}

/**
 * Starts a real PostgreSQL from the npm package, with its cluster in `<dataDir>/postgres`, on 127.0.0.1 only, and
 * starts it again on the same port when it dies. A server left behind by a killed process is stopped first.
 * Throws FolderInUseError when another Reprise runs on the same folder.
 */
export async function startEmbeddedPostgres({ dataDir, logger, port }: Options): Promise<EmbeddedPostgres> {
  const folder = resolve(dataDir)
  await mkdir(folder, { recursive: true })
  const locks = [lockFolder(folder, join(folder, 'postgres.lock'))]
  const unlock = () => locks.forEach((lock) => lock.release())
  try {
    const { kept, cluster, runAs } = await placeCluster(folder, logger)
    if (kept.elsewhere) locks.push(lockFolder(cluster, `${cluster}.lock`)) // a copied data folder points there too
    const bin = await serverBinaries(runAs, async () => (isRoot ? publicShelf() : folder))
    await settlePrevious(cluster, logger)
    if (!(await versionOf(cluster))) await initCluster(bin, cluster, kept.password, runAs)
    await checkCluster(bin, cluster)
    kept.port = await choosePort(port, kept.port)
    await keep(folder, kept)
    const server = await supervise(bin, cluster, kept.port, runAs, logger)
    const url = urlOf(kept)
    try {
      await ensureDatabase(url)
    } catch (error) {
      await server.stop()
      throw error
    }
    logger.info({ port: kept.port, pid: server.pid, cluster }, 'embedded PostgreSQL is running')
    let stopped: Promise<void> | undefined
    return {
      url,
      port: kept.port,
      get pid() {
        return server.pid
      },
      stop: () => (stopped ??= server.stop().finally(unlock)),
      abandon() {
        server.abandon()
        unlock()
      },
    }
  } catch (error) {
    unlock()
    throw error
  }
}

/** The address of the embedded database of a data folder, whether or not it runs; undefined when there is none. */
export function embeddedUrl(dataDir: string): string | undefined {
  try {
    const kept = JSON.parse(readFileSync(join(resolve(dataDir), 'postgres.json'), 'utf8')) as Kept
    return kept.port === undefined ? undefined : urlOf(kept)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const urlOf = (kept: Kept) => `postgres://postgres:${kept.password}@127.0.0.1:${kept.port}/${DATABASE}`

// Where the cluster lies, and whose it is

async function placeCluster(folder: string, logger: Logger): Promise<{ kept: Kept; cluster: string; runAs: RunAs }> {
  const file = join(folder, 'postgres.json')
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  const kept: Kept = text === undefined ? { password: randomBytes(24).toString('hex') } : (JSON.parse(text) as Kept)
  const cluster = kept.elsewhere ?? join(folder, 'postgres')
  const runAs = isRoot ? await ownerOf(cluster) : {}

  if (await versionOf(cluster)) {
    if (text === undefined) {
      throw new Error(
        `There is a database in ${cluster}, but its password file ${file} is missing. ` +
          'Put it back, or move the database away.',
      )
    }
    if (isRoot && (await stat(cluster)).uid !== runAs.uid) await giveTo(cluster, runAs) // copied by root
    if (!(await canWork(cluster, runAs, 'w'))) {
      throw new Error(
        `PostgreSQL runs as user ${runAs.uid}, who cannot reach ${cluster}: open its parent folders (chmod o+x)`,
      )
    }
    return { kept, cluster, runAs }
  }
  // Never begin anew in silence where a database has been.
  if (kept.port !== undefined) {
    throw new Error(
      `The database that ${file} speaks of is not in ${cluster} any more. ` +
        'Put it back, or delete that file to begin with an empty one.',
    )
  }
  await mkdir(cluster, { recursive: true, mode: 0o700 })
  await giveTo(cluster, runAs)
  const reachable = await canWork(cluster, runAs, 'w') // root's own folders are often closed to everybody else
  if (!reachable) {
    await rm(cluster, { recursive: true })
    kept.elsewhere = join(await publicShelf(), `cluster-${randomBytes(6).toString('hex')}`)
    logger.warn(
      { cluster: kept.elsewhere },
      `PostgreSQL cannot run as root, and its user cannot reach ${folder}: the database lies elsewhere`,
    )
  }
  await keep(folder, kept)
  return { kept, cluster: kept.elsewhere ?? cluster, runAs }
}

/** As root, a cluster keeps the user it was made by; a new one, or one that root copied, is nobody's. */
async function ownerOf(cluster: string): Promise<RunAs> {
  const owner = await stat(join(cluster, 'PG_VERSION')).catch(() => undefined)
  return owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : nobody()
}

async function versionOf(cluster: string): Promise<string | undefined> {
  try {
    return (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).trim()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code !== 'EACCES') throw error
    throw new Error(`The database in ${cluster} belongs to another user: start Reprise as that user or as root`, {
      cause: error,
    })
  }
}

async function keep(folder: string, kept: Kept): Promise<void> {
  const draft = join(folder, 'postgres.json.new')
  const file = await open(draft, 'w', 0o600)
  try {
    await file.writeFile(`${JSON.stringify(kept, null, 2)}\n`)
    const { uid, gid } = await stat(folder)
    if (isRoot) await file.chown(uid, gid) // a start as root now and then does not lock the folder's owner out
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, join(folder, 'postgres.json'))
  await syncFolder(folder)
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  await handle.sync().finally(() => handle.close())
}

// The cluster

/** Built beside and renamed: a start killed half way leaves no half cluster. */
async function initCluster(bin: string, cluster: string, password: string, runAs: RunAs): Promise<void> {
  const parent = dirname(cluster)
  for (const name of await readdir(parent)) {
    if (!name.startsWith(`${basename(cluster)}.new-`)) continue
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined) // its initdb may still run
  }
  const draft = `${cluster}.new-${randomBytes(4).toString('hex')}`
  const passwordFile = `${draft}.password`
  await mkdir(draft, { mode: 0o700 })
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
  await giveTo(draft, runAs)
  await giveTo(passwordFile, runAs)
  const choices = ['--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`, '--encoding=UTF8']
  const locale = ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
  try {
    await run(join(bin, 'initdb'), ['-D', draft, ...choices, ...locale], { ...runAs, cwd: '/', env: serverEnv })
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    throw new Error(`PostgreSQL could not make its database in ${cluster}: ${stderr?.trim() || message}`)
  } finally {
    await rm(passwordFile, { force: true })
  }
  await rm(cluster, { recursive: true, force: true }) // an empty folder: we only come here without a PG_VERSION
  await rename(draft, cluster)
  await syncFolder(parent)
}

async function checkCluster(bin: string, cluster: string): Promise<void> {
  const made = await versionOf(cluster)
  const ours = /(\d+)/.exec((await run(join(bin, 'initdb'), ['--version'], { cwd: '/', env: serverEnv })).stdout)?.[1]
  if (made !== ours) {
    throw new Error(`The database in ${cluster} was made by PostgreSQL ${made}, this version of Reprise brings ${ours}`)
  }
  if (process.platform !== 'win32') await chmod(cluster, 0o700) // a restored backup is often wider, and is refused
}

async function choosePort(asked: number | undefined, last: number | undefined): Promise<number> {
  if (asked) return asked
  return (last !== undefined && (await tryPort(last))) || (await tryPort(0)) || Promise.reject(new Error('No free port'))
}

/** The port that could be bound on loopback (0 asks for any), or undefined. */
function tryPort(port: number): Promise<number | undefined> {
  return new Promise((done) => {
    const probe = createServer()
    probe.once('error', () => done(undefined))
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = probe.address()
      probe.close(() => done(typeof address === 'object' ? address?.port : undefined))
    })
  })
}

async function ensureDatabase(url: string): Promise<void> {
  const admin = new URL(url)
  admin.pathname = '/postgres'
  const client = new pg.Client({ connectionString: admin.href, connectionTimeoutMillis: 10_000 })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE])
    if (!rowCount) await client.query(`create database ${DATABASE}`)
  } finally {
    await client.end()
  }
}

// The process

/**
 * What a killed Reprise left behind: its server still runs (it is stopped: ours must be our child, to be watched),
 * or its lock names a process number that something else has by now (the lock is removed).
 */
async function settlePrevious(cluster: string, logger: Logger): Promise<void> {
  if (process.platform === 'win32') return
  const lockFile = join(cluster, 'postmaster.pid')
  const pid = Number((await readFile(lockFile, 'utf8').catch(() => '')).split('\n', 1)[0])
  if (!Number.isInteger(pid) || pid <= 1) return
  if (!(await serves(pid, cluster))) {
    await rm(lockFile, { force: true })
    return
  }
  logger.warn({ pid }, 'stopping the PostgreSQL that a killed Reprise left behind')
  for (const [signal, patience] of [['SIGINT', LEFTOVERS_FADE_MS], ['SIGQUIT', 5_000]] as const) {
    process.kill(pid, signal)
    for (let waited = 0; waited < patience; waited += 50) {
      await sleep(50)
      if (!(await serves(pid, cluster))) return
    }
  }
  throw new Error(`The PostgreSQL process ${pid} of ${cluster} does not stop; end it by hand`)
}

/** Whether the process is a PostgreSQL server of this cluster (a zombie has no command line any more). */
async function serves(pid: number, cluster: string): Promise<boolean> {
  const command =
    process.platform === 'linux'
      ? await readFile(`/proc/${pid}/cmdline`, 'utf8').then((text) => text.replaceAll('\0', ' '), () => '')
      : await run('ps', ['-o', 'command=', '-p', String(pid)]).then((result) => result.stdout, () => '')
  return command.includes('postgres') && `${command.trim()} `.includes(` ${cluster} `)
}

async function supervise(bin: string, cluster: string, port: number, runAs: RunAs, logger: Logger) {
  const over = new AbortController()
  const settings = Object.entries({ ...SETTINGS, port: String(port) })
    .flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const launch = () => launchPatiently(join(bin, 'postgres'), ['-D', cluster, ...settings], runAs, logger)

  let child = await launch()
  let reviving: Promise<void> | undefined
  watch()

  function watch(): void {
    const onExit = () => {
      if (over.signal.aborted) return
      logger.error({ code: child.exitCode, signal: child.signalCode }, 'PostgreSQL died, starting it again')
      reviving = revive().finally(() => (reviving = undefined))
    }
    if (hasExited(child)) onExit()
    else child.once('exit', onExit)
  }

  async function revive(): Promise<void> {
    for (let pause = 50; !over.signal.aborted; pause = Math.min(pause * 2, 5_000)) {
      await sleep(pause, over.signal)
      if (over.signal.aborted) return
      try {
        child = await launch()
        logger.info({ pid: child.pid, port }, 'PostgreSQL is running again')
        return watch()
      } catch (error) {
        logger.error({ err: error }, 'PostgreSQL did not start')
      }
    }
  }

  return {
    get pid() {
      return child.pid!
    },
    async stop() {
      over.abort()
      await reviving
      for (const [signal, patience] of [['SIGINT', FAST_STOP_MS], ['SIGQUIT', 5_000], ['SIGKILL', 5_000]] as const) {
        if (hasExited(child)) return
        child.kill(signal)
        await exited(child, patience)
      }
    },
    abandon() {
      over.abort()
      child.unref()
      child.stderr?.destroy()
    },
  }
}

/** A server killed a moment ago still holds its port and memory: try again for some seconds. */
async function launchPatiently(program: string, args: string[], runAs: RunAs, logger: Logger): Promise<ChildProcess> {
  for (const deadline = Date.now() + LEFTOVERS_FADE_MS; ; await sleep(200)) {
    try {
      return await launchOnce(program, args, runAs, logger)
    } catch (error) {
      const { message } = error as Error
      const leftovers = /lock file|shared memory|still in use|could not bind|could not create any TCP/.test(message)
      if (!leftovers || Date.now() > deadline) throw error
    }
  }
}

/** Resolves with the server when it accepts connections. */
function launchOnce(program: string, args: string[], runAs: RunAs, logger: Logger): Promise<ChildProcess> {
  return new Promise((done, fail) => {
    // A session of its own, or Ctrl-C in the terminal would stop it before Reprise has drained.
    const stdio: StdioOptions = ['ignore', 'ignore', 'pipe']
    const child = spawn(program, args, { ...runAs, cwd: '/', env: serverEnv, detached: true, stdio })
    const said: string[] = []
    const timer = setTimeout(() => {
      child.kill('SIGQUIT')
      fail(new Error(`PostgreSQL was not ready within ${READY_WITHIN_MS / 1000} s: ${said.join(' | ')}`))
    }, READY_WITHIN_MS)
    createInterface({ input: child.stderr! }).on('line', (line) => {
      const grave = /^(FATAL|PANIC)/.test(line) && !line.includes('terminating connection')
      logger[grave ? 'warn' : 'debug']({ postgres: line }, 'PostgreSQL says')
      if (said.push(line) > 20) said.shift()
      if (line.includes('database system is ready to accept connections')) {
        clearTimeout(timer)
        done(child)
      }
    })
    child.once('error', (error) => {
      clearTimeout(timer)
      fail(new Error(`PostgreSQL could not be started: ${error.message}`, { cause: error }))
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      fail(new Error(`PostgreSQL ended at once (${signal ?? code}): ${said.join(' | ')}`))
    })
  })
}

const hasExited = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

function exited(child: ChildProcess, patience: number): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, patience)
    child.once('exit', () => {
      clearTimeout(timer)
      done()
    })
    if (hasExited(child)) {
      clearTimeout(timer)
      done()
    }
  })
}
