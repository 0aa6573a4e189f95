import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase } from '../server/src/database/testing/test-database.ts'
import { start } from '../server/src/start.ts'
import { FilesFolderError } from '../server/src/storage/disk/same-folder.ts'

type Database = Awaited<ReturnType<typeof createTestDatabase>>

/** Nothing of a song is promised when the node that serves it looks into another folder, or into an emptied one. */
describe('all nodes share one folder of files, which outlives a redeploy', () => {
  let database: Database
  const folders: string[] = []
  const folder = async () => {
    folders.push(await mkdtemp(join(tmpdir(), 'reprise-folder-')))
    return folders.at(-1)!
  }
  const boot = async (dataDir: string, on: Database = database) => {
    const running = await start({ DATABASE_URL: on.url, DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'silent', DEMO: 'off' }, 'api')
    await running.stop()
  }
  const mark = (dataDir: string) => join(dataDir, 'files', '.reprise-id')
  let first: string

  beforeAll(async () => {
    database = await createTestDatabase()
    first = await folder()
  })
  afterAll(async () => {
    await database.close()
    for (const one of folders) await rm(one, { recursive: true, force: true })
  })

  it('an empty installation marks its folder, and starts on it again', async () => {
    await boot(first)
    expect((await readFile(mark(first), 'utf8')).trim()).toBe((await database.db.query(`select value from reprise.secrets where name = 'files'`)).rows[0]!.value)
    await boot(first)
  })

  it('while stored results exist, an unmarked folder is refused with a sentence for the operator', async () => {
    await database.db.query(
      `with g as (insert into reprise.generations (id, user_id, provider, account, kind, origin, urgency, request, cost, result_count, state, turn, created_at, deadline_at, watch_until, finished_at, changed_at)
         values (gen_random_uuid(), gen_random_uuid(), 'suno', 'a', 'song', 'api', 'interactive', '{}', 0, 1, 'complete', 0, now(), now(), now(), now(), now()) returning id)
       insert into reprise.results (id, generation_id, role, index, state, blob_key, sha256, bytes, stored_at)
       select gen_random_uuid(), id, 'final', 0, 'stored', 'tracks-audio/u/t.mp3', 'abc', 3, now() from g`)
    const empty = await folder()
    const refused = await boot(empty).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(FilesFolderError)
    expect((refused as Error).message).toContain('Mount the same DATA_DIR/files on every node')
    await expect(readFile(mark(empty))).rejects.toThrow('ENOENT')
    await boot(first)
  })

  it('the folder of another database is refused, and its mark stays', async () => {
    const other = await createTestDatabase()
    try {
      await expect(boot(first, other)).rejects.toThrow('belong to another database')
      await boot(first)
    } finally {
      await other.close()
    }
  })

  it('an installation of before the mark goes on when its newest file is there, and not when it is not', async () => {
    const older = await folder()
    const unmark = () => database.db.query(`delete from reprise.secrets where name = 'files'`)
    await unmark()
    await expect(boot(older)).rejects.toThrow(FilesFolderError)
    await unmark()
    const { createDiskStore } = await import('../server/src/storage/disk/disk-store.ts')
    const store = createDiskStore({ root: join(older, 'files') })
    await store.publish(await store.stage([Buffer.from('mp3')] as never, { maxBytes: 10 }), 'tracks-audio/u/t.mp3', { mime: 'audio/mpeg' })
    await boot(older)
    await writeFile(mark(older), 'something else')
    await expect(boot(older)).rejects.toThrow('another id')
  })
})
