import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Queryable } from '../../database/pool.ts'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { createLogger } from '../../kernel/logger.ts'
import { createForeignSongs } from './foreign-songs.ts'
import { createGenerationQueries, type GenerationQueries } from './generations.queries.ts'

const url = (name: string) => `https://cdn.mureka.ai/${name}.mp3`

describe('the songs of the team’s own generations', () => {
  let database: TestDatabase
  let generations: GenerationQueries
  let workers: ReturnType<typeof createForeignSongs>[]
  beforeAll(async () => {
    database = await createTestDatabase({ max: 10 })
    generations = createGenerationQueries({ db: database.db, schema: 'public' })
    workers = [1, 2].map(() => createForeignSongs({ db: database.db, logger: createLogger({ level: 'silent' }) }))
  })
  afterEach(() => Promise.all(workers.map((worker) => worker.stop())))
  afterAll(() => database.close())

  const start = () => workers.forEach((worker) => worker.start())
  const service = () => database.asUser(null, 'service_role')
  const finished = async (...names: string[]) => (await service().query<{ id: string }>(
    `insert into public.ai_generations (user_id, status, metadata) values (gen_random_uuid(), 'completed', $1) returning id`, [JSON.stringify({ results: names.map((name) => ({ url: url(name) })) })])).rows[0]!.id
  const tracks = async (id: string) => (await database.db.query<{ id: string; audio_url: string }>('select id, audio_url from public.tracks where generation_id = $1 order by track_variant', [id])).rows
  const queued = async (id: string) => (await database.db.query('select from reprise.foreign_generations where id = $1', [id])).rowCount
  async function until<T>(read: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
    for (const end = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
      const value = await read()
      if (good(value)) return value
      if (Date.now() > end) throw new Error(`not in time: ${JSON.stringify(value)}`)
    }
  }

  it('are made once by however many processes, and are due for the archive', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, (_, n) => finished(`many-${n}-1`, `many-${n}-2`)))
    start()
    for (const id of ids) await until(() => queued(id), (left) => left === 0)
    for (const id of ids) expect(await tracks(id)).toHaveLength(2)
    expect((await database.db.query('select from reprise.archivals a join public.tracks t on t.id = a.track_id where t.generation_id = any ($1)', [ids])).rowCount).toBe(20)
  })

  it('one that cannot be made holds up no other', async () => {
    await database.db.query(`create function public.no_song() returns trigger language plpgsql as $$ begin if new.title = 'impossible' then raise 'no'; end if; return new; end $$`)
    await database.db.query('create trigger no_song before insert on public.tracks for each row execute function public.no_song()')
    const { rows: [bad] } = await service().query<{ id: string }>(
      `insert into public.ai_generations (user_id, status, result_url, metadata) values (gen_random_uuid(), 'completed', $1, '{"title": "impossible"}') returning id`, [url('impossible')])
    const good = await finished('possible')
    start()
    await until(() => tracks(good), (made) => made.length === 1)
    await until(() => database.db.query('select from reprise.foreign_generations where id = $1 and next_at > reprise.now()', [bad!.id]), ({ rowCount }) => rowCount === 1)
    await database.db.query('drop trigger no_song on public.tracks')
  })

  /** Stores a song as the archive does, `meanwhile` beside it; answers how often that was tried, and whether the other waited for it. */
  async function beside(track: string, meanwhile: () => Promise<unknown>, waitMs: number): Promise<{ stored: number; waited: boolean }> {
    let stored = 0
    let waited = true
    let done: Promise<unknown> = Promise.resolve()
    await database.db.transaction(async (tx) => {
      await tx.query('select from public.tracks where id = $1 for no key update', [track])
      if (++stored === 1) done = meanwhile()
      waited = await Promise.race([done.then(() => false), new Promise<boolean>((resolve) => setTimeout(resolve, waitMs, true))])
      await tx.query(`update public.tracks set storage_audio_url = 'http://us/storage/v1/object/public/tracks-audio/x.mp3' where id = $1`, [track])
    })
    await done
    return { stored, waited }
  }

  it('are never waited for by the statement that changes their generation', async () => {
    const id = await finished('told-1', 'told-2')
    start()
    const made = await until(() => tracks(id), (all) => all.length === 2)
    const change = () => service().query(`update public.ai_generations set metadata = jsonb_set(metadata, '{results,1}', $2) where id = $1`, [id, JSON.stringify({ url: url('told-elsewhere') })])
    expect(await beside(made[1]!.id, change, 10_000)).toEqual({ stored: 1, waited: false })
    workers.forEach((worker) => worker.wake())
    await until(() => queued(id), (left) => left === 0)
  })

  it('that somebody names while they are stored are locked before their generation', async () => {
    const id = await finished('named-1', 'named-2')
    start()
    const made = await until(() => tracks(id), (all) => all.length === 2)
    await Promise.all(workers.map((worker) => worker.stop()))
    await service().query(`update public.ai_generations set metadata = jsonb_set(metadata, '{results,0,url}', $2) where id = $1`, [id, JSON.stringify(url('named-elsewhere'))])
    let tries = 0
    const naming = async (tx: Queryable) => {
      tries++
      await generations.makeTracks(id, crypto.randomUUID(), null, tx)
      await generations.nameSong(id, 1, 'Named', tx)
    }
    for (const { id: track } of made) {
      tries = 0
      const { stored } = await beside(track, () => database.db.transaction(naming), 300)
      expect([stored, tries]).toEqual([1, 1])
    }
    // One that belongs to no generation yet, and is only told of.
    const { rows: [own] } = await database.db.query<{ id: string }>('insert into public.tracks (user_id) select user_id from public.ai_generations where id = $1 returning id', [id])
    await service().query(`update public.ai_generations set metadata = jsonb_set(metadata, '{results,2}', $2) where id = $1`, [id, JSON.stringify({ url: url('named-3'), track_id: own!.id })])
    tries = 0
    expect((await beside(own!.id, () => database.db.transaction(naming), 300)).stored).toBe(1)
    expect([tries, (await tracks(id)).length]).toEqual([1, 3])
  })

  it('a name that is longer than any index takes is no reason to refuse', async () => {
    const task = Array.from({ length: 500 }, () => crypto.randomUUID()).join('')
    const { rows: [row] } = await service().query<{ id: string }>(`insert into public.ai_generations (user_id, task_id) values (gen_random_uuid(), $1) returning id`, [task])
    expect((await generations.find({ taskId: task, userId: null })).id).toBe(row!.id)
  })
})
