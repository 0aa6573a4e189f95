import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../server/src/database/testing/test-database.ts'
import { SCHEDULES } from '../server/src/features/operations/maintenance.ts'

const MAIN = join(import.meta.dirname, '../server/src/main.ts')

describe('the process that an operator starts', { timeout: 60_000 }, () => {
  let database: TestDatabase
  let folder: string
  let child: ChildProcess
  let said: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-process-'))
    database = await createTestDatabase()
    said = ''
  })
  afterEach(async () => {
    const ended = new Promise((resolve) => (child.exitCode === null ? child.once('exit', resolve) : resolve(null)))
    child.kill('SIGTERM')
    await ended
    await database.close()
    await rm(folder, { recursive: true, force: true })
  })

  function start(role: string) {
    const env = { PATH: process.env.PATH, DATABASE_URL: database.url, DATA_DIR: folder, PORT: '0', LOG_LEVEL: 'info', DEMO: 'off' }
    child = spawn(process.execPath, [MAIN, role], { stdio: ['ignore', 'pipe', 'pipe'], env })
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (data) => (said += data))
  }
  const heard = (word: string) => expect.poll(() => said, { timeout: 40_000 }).toContain(word)
  const scheduled = async () => (await database.db.query<{ name: string }>(`select name from reprise_boss.schedule order by name`).catch(() => ({ rows: [] }))).rows.map(({ name }) => name)
  /** What the watch says when it cannot read how the work stands: it looks as soon as it is started. */
  const BLIND = 'ALERT: nobody can tell whether the scheduled work runs'

  it('a worker schedules all side work, the sweep for stuck jobs too, and watches it', async () => {
    await database.db.query('alter table reprise.schedule_runs rename to schedule_runs_away')
    start('worker')
    await heard('Reprise is ready')
    await heard(BLIND)
    expect(await scheduled()).toEqual(Object.keys(SCHEDULES).sort())
  })

  it('an API alone watches it, too, and does none of it', async () => {
    await database.db.query('alter table reprise.schedule_runs rename to schedule_runs_away')
    start('api')
    await heard('Reprise is ready')
    await heard(BLIND)
    expect(await scheduled()).toEqual([])
  })
})
