import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { createGenerationQueries, type GenerationQueries } from './generations.queries.ts'

const URL = 'https://cdn.mureka.ai/song.mp3'
const HUGE = randomBytes(12_000).toString('base64')
const values: unknown[] = [
  null, '', ' ', 'my-project', HUGE, '\n', "'; drop table x; --", 0, -1, 1e300, true, [], [null], [[]], ['x'], [[{ provider_url: URL }]], [{}], {}, { 0: null }, { 0: {} }, { 0: HUGE },
  { '-1': 1 }, { index: 'x' }, '00000000-0000-0000-0000-00000000000g', '2025-13-45T99:99:99Z',
]
/** Every name in `ai_generations.metadata` that anything of ours reads. */
const names = [
  'project_id', 'artist_id', 'titles', 'filenames', 'results', 'songs', 'tracks', 'choices', 'taskId', 'task_id', 'mureka_task_id', 'local_storage_path', 'file_size', 'title', 'lyrics', 'model',
  'provider_url', 'external_url', 'audio_url',
]
const wishes = ['project_id', 'artist_id', 'titles', 'filenames', 'taskId']
/** And in each of its results. */
const resultNames = ['index', 'provider_id', 'id', 'audio_id', 'title', 'lyrics', 'track_id', 'url', 'audio_url', 'local_storage_path', 'sha256', 'bytes']

describe('whatever the team writes into a generation’s JSON', () => {
  let database: TestDatabase
  let generations: GenerationQueries
  beforeAll(async () => {
    database = await createTestDatabase()
    generations = createGenerationQueries({ db: database.db, schema: 'public' })
  })
  afterAll(() => database.close())
  const service = () => database.asUser(null, 'service_role')

  /** The whole way of such a row: written, finished, its song made, named, stored, read and written again. */
  async function live(metadata: object): Promise<string[]> {
    const { rows: [row] } = await service().query<{ id: string }>(
      `insert into public.ai_generations (user_id, result_url, metadata) values (gen_random_uuid(), $1, $2) returning id`, [URL, JSON.stringify(metadata)])
    const { id } = row!
    await service().query(`update public.ai_generations set status = 'completed' where id = $1`, [id])
    await generations.wishName(id, 0, 'wished.mp3')
    await generations.makeTracks(id)
    await database.db.transaction((tx) => generations.nameSong(id, 0, 'Named', tx))
    await database.db.query(
      `with file as (insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime, track_id)
         select 'tracks-audio', id || '.mp3', id, user_id, repeat('0', 64), 1, 'audio/mpeg', id from public.tracks where generation_id = $1)
       update public.tracks set storage_audio_url = 'http://us/storage/v1/object/public/tracks-audio/' || id || '.mp3' where generation_id = $1`, [id])
    await service().query(`update public.ai_generations set metadata = metadata || $2 where id = $1`, [id, JSON.stringify(metadata)])
    await database.db.query('select reprise.download_key(id) from public.tracks where generation_id = $1', [id])
    return (await generations.songs(id)).flatMap(({ stored }) => (stored ? [stored.path] : []))
  }

  const same = (keys: string[], value: unknown) => Object.fromEntries(keys.map((name) => [name, value]))
  const ends = async (metadata: object) => live(metadata).catch((error) => error.message)

  it.each(values.map((value) => ({ value })))('makes no statement fail, and its song is stored all the same: $value', async ({ value }) => {
    const stored = [expect.stringContaining('.mp3')]
    const inResult = { results: [{ ...same(resultNames, value), provider_url: URL }], songs: value }
    expect(await Promise.all([ends(same(names, value)), ends(inResult), ends(same(wishes, value))])).toEqual([stored, stored, stored])
  })

  it('a song that the team writes itself may have any number', async () => {
    const { rows: [row] } = await service().query<{ id: string }>(`insert into public.ai_generations (user_id, metadata) values (gen_random_uuid(), '{"titles": {"0": "Named"}}') returning id`)
    for (const variant of [-2_147_483_648, 0, 2_147_483_647, null]) {
      const { rows: [track] } = await service().query<{ id: string }>(
        'insert into public.tracks (user_id, generation_id, track_variant) select user_id, id, $2 from public.ai_generations where id = $1 returning id', [row!.id, variant])
      await database.db.query(`select reprise.take_download($1, 'somebody')`, [track!.id])
    }
  })

  it('what fits is taken: ids in either case, a title for each song', async () => {
    const [project, artist] = [crypto.randomUUID(), crypto.randomUUID().toUpperCase()]
    const { rows: [row] } = await service().query<{ id: string }>(
      `insert into public.ai_generations (user_id, result_url, status, metadata) values (gen_random_uuid(), $1, 'completed', $2) returning id`,
      [URL, JSON.stringify({ project_id: project, artist_id: artist, titles: { 0: 'Its title' }, taskId: HUGE, task_id: 7 })])
    await generations.makeTracks(row!.id)
    const { rows } = await database.db.query('select t.project_id, t.artist_id, t.title, g.task_id from public.tracks t join public.ai_generations g on g.id = t.generation_id where g.id = $1', [row!.id])
    expect(rows).toEqual([{ project_id: project, artist_id: artist.toLowerCase(), title: 'Its title', task_id: '7' }])
  })
})
