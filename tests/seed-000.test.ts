import { createHash } from 'node:crypto'
import { createClient } from '@supabase/supabase-js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createMureka } from '../server/src/providers/mureka/mureka.ts'
import { createProviderFetch, type ProviderHttp } from '../server/src/providers/provider-fetch.ts'
import { createSimulator } from '../simulator/src/simulator.ts'
import { startFileHost, type FileHost } from './file-host.ts'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

let reprise: Harness
let http: ProviderHttp
let simulator: Awaited<ReturnType<typeof createSimulator>>
/** The CDN of generations that the team's own functions have made. */
let cdn: FileHost
let user: TestUser
let stranger: TestUser

beforeAll(async () => {
  http = createProviderFetch()
  simulator = await createSimulator({ speed: 0, songSeconds: [2, 2], songPool: 4, data: null })
  cdn = await startFileHost()
  const mureka = createMureka({ apiKey: 'demo', baseUrl: simulator.url, fetch: http.fetch, timeScale: 1 / 1000 })
  reprise = await startHarness({
    leaseMs: 30_000, // on a busy machine a short one lapses in the middle of a download, which is then fetched twice
    providers: [mureka], providerBases: { mureka: simulator.url }, downloadAllowHosts: [new URL(simulator.url).host, cdn.host],
  })
  user = await reprise.user('of seed 000', 10_000)
  stranger = await reprise.user('stranger', 10_000)
})
afterAll(async () => {
  await reprise.close()
  await http.close()
  await simulator.close()
  await cdn.close()
})
beforeEach(() => simulator.control.setSpeed(0))
afterEach(async () => {
  await reprise.wired.db.setClockOffset(0)
  expect((await reprise.database.db.query('select * from reprise.ledger_violations')).rows).toEqual([])
})

const invoke = (name: string, body: object, token = user.token, headers = {}) => reprise.call('POST', `/functions/v1/${name}`, { token, body, headers })
const service = () => reprise.database.asUser(null, 'service_role')
const rowOf = async (id: string) => (await service().query<any>('select * from public.ai_generations where id = $1', [id])).rows[0]
const tracksOf = async (id: string) => (await service().query<any>('select * from public.tracks where generation_id = $1 order by track_variant', [id])).rows
const locksOf = async (id: string) => (await reprise.database.db.query('select key from reprise.operation_locks where key like $1', [`download:${id}%`])).rows
const hashOf = async (url: string) => {
  const response = await fetch(url)
  return response.ok ? createHash('sha256').update(Buffer.from(await response.arrayBuffer())).digest('hex') : response.status
}
async function until<T>(read: () => Promise<T>, good: (value: T) => unknown, timeoutMs = 20_000): Promise<T> {
  for (const end = Date.now() + timeoutMs; ; ) {
    const value = await read()
    if (good(value)) return value
    if (Date.now() > end) throw new Error(`not in time: ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
let made = 0
const ask = { prompt: 'a slow waltz', inputType: 'description', model: 'auto' }
async function generate(body: object = {}): Promise<string> {
  const answer = await invoke('generate-mureka-track', { ...ask, prompt: `a slow waltz number ${++made}`, ...body })
  expect(answer.status, JSON.stringify(answer.body)).toBe(202)
  return answer.body.data.generation_id
}
const completed = (id: string) => until(() => rowOf(id), (row) => row.status === 'completed' && row.metadata.results?.length === 2)
/** Finished generations for tests that change nothing of them: making songs takes most of the time here. */
const kept: Promise<string>[] = []
async function finished(which = 0): Promise<string> {
  const id = await (kept[which] ??= generate())
  await completed(id)
  return id
}
/** A finished generation of the team's own function, not downloaded. */
let copies = 0
async function foreign(more: { metadata?: object; createdAt?: string } = {}): Promise<{ id: string; url: string }> {
  const url = cdn.song(`foreign-${++copies}`)
  const { rows } = await service().query<{ id: string }>(
    `insert into public.ai_generations (user_id, service, prompt, status, result_url, metadata) values ($1, 'mureka', 'made elsewhere', 'completed', $2, $3) returning id`,
    [user.id, url, JSON.stringify({ taskId: `task-${copies}`, ...more.metadata })])
  return { id: rows[0]!.id, url }
}

describe('generate-mureka-track', () => {
  it('is accepted at once, and ends in songs that are stored under the seed’s names', async () => {
    const asked = await invoke('generate-mureka-track', { ...ask, style: 'folk', genre: 'indie', mood: 'calm', tempo: 90, duration: 120 })
    expect(asked).toMatchObject({ status: 202, body: { success: true, data: { mureka_task_id: null, status: 'processing', songs: [] } } })
    const id = asked.body.data.generation_id
    expect(Object.keys(asked.body.data).sort()).toEqual(['generation_id', 'mureka_task_id', 'songs', 'status'])
    const row = await completed(id)
    const tracks = await tracksOf(id)
    expect(tracks).toHaveLength(2)
    expect(row).toMatchObject({ user_id: user.id, service: 'mureka', prompt: 'a slow waltz', track_id: tracks[0].id, error_message: null, task_id: row.metadata.mureka_task_id })
    expect(row.metadata.local_storage_path).toMatch(new RegExp(`^${user.id}/mureka/${row.task_id}/[^/]+\\.mp3$`))
    expect(row.result_url).toContain(`/storage/v1/object/public/albert-tracks/${row.metadata.local_storage_path}`)
    for (const [index, result] of row.metadata.results.entries()) {
      const truth = await simulator.control.file(row.task_id, index)
      expect(result).toMatchObject({ index, track_id: tracks[index].id, provider_url: tracks[index].metadata.provider_url, sha256: truth!.sha256, bytes: truth!.bytes })
      expect(await hashOf(`${reprise.url}/storage/v1/object/public/albert-tracks/${result.local_storage_path}`)).toBe(truth!.sha256)
      expect(tracks[index].audio_url).toBe(tracks[index].storage_audio_url)
      expect(await hashOf(tracks[index].audio_url)).toBe(truth!.sha256)
    }
    expect(await hashOf(row.result_url)).toBe(row.metadata.results[0].sha256)
    const { rows } = await reprise.database.db.query('select count(distinct blob_key)::int as blobs, count(*)::int as names from reprise.files where track_id = any ($1) and mime like \'audio/%\'', [tracks.map((track) => track.id)])
    expect(rows).toEqual([{ blobs: 2, names: 4 }])
    const { rows: [own] } = await reprise.database.db.query<any>('select request from reprise.generations where id = $1', [id])
    expect(own.request).toMatchObject({ prompt: 'a slow waltz', style: 'folk, indie, calm, 90 BPM' })
  })

  it('sings the lyrics that are sent, in whichever field, and none in an instrumental', async () => {
    const lyrics = '[Verse]\nOne line of mine\nand another'
    const asked = [{ custom_lyrics: lyrics, inputType: 'lyrics' }, { lyrics, inputType: 'lyrics' }, { prompt: lyrics, inputType: 'lyrics' }]
    await Promise.all(asked.map(async (body) => {
      const sung = await generate(body)
      await completed(sung)
      expect((await tracksOf(sung))[0].lyrics).toContain('One line of mine')
    }))
    const id = await generate({ lyrics, instrumental: true })
    expect((await completed(id)).task_id).toMatch(/^\d+$/)
    expect((await tracksOf(id))[0].lyrics ?? '').not.toContain('One line of mine')
  })

  it('the same click twice within ten seconds is one generation; another key is another', async () => {
    const body = { ...ask, prompt: 'clicked twice' }
    const answers = await Promise.all([invoke('generate-mureka-track', body), invoke('generate-mureka-track', body)])
    expect(new Set(answers.map((answer) => answer.body.data.generation_id)).size).toBe(1)
    const keyed = await invoke('generate-mureka-track', body, user.token, { 'idempotency-key': 'another click' })
    expect(keyed.body.data.generation_id).not.toBe(answers[0]!.body.data.generation_id)
    await completed(keyed.body.data.generation_id)
  })

  it('its addresses follow the public address', async () => {
    const id = await finished()
    const { result_url: before } = await completed(id)
    await reprise.wired.rememberBase('https://songs.example.org')
    expect((await rowOf(id)).result_url).toBe(before.replace(reprise.url, 'https://songs.example.org'))
    await reprise.wired.rememberBase(reprise.url)
    expect((await rowOf(id)).result_url).toBe(before)
  })

  it('refusals say why in the seed’s form and leave nothing behind', async () => {
    const poor = await reprise.user('poor', 3)
    const count = async () => (await reprise.database.db.query('select from public.ai_generations where user_id = $1', [poor.id])).rowCount
    expect(await invoke('generate-mureka-track', ask, poor.token)).toMatchObject({ status: 402, body: { success: false, error: expect.any(String), code: 'INSUFFICIENT_TOKENS', required: 10, available: 3 } })
    expect(await invoke('generate-mureka-track', { ...ask, model: 'no-such' }, poor.token)).toMatchObject({ status: 400, body: { success: false, code: 'VALIDATION_FAILED', errors: [{ path: 'model' }] } })
    expect(await invoke('generate-mureka-track', { inputType: 'description' }, poor.token)).toMatchObject({ status: 400, body: { success: false, code: 'VALIDATION_FAILED' } })
    expect(await invoke('generate-mureka-track', { ...ask, inputType: 'dance' }, poor.token)).toMatchObject({ status: 400, body: { errors: [{ path: 'inputType' }] } })
    expect(await invoke('generate-mureka-track', { ...ask, userId: user.id }, poor.token)).toMatchObject({ status: 403, body: { success: false, code: 'USER_MISMATCH' } })
    expect(await reprise.call('POST', '/functions/v1/generate-mureka-track', { body: ask })).toMatchObject({ status: 401, body: { success: false, code: 'UNAUTHORIZED' } })
    expect(await count()).toBe(0)
  })

  it('what the provider refuses is failed, with a reason and the tokens back', async () => {
    simulator.control.addFault({ fault: 'create-failed', match: 'will not work' })
    const before = (await reprise.call('GET', '/api/balance', { token: user.token })).body
    const id = await generate({ prompt: 'this will not work' })
    expect((await until(() => rowOf(id), (row) => row.status === 'failed'))).toMatchObject({ result_url: null, track_id: null, error_message: expect.any(String) })
    expect((await reprise.call('GET', '/api/balance', { token: user.token })).body).toEqual(before)
    expect(await invoke('get-mureka-task-status', { generation_id: id })).toMatchObject({ status: 200, body: { data: { status: 'failed', songs: [] } } })
  })
})

describe('get-mureka-task-status and save-mureka-generation', () => {
  it('tell the provider’s word and the songs, by either id', async () => {
    const id = await finished()
    const row = await completed(id)
    const tracks = await tracksOf(id)
    for (const named of [{ generation_id: id }, { taskId: row.task_id }, { generation_id: id, taskId: row.task_id }]) {
      const { status, body } = await invoke('get-mureka-task-status', named)
      expect([status, body.success, body.data.generation_id, body.data.mureka_task_id, body.data.status]).toEqual([200, true, id, row.task_id, 'succeeded'])
      expect(body.data.songs).toEqual(tracks.map((track, index) => ({
        id: row.metadata.results[index].provider_id, index, title: track.title, audio_url: track.audio_url, duration: track.duration, lyrics: track.lyrics, track_id: track.id,
      })))
    }
    const queued = await invoke('get-mureka-task-status', { generation_id: await slowOne() })
    expect(queued.body.data).toMatchObject({ status: expect.stringMatching(/^(preparing|running)$/), songs: [] })
  })

  it('saving finds the song saved, gives it title, project and artist, and may be repeated', async () => {
    const id = await generate()
    const row = await completed(id)
    const [projectId, artistId] = [crypto.randomUUID(), crypto.randomUUID()]
    const second = row.metadata.results[1]
    const body = { generationId: id, taskId: row.task_id, trackData: { audio_url: second.provider_url, title: 'My waltz', duration: 2, lyrics: '', track_variant: 2, total_variants: 2 }, projectId, artistId }
    const answers = await Promise.all(Array.from({ length: 4 }, () => invoke('save-mureka-generation', body)))
    for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { success: true, data: { track_id: second.track_id, generation_id: id, title: 'My waltz', status: 'completed' } } })
    const tracks = await tracksOf(id)
    expect(tracks).toHaveLength(2)
    expect(tracks[1]).toMatchObject({ title: 'My waltz', project_id: projectId, artist_id: artistId })
    expect(tracks[0]).toMatchObject({ project_id: projectId })
    expect(tracks[0].title).not.toBe('My waltz')
    expect(await invoke('save-mureka-generation', { ...body, trackData: { audio_url: 'https://cdn.mureka.ai/else.mp3' } })).toMatchObject({ status: 403, body: { success: false, reason: 'not_a_result' } })
  })

  it('what was said of a song before it was there holds when it comes', async () => {
    simulator.control.setSpeed(20)
    const projectId = crypto.randomUUID()
    const id = await generate()
    const early = await invoke('save-mureka-generation', { generationId: id, trackData: { title: 'Early', track_variant: 1 }, projectId })
    expect(early).toMatchObject({ status: 200, body: { success: true, data: { track_id: expect.any(String), status: 'processing' } } })
    await completed(id)
    expect((await tracksOf(id))[0]).toMatchObject({ id: early.body.data.track_id, title: 'Early', project_id: projectId })
  })

  it('wishes that nobody can grant hold no song up, however the team has written them', async () => {
    simulator.control.setSpeed(20)
    const id = await generate()
    const odd = { project_id: 'my-project', artist_id: '', titles: 'none', filenames: [1], results: { url: 'x' }, taskId: 'x'.repeat(10_000), local_storage_path: [], track_id: 'y' }
    await service().query('update public.ai_generations set metadata = metadata || $2 where id = $1', [id, JSON.stringify(odd)])
    expect(await invoke('get-mureka-task-status', { generation_id: id })).toMatchObject({ status: 200 })
    await completed(id)
    for (const track of await tracksOf(id)) expect(track).toMatchObject({ project_id: null, artist_id: null, archived_to_storage: true })
  })

  it('another user’s generation is not there', async () => {
    const id = await finished()
    const row = await completed(id)
    const track = row.metadata.results[0]
    for (const [name, body] of [
      ['get-mureka-task-status', { generation_id: id }], ['get-mureka-task-status', { taskId: row.task_id }], ['save-mureka-generation', { generationId: id, trackData: {} }],
      ['download-and-save-track', { generation_id: id, external_url: track.provider_url }], ['download-and-save-track', { track_id: track.track_id, external_url: track.provider_url }],
    ] as const) expect([name, (await invoke(name, body, stranger.token)).status]).toEqual([name, 404])
    expect((await reprise.database.asUser(stranger.id).query('select from public.ai_generations where id = $1', [id])).rowCount).toBe(0)
    expect((await reprise.database.asUser(user.id).query('select from public.ai_generations where id = $1', [id])).rowCount).toBe(1)
    for (const sql of [`update public.ai_generations set status = 'failed'`, 'delete from public.ai_generations', `insert into public.ai_generations (user_id) values (auth.uid())`, `select public.create_or_update_track_from_generation('${id}')`]) {
      await expect(reprise.database.asUser(user.id).query(sql)).rejects.toThrow(/permission denied/)
    }
    expect(await invoke('get-mureka-task-status', { generation_id: id }, SERVICE_KEY)).toMatchObject({ status: 200 })
  })
})

async function slowOne(): Promise<string> {
  simulator.control.setSpeed(1)
  return generate()
}

describe('download-and-save-track', () => {
  it('answers at once where the song is stored already, by any of its ids', async () => {
    const id = await finished()
    const row = await completed(id)
    for (const result of row.metadata.results) {
      for (const named of [{ generation_id: id }, { taskId: row.task_id }, { track_id: result.track_id }, { generation_id: id, taskId: row.task_id, track_id: result.track_id }]) {
        expect(await invoke('download-and-save-track', { ...named, external_url: result.provider_url, filename: 'mureka_x.mp3' })).toMatchObject({ status: 200, body: { success: true, status: 'completed', data: {
          generation_id: id, track_id: result.track_id, local_audio_url: expect.stringContaining(`/albert-tracks/${result.local_storage_path}`), storage_path: result.local_storage_path, file_size: result.bytes,
        } } })
      }
    }
  })

  it('brings lost bytes back', async () => {
    const id = await generate()
    const [result] = (await completed(id)).metadata.results
    const { rows } = await reprise.database.db.query<{ key: string }>(`select blob_key as key from reprise.files where bucket = 'albert-tracks' and path = $1`, [result.local_storage_path])
    await reprise.blobs.delete(rows[0]!.key)
    const answer = await invoke('download-and-save-track', { generation_id: id, external_url: result.provider_url })
    expect(answer.status).toBe(200)
    expect(await hashOf(answer.body.data.local_audio_url)).toBe(result.sha256)
  })

  it('does not read a song whole again that was read lately', async () => {
    const id = await generate()
    const [result] = (await completed(id)).metadata.results
    const checked = async () => (await reprise.database.db.query<any>(`select max(checked_at) as at from reprise.files where track_id = $1 and mime like 'audio/%'`, [result.track_id])).rows[0].at?.getTime() ?? 0
    const ask = async () => {
      expect(await invoke('download-and-save-track', { generation_id: id, external_url: result.provider_url })).toMatchObject({ status: 200 })
      return checked()
    }
    expect(await ask()).toBe(0) // it was hashed when it was stored
    await reprise.wired.db.setClockOffset(6 * 60_000)
    const first = await ask()
    expect(first).toBeGreaterThan(0)
    expect(await ask()).toBe(first)
  })

  it('a song whose download waits for its next try is fetched at once when somebody asks, and once for twenty', async () => {
    simulator.control.addFault({ fault: 'file-404@0', match: 'not yet there' })
    const id = await generate({ prompt: 'not yet there' })
    const tried = () => reprise.database.db.query<any>(`select tries, source_url from reprise.results where generation_id = $1 and role = 'final' and index = 0`, [id])
    const { rows: [{ source_url: url }] } = await until(tried, ({ rows }) => rows[0]?.tries > 0)
    expect(await rowOf(id)).toMatchObject({ status: 'processing', metadata: { results: expect.arrayContaining([expect.objectContaining({ index: 0, provider_url: url, local_storage_path: null })]) } })
    simulator.control.clearFaults()
    const asked = () => simulator.control.log().filter(({ path, method }) => method === 'GET' && url.endsWith(path)).length
    const before = asked()
    const answers = await Promise.all(Array.from({ length: 20 }, () => invoke('download-and-save-track', { generation_id: id, external_url: url })))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(asked()).toBeLessThanOrEqual(before + 2) // its own next try may have begun just then
    expect(await hashOf(answers[0]!.body.data.local_audio_url)).toBe((await completed(id)).metadata.results[0].sha256)
  })

  it('refuses what does not fit: no id, disagreeing ids, another address, nobody signed in', async () => {
    const [one, two] = [await finished(0), await finished(1)]
    const [first, second] = (await completed(one)).metadata.results
    const other = (await completed(two)).metadata.results[0]
    const url = first.provider_url
    const ends: [object, number, string][] = [
      [{ external_url: url }, 400, 'VALIDATION_FAILED'], [{ generation_id: one }, 400, 'VALIDATION_FAILED'], [{ generation_id: one, track_id: other.track_id, external_url: url }, 400, 'VALIDATION_FAILED'],
      [{ track_id: second.track_id, external_url: url }, 400, 'VALIDATION_FAILED'], [{ generation_id: one, external_url: other.provider_url }, 403, 'FORBIDDEN'],
      [{ generation_id: one, external_url: 'http://169.254.169.254/latest/meta-data.mp3' }, 403, 'FORBIDDEN'], [{ generation_id: crypto.randomUUID(), external_url: url }, 404, 'NOT_FOUND'],
      [{ generation_id: 'nonsense', external_url: url }, 404, 'NOT_FOUND'], [{ generation_id: one, taskId: 'nonsense', external_url: url }, 404, 'NOT_FOUND'],
    ]
    for (const [body, status, code] of ends) expect([body, await invoke('download-and-save-track', body)]).toMatchObject([body, { status, body: { success: false, error: expect.any(String), code } }])
    expect(await reprise.call('POST', '/functions/v1/download-and-save-track', { body: { generation_id: one, external_url: url } })).toMatchObject({ status: 401 })
  })
})

describe('the seed’s console snippet, with the real supabase-js', () => {
  const client = (token: string) => createClient(reprise.url, 'publishable-key', { accessToken: async () => token })

  it('ends with our copy in ai_generations and tracks', async () => {
    const { id, url } = await foreign()
    const { data, error } = await client(user.token).functions.invoke('download-and-save-track', { body: { generation_id: id, external_url: url, filename: 'mureka_short.mp3' } })
    expect([error, data]).toMatchObject([null, { success: true, status: 'completed', data: { generation_id: id } }])
    const row = await rowOf(id)
    expect([row.metadata.local_storage_path, row.result_url]).toEqual([data.data.storage_path, data.data.local_audio_url])
    const { data: { publicUrl } } = client(user.token).storage.from('albert-tracks').getPublicUrl(row.metadata.local_storage_path)
    expect(await hashOf(publicUrl)).toBe(cdn.sha256(url))
    expect((await tracksOf(id))[0]).toMatchObject({ id: data.data.track_id, audio_url: expect.stringContaining(reprise.url) })
  })

  it('asks for a song and its state; errors carry status and code', async () => {
    const { data } = await client(user.token).functions.invoke('generate-mureka-track', { body: { ...ask, prompt: 'through supabase-js' } })
    await completed(data.data.generation_id)
    expect((await client(user.token).functions.invoke('get-mureka-task-status', { body: { generation_id: data.data.generation_id } })).data).toMatchObject({ success: true, data: { status: 'succeeded' } })
    const { error } = await client(stranger.token).functions.invoke('get-mureka-task-status', { body: { generation_id: data.data.generation_id } })
    expect([error.context.status, await error.context.json()]).toMatchObject([404, { success: false, code: 'NOT_FOUND' }])
  })
})

describe('a generation of the team’s own function, finished but never downloaded', () => {
  it('is fetched without anybody asking', async () => {
    const { id, url } = await foreign()
    const row = await until(() => rowOf(id), (one) => one.metadata.local_storage_path)
    const [track] = await tracksOf(id)
    expect(row).toMatchObject({ status: 'completed', track_id: track.id, task_id: row.metadata.taskId, result_url: expect.stringContaining(`/albert-tracks/${user.id}/mureka/${row.metadata.taskId}/`) })
    expect(row.metadata.results).toEqual([expect.objectContaining({ index: 0, provider_url: url, track_id: track.id, local_storage_path: row.metadata.local_storage_path, sha256: cdn.sha256(url) })])
    expect(track).toMatchObject({ user_id: user.id, audio_url: track.storage_audio_url, metadata: { provider_url: url } })
    expect(await hashOf(row.result_url)).toBe(cdn.sha256(url))
    await until(() => tracksOf(id), ([one]) => one.archived_to_storage)
    expect(cdn.asked.get(new URL(url).pathname)).toBe(1)
  })

  it('the seed’s incident: the lock of a dead owner, nobody calls back; within a minute it is ours and plays', async () => {
    const id = crypto.randomUUID()
    for (const key of [`download:${id}:0`, `download:${id}`]) expect((await service().query<any>(`select public.acquire_operation_lock('${key}', 120) as got`)).rows[0].got).toBe(key.endsWith(':0'))
    const url = cdn.song('incident')
    await service().query(`insert into public.ai_generations (id, user_id, service, prompt, status, result_url, metadata) values ($1, $2, 'mureka', 'incident', 'completed', $3, '{"taskId": "incident"}')`, [id, user.id, url])
    const calls = await Promise.all(Array.from({ length: 3 }, () => shortCall(id, url)))
    for (const call of calls) expect(call).toBe('still waiting')
    expect(cdn.asked.get('/incident.mp3')).toBeUndefined()
    expect((await rowOf(id)).metadata.local_storage_path).toBeUndefined()
    await reprise.wired.db.setClockOffset(46_000)
    reprise.wired.archive.wake() // its worker slept through the jump
    const row = await until(() => rowOf(id), (one) => one.metadata.local_storage_path)
    expect(await hashOf(row.result_url)).toBe(cdn.sha256(url))
    expect((await fetch(row.result_url, { headers: { range: 'bytes=0-99', origin: 'https://app.example' } })).status).toBe(206)
    const [track] = await tracksOf(id)
    expect(await hashOf(track.audio_url)).toBe(cdn.sha256(url))
    expect(cdn.asked.get('/incident.mp3')).toBe(1)
    expect(await until(() => locksOf(id), (keys) => keys.length === 0)).toEqual([])
  })

  it('asked for twenty times at once it is downloaded once, and all are told the same', async () => {
    const url = cdn.song('twenty')
    cdn.break('/twenty.mp3', 'down')
    const { rows } = await service().query<{ id: string }>(
      `insert into public.ai_generations (user_id, service, prompt, status, result_url, metadata) values ($1, 'mureka', 'twenty', 'completed', $2, '{"taskId": "twenty"}') returning id`, [user.id, url])
    const id = rows[0]!.id
    await until(async () => cdn.asked.get('/twenty.mp3') ?? 0, (times) => times > 0)
    cdn.heal('/twenty.mp3')
    const tried = cdn.asked.get('/twenty.mp3')!
    const answers = await Promise.all(Array.from({ length: 20 }, () => invoke('download-and-save-track', { generation_id: id, external_url: url, filename: 'mureka_abc.mp3' })))
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]))
    expect(new Set(answers.map((answer) => JSON.stringify(answer.body))).size).toBe(1)
    expect(answers[0]!.body.data.storage_path).toBe(`${user.id}/mureka/twenty/mureka_abc.mp3`)
    expect(cdn.asked.get('/twenty.mp3')).toBe(tried + 1)
    expect(await hashOf(answers[0]!.body.data.local_audio_url)).toBe(cdn.sha256(url))
    expect(await invoke('download-and-save-track', { taskId: 'twenty', external_url: url })).toMatchObject({ status: 200 })
  })

  it('only where songs may come from: other hosts are refused at this door', async () => {
    const url = 'https://evil.example.net/song.mp3'
    const { rows } = await service().query<{ id: string }>(`insert into public.ai_generations (user_id, status, result_url) values ($1, 'processing', $2) returning id`, [user.id, url])
    expect(await invoke('download-and-save-track', { generation_id: rows[0]!.id, external_url: url })).toMatchObject({ status: 403, body: { reason: 'address_not_allowed' } })
  })

  it('with several songs each is stored; a deleted one stays deleted', async () => {
    const urls = [cdn.song('several-1'), cdn.song('several-2')]
    const { rows } = await service().query<{ id: string }>(
      `insert into public.ai_generations (user_id, status, metadata) values ($1, 'completed', $2) returning id`, [user.id, JSON.stringify({ songs: urls.map((audio_url, index) => ({ id: `s${index}`, audio_url, title: `Song ${index}` })) })])
    const id = rows[0]!.id
    const row = await until(() => rowOf(id), (one) => one.metadata.results?.every((result: any) => result.local_storage_path))
    expect(row.metadata.results.map((result: any) => [result.provider_id, result.provider_url])).toEqual([['s0', urls[0]], ['s1', urls[1]]])
    const [first, second] = await tracksOf(id)
    expect([first.title, second.title]).toEqual(['Song 0', 'Song 1'])
    await reprise.call('DELETE', `/api/tracks/${first.id}`, { token: user.token })
    await service().query(`update public.ai_generations set metadata = metadata || '{"seen": true}' where id = $1`, [id])
    const after = await rowOf(id)
    expect([after.metadata.results[0].local_storage_path, after.metadata.local_storage_path]).toEqual([null, row.metadata.results[1].local_storage_path])
    expect((await service().query('select from public.tracks where generation_id = $1 and deleted_at is null', [id])).rowCount).toBe(1)
    expect(await invoke('download-and-save-track', { generation_id: id, external_url: urls[0] })).toMatchObject({ status: 404 })
  })

  it('create_or_update_track_from_generation is idempotent and answers the first song', async () => {
    const { id } = await foreign()
    const [project, artist] = [crypto.randomUUID(), crypto.randomUUID()]
    const answers = await Promise.all(Array.from({ length: 5 }, () => service().query<any>('select public.create_or_update_track_from_generation($1, $2, $3) as track', [id, project, artist])))
    const tracks = await tracksOf(id)
    expect(tracks).toHaveLength(1)
    expect(new Set(answers.map(({ rows }) => rows[0].track))).toEqual(new Set([tracks[0].id]))
    expect(tracks[0]).toMatchObject({ project_id: project, artist_id: artist })
  })
})

describe('without a key of Mureka', () => {
  it('generating says which key is missing', async () => {
    const bare = await startHarness({ providers: [], workers: false })
    try {
      const { token } = await bare.user('early')
      expect(await bare.call('POST', '/functions/v1/generate-mureka-track', { token, body: ask })).toMatchObject({ status: 503, body: { success: false, error: expect.any(String), code: 'MUREKA_API_KEY_NOT_CONFIGURED' } })
    } finally {
      await bare.close()
    }
  })
})

/** Calls and hangs up: what is told so soon, else that it still waits. */
async function shortCall(id: string, url: string): Promise<unknown> {
  try {
    const response = await fetch(`${reprise.url}/functions/v1/download-and-save-track`, {
      method: 'POST', signal: AbortSignal.timeout(1_000), headers: { authorization: `Bearer ${user.token}`, 'content-type': 'application/json' }, body: JSON.stringify({ generation_id: id, external_url: url }),
    })
    return await response.json()
  } catch {
    return 'still waiting'
  }
}
