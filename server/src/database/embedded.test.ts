import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sleep } from '../kernel/clock.ts'
import { createLogger } from '../kernel/logger.ts'
import { embeddedUrl, type EmbeddedPostgres, startEmbeddedPostgres } from './embedded.ts'
import { createDatabase } from './pool.ts'
import { removeDataDir } from './testing/postgres.global.ts'

const logger = createLogger({ level: 'silent' })
let dataDir: string
let running: EmbeddedPostgres[]

const start = async (port?: number) => {
  const server = await startEmbeddedPostgres({ dataDir, logger, port })
  running.push(server)
  return server
}

async function ask<T = Record<string, unknown>>(url: string, text: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows as T[]
  } finally {
    await client.end()
  }
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; !(await what()); waited += 25) {
    if (waited > 20_000) throw new Error('waited in vain')
    await sleep(25)
  }
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

// Making a cluster takes most of the time: the tests share one, and those that need a new one make it.
const shared = await newDataDir()
const made = [shared]

async function newDataDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'reprise-embedded-'))
  await chmod(folder, 0o755)
  return folder
}

beforeEach(() => {
  running = []
  dataDir = shared
})

afterEach(async () => {
  for (const server of running) await server.stop()
})

afterAll(async () => {
  for (const folder of made) await removeDataDir(folder)
})

describe('embedded PostgreSQL', () => {
  it('keeps committed rows, address and password over a stop and a start', async () => {
    const first = await start()
    const settings = await ask(first.url, 'select name, setting from pg_settings')
    const setting = (name: string) => settings.find((row) => row.name === name)?.setting
    expect(setting('fsync')).toBe('on')
    expect(setting('synchronous_commit')).toBe('on')
    expect(setting('listen_addresses')).toBe('127.0.0.1')
    expect(setting('unix_socket_directories')).toBe('')
    expect(setting('server_encoding')).toBe('UTF8')
    await ask(first.url, "create table kept as select upper('é') as word")
    const { pid } = first
    await first.stop()
    expect(isAlive(pid)).toBe(false)

    const second = await start()
    expect(second.url).toBe(first.url)
    expect(embeddedUrl(dataDir)).toBe(first.url)
    expect(await ask(second.url, 'select word from kept')).toEqual([{ word: 'É' }])
    expect((await stat(join(dataDir, 'postgres.json'))).mode & 0o777).toBe(0o600)
  })

  it('refuses a wrong password', async () => {
    const { url } = await start()
    const wrong = new URL(url)
    wrong.password = 'guess'
    await expect(ask(wrong.href, 'select 1')).rejects.toThrow(/password authentication failed/)
  })

  it('refuses a second start on the same folder and names the process that has it', async () => {
    await start()
    await expect(startEmbeddedPostgres({ dataDir, logger })).rejects.toThrow(`process ${process.pid}) is already running on ${dataDir}`)
  })

  it('takes over the lock of a process that is gone, or whose number another process has by now', async () => {
    for (const holder of [{ pid: 2 ** 22 + 7, born: 'x' }, { pid: process.pid, born: 'an earlier boot:1' }]) {
      await writeFile(join(dataDir, 'postgres.lock'), JSON.stringify({ ...holder, nonce: 'old' }))
      const server = await start()
      await server.stop()
    }
  })

  it('brings a killed server back on the same port, and a pool works again', async () => {
    const server = await start()
    const db = createDatabase({ url: server.url, max: 3, applicationName: 'test', logger })
    try {
      await db.query('create table survivors as select 1 as id')
      const killed = server.pid
      process.kill(killed, 'SIGKILL')
      await until(() => server.pid !== killed)
      await until(() => db.query('select 1').then(() => true, () => false))
      expect((await db.query('select id from survivors')).rows).toEqual([{ id: 1 }])
    } finally {
      await db.close()
    }
  })

  it('stops what a killed Reprise left running, and serves its rows', async () => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'testing/killed-reprise.ts'), dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const left = JSON.parse(line) as { url: string; pid: number }
    await ask(left.url, 'create table left_behind as select 7 as id')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isAlive(left.pid)).toBe(true)

    const server = await start()
    expect(server.url).toBe(left.url)
    expect(server.pid).not.toBe(left.pid)
    expect(await ask(server.url, 'select id from left_behind')).toEqual([{ id: 7 }])
  })

  it('starts at once after it was let go of', async () => {
    const first = await start()
    first.abandon()
    const second = await start()
    expect(await ask(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect(isAlive(first.pid)).toBe(false)
  })

  it('is not stopped by a lock file whose process number belongs to somebody else now', async () => {
    const first = await start()
    await first.stop()
    const cluster = join(dataDir, 'postgres')
    await writeFile(join(cluster, 'postmaster.pid'), `${process.pid}\n${cluster}\n`)
    const second = await start()
    expect(await ask(second.url, 'select 1 as one')).toEqual([{ one: 1 }])
  })

  it('leaves nothing half made when it was killed while making the cluster', async () => {
    made.push((dataDir = await newDataDir()))
    await mkdir(join(dataDir, 'postgres.new-dead/base'), { recursive: true })
    await writeFile(join(dataDir, 'postgres.new-dead/PG_VERSION'), '18\n')
    const server = await start()
    expect(await ask(server.url, 'select 1 as one')).toEqual([{ one: 1 }])
    expect((await readdir(dataDir)).sort()).toEqual(['postgres', 'postgres.json', 'postgres.lock'])
  })

  it('works below a folder that is closed to other users', async () => {
    const closed = await mkdtemp(join(tmpdir(), 'reprise-closed-'))
    dataDir = join(closed, 'data')
    try {
      const first = await start()
      await ask(first.url, 'create table inside as select 3 as id')
      await first.stop()
      const second = await start()
      expect(await ask(second.url, 'select id from inside')).toEqual([{ id: 3 }])
      await second.stop()
    } finally {
      await removeDataDir(dataDir)
      await rm(closed, { recursive: true })
    }
  })

  it('does not begin with an empty database where one has been', async () => {
    made.push((dataDir = await newDataDir()))
    await writeFile(join(dataDir, 'postgres.json'), JSON.stringify({ password: 'x', port: 1 }))
    await expect(start()).rejects.toThrow(/is not in .* any more/)
  })

  it('goes on in a data folder that was moved', async () => {
    const first = await start()
    await ask(first.url, 'create table moved as select 5 as id')
    await first.stop()
    const place = join(await newDataDir(), 'moved')
    made.push(dirname(place))
    await rename(dataDir, place)
    dataDir = place
    try {
      const second = await start()
      expect(await ask(second.url, 'select id from moved')).toEqual([{ id: 5 }])
      await second.stop()
    } finally {
      await rename(place, shared)
    }
  })

  it('says plainly that the password file is missing', async () => {
    made.push((dataDir = await newDataDir()))
    await mkdir(join(dataDir, 'postgres'))
    await writeFile(join(dataDir, 'postgres/PG_VERSION'), '18\n')
    await expect(start()).rejects.toThrow(/password file .* is missing/)
  })

  it('says plainly that the database was made by another version of PostgreSQL', async () => {
    made.push((dataDir = await newDataDir()))
    await mkdir(join(dataDir, 'postgres'))
    await writeFile(join(dataDir, 'postgres/PG_VERSION'), '15\n')
    await writeFile(join(dataDir, 'postgres.json'), JSON.stringify({ password: 'x' }))
    await expect(start()).rejects.toThrow(/made by PostgreSQL 15, this version of Reprise brings 18/)
  })
})
