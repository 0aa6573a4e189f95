import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { systemIds } from '../../kernel/ids.ts'
import { createLogger } from '../../kernel/logger.ts'
import { createDownloadGuard } from './download-guard.ts'

// In a schema of another name, where every function must still find every table.
describe('the guard of downloads', () => {
  let database: TestDatabase
  let guard: ReturnType<typeof createDownloadGuard>
  beforeAll(async () => {
    database = await createTestDatabase({ compatSchema: 'team' })
    guard = createDownloadGuard({ db: database.db, schema: 'team', ids: systemIds, logger: createLogger({ level: 'silent' }) })
  })
  afterEach(() => database.db.setClockOffset(0))
  afterAll(() => database.close())

  const urls = ['https://cdn.mureka.ai/1.mp3', 'https://cdn.mureka.ai/2.mp3']
  async function songs(): Promise<{ id: string; tracks: [string, string] }> {
    const { rows: [row] } = await database.db.query<{ id: string }>(
      `insert into team.ai_generations (user_id, status, metadata) values (gen_random_uuid(), 'completed', $1) returning id`, [JSON.stringify({ songs: urls.map((url) => ({ url })) })])
    await database.db.query('select reprise.make_foreign_tracks($1)', [row!.id])
    const { rows } = await database.db.query<{ id: string }>('select t.id from team.tracks t join reprise.archivals a on a.track_id = t.id where t.generation_id = $1 order by t.track_variant', [row!.id])
    expect(rows).toHaveLength(2)
    return { id: row!.id, tracks: [rows[0]!.id, rows[1]!.id] }
  }
  const acquire = async (key: string) => (await database.db.query<{ got: boolean }>(`select team.acquire_operation_lock($1, 120, 'outside') as got`, [key])).rows[0]!.got
  const taken = async (track: string) => {
    const leave = await guard(track)
    if ('busySec' in leave) throw new Error('busy')
    return leave
  }

  it('one result is fetched by one at a time; another result of the same generation meanwhile', async () => {
    const { id, tracks } = await songs()
    const [first, second] = [await taken(tracks[0]), await taken(tracks[1])]
    expect(await guard(tracks[0])).toEqual({ busySec: 5 })
    expect([await acquire(`download:${id}:0`), await acquire(`download:${id}`)]).toEqual([false, false])
    await first.release()
    expect([await acquire(`download:${id}:0`), await guard(tracks[0])]).toEqual([true, { busySec: 5 }])
    await second.release()
  })

  it('whoever sleeps until the lease is another’s releases nothing of it', async () => {
    const { id, tracks } = await songs()
    const slept = await taken(tracks[0])
    await database.db.setClockOffset(46_000)
    expect(await acquire(`download:${id}:0`)).toBe(true)
    await slept.release()
    expect(await guard(tracks[0])).toEqual({ busySec: 5 })
  })

  it('a track of no generation is free', async () => {
    const { rows: [track] } = await database.db.query<{ id: string }>('insert into team.tracks (user_id) values (gen_random_uuid()) returning id')
    const [one, two] = [await taken(track!.id), await taken(track!.id)]
    await one.release()
    await two.release()
  })
})
