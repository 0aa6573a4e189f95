import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createSuno } from '../server/src/providers/suno/suno.ts'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'
import {
  balance, begin, ended, eventually, ISO, job, JOB_ID, jobAnswer, jobWhen, ledgerViolations, like, makeChannel, PROGRESS, REQUEST_ID, run,
} from './seed-001.ts'

const STARTED = 'Генерация запущена, используйте GET /api/music-clips/jobs/:jobId для проверки статуса'
const NO_CREDITS = 'Недостаточно кредитов Suno для генерации. Пополните баланс.'
const NO_CALLBACK = 'Callback URL not configured. Set PUBLIC_BASE_URL environment variable.'
const TIMED_OUT = 'Превышено время ожидания генерации (10 минут). Проверьте статус в Suno или попробуйте снова.'
/** A provider that is not on this machine; nothing is ever sent to it here. */
const ELSEWHERE = { suno: 'https://api.sunoapi.org' }

/** Nothing was taken, and the refused job can be read as the seed says. */
async function expectRefusedJob(reprise: Harness, user: TestUser, jobId: string, channelId: string, error: unknown): Promise<void> {
  expect(await job(reprise, user, jobId)).toMatchObject({ status: 200, body: jobAnswer({ jobId, channelId, stage: 'STAGE_90_FAILED', error }) })
  const { rows } = await reprise.database.db.query('select 1 from reprise.generations where user_id = $1', [user.id])
  expect(rows).toEqual([])
  expect((await reprise.database.db.query(`select 1 from reprise.ledger_transfers where user_id = $1 and kind <> 'grant'`, [user.id])).rows).toEqual([])
}

async function knownCredits(reprise: Harness, credits: number | null): Promise<void> {
  const { rows } = await reprise.database.db.query<{ account: string }>('update reprise.provider_accounts set credits = $1, credits_at = reprise.now() returning account', [credits])
  await eventually(() => reprise.wired.engine.accounts.status(rows[0]!.account), (status) => status.credits === credits)
}

describe('seed 001: what the provider does is shown stage by stage', () => {
  let reprise: Harness
  let user: TestUser
  beforeAll(async () => {
    reprise = await startHarness({ deadlineSec: 600, graceSec: 30 })
    user = await reprise.user('viewer', 10_000)
  })
  afterAll(() => reprise.close())
  const reach = async (prompt: string, stage: keyof typeof PROGRESS) => {
    const { jobId, channelId } = await begin(reprise, user, prompt)
    const answer = await jobWhen(reprise, user, jobId, (one) => one.stage === stage)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-request-id')).toBe(answer.body.requestId)
    expect(Number.isInteger(answer.body.heartbeat.secondsSinceUpdate) && answer.body.heartbeat.secondsSinceUpdate >= 0).toBe(true)
    return { body: answer.body, jobId, channelId }
  }

  it('202 at once with exactly the fields of the sample', async () => {
    const channelId = await makeChannel(reprise, user)
    const answer = await run(reprise, user, channelId)
    expect(answer.status).toBe(202)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(answer.headers.get('x-request-id')).toMatch(REQUEST_ID)
    expect(answer.body).toEqual({
      success: true, ok: true, jobId: like(JOB_ID), channelId, stage: 'STAGE_10_REQUEST_ACCEPTED', createdAt: like(ISO), message: STARTED,
    })
    const { body } = await job(reprise, user, answer.body.jobId)
    expect(body).toMatchObject({ jobId: answer.body.jobId, channelId, createdAt: answer.body.createdAt })
  })

  it('20: the request is at Suno and not answered yet', async () => {
    const { body, jobId, channelId } = await reach('held at twenty [[fault:submit-slow=60000]] [[fault:callback-never]]', 'STAGE_20_SUNO_REQUEST_SENT')
    expect(body).toEqual(jobAnswer({ jobId, channelId, stage: 'STAGE_20_SUNO_REQUEST_SENT' }))
    await eventually(() => reprise.simulator.control.tasks(), (tasks) => tasks.some(({ prompt }) => prompt === 'held at twenty'))
    expect((await job(reprise, user, jobId)).body.stage).toBe('STAGE_20_SUNO_REQUEST_SENT')
    reprise.simulator.control.advance(60_000)
    await jobWhen(reprise, user, jobId, ended)
  })

  it('30: the task has an id, and nothing more was heard of it', async () => {
    const { body, jobId, channelId } = await reach('held at thirty [[fault:callback-never]] [[fault:poll-http-500]]', 'STAGE_30_SUNO_TASK_CREATED')
    expect(body).toEqual(jobAnswer({ jobId, channelId, stage: 'STAGE_30_SUNO_TASK_CREATED', sunoTaskId: like(/^\w{8,}$/) }))
  })

  it('40: Suno was heard and is at it', async () => {
    const { body, jobId, channelId } = await reach('held at forty [[fault:never-finishes]]', 'STAGE_40_SUNO_PENDING')
    expect(body).toEqual(jobAnswer({ jobId, channelId, stage: 'STAGE_40_SUNO_PENDING', sunoTaskId: like(/^\w{8,}$/) }))
  })

  it('40, in its own words, while the finished file is being saved', async () => {
    const { jobId, channelId } = await begin(reprise, user, 'held while saving [[fault:file-503]]')
    const { body } = await jobWhen(reprise, user, jobId, (one) => one.progressText.startsWith('Музыка готова'))
    expect(body).toEqual(jobAnswer({ jobId, channelId, stage: 'STAGE_40_SUNO_PENDING', progressText: 'Музыка готова, сохраняем файл...', sunoTaskId: like(/^\w{8,}$/) }))
  })

  it('50: the address is ours, stays the same, and plays in a plain <audio>', async () => {
    const { body, jobId, channelId } = await reach('done at fifty', 'STAGE_50_SUNO_SUCCESS')
    expect(body).toEqual(jobAnswer({ jobId, channelId, stage: 'STAGE_50_SUNO_SUCCESS', sunoTaskId: like(/^\w{8,}$/), audioUrl: like(/^http/) }))
    expect(body.audioUrl.startsWith(`${reprise.url}/storage/v1/object/public/tracks-audio/${user.id}/`)).toBe(true)
    const played = await fetch(body.audioUrl, { headers: { range: 'bytes=0-' } })
    expect(played.status).toBe(206)
    expect(played.headers.get('content-type')).toBe('audio/mpeg')
    const truth = await reprise.simulator.control.file(body.sunoTaskId, 0)
    expect(Buffer.from(await played.arrayBuffer())).toHaveLength(truth!.bytes)
    expect((await job(reprise, user, jobId)).body.audioUrl).toBe(body.audioUrl)
  })

  it('90: told with the reason, and the tokens are back', async () => {
    const before = await balance(reprise, user)
    const { body, jobId, channelId } = await reach('refused at ninety [[fault:sensitive]]', 'STAGE_90_FAILED')
    expect(body).toEqual(jobAnswer({ jobId, channelId, stage: 'STAGE_90_FAILED', sunoTaskId: like(/^\w{8,}$/), error: 'Suno generation failed: Content policy violation' }))
    expect(await balance(reprise, user)).toEqual(before)
  })

  it('another language only when it is asked for', async () => {
    const { jobId } = await begin(reprise, user, 'in other words [[fault:never-finishes]]')
    await jobWhen(reprise, user, jobId, (one) => one.stage === 'STAGE_40_SUNO_PENDING')
    const said = async (query: string, headers = {}) =>
      (await reprise.call('GET', `/api/music-clips/jobs/${jobId}${query}`, { token: user.token, headers })).body.progressText
    expect(await said('', { 'accept-language': 'en' })).toBe(PROGRESS.STAGE_40_SUNO_PENDING)
    expect(await said('?lang=xx', { 'accept-language': 'fr' })).toBe(PROGRESS.STAGE_40_SUNO_PENDING)
    expect(await said('?lang=ru')).toBe(PROGRESS.STAGE_40_SUNO_PENDING)
    expect(await said('?lang=en')).toBe('The music is being made (PENDING/GENERATING)...')
    expect(await said('?lang=fr')).toBe('La musique est en cours de création (PENDING/GENERATING)...')
  })

  it('a healthy job is not called stale though nothing happened to it for 75 s', async () => {
    const { jobId } = await begin(reprise, user, 'quiet but armed [[fault:never-finishes]]')
    await jobWhen(reprise, user, jobId, (one) => one.stage === 'STAGE_40_SUNO_PENDING')
    await reprise.wired.db.setClockOffset(75_000)
    const { body } = await jobWhen(reprise, user, jobId, (one) => !one.heartbeat.isStale)
    expect(body).toMatchObject({ stage: 'STAGE_40_SUNO_PENDING', heartbeat: { isStale: false } })
    expect(body.heartbeat.secondsSinceUpdate).toBeLessThan(60)
  })

  it('the view music_clips_jobs says the same in SQL', async () => {
    const { rows: jobs } = await reprise.database.db.query('select distinct on (stage) * from music_clips_jobs order by stage')
    expect(jobs.length).toBeGreaterThanOrEqual(4)
    for (const row of jobs) {
      const { body } = await job(reprise, user, row.job_id)
      expect(row).toMatchObject({
        job_id: body.jobId, channel_id: body.channelId, user_id: user.id, stage: body.stage, suno_task_id: body.sunoTaskId,
        audio_url: body.audioUrl, error_message: body.error, progress_text: body.progressText, created_at: new Date(body.createdAt),
        updated_at: expect.any(Date),
      })
    }
  })

  it('the view shows nothing to a signed-in user or a visitor, who are not asked for their rights in it', async () => {
    await expect(reprise.database.asUser(user.id).query('select * from music_clips_jobs')).rejects.toThrow('permission denied')
    await expect(reprise.database.asUser(null).query('select * from music_clips_jobs')).rejects.toThrow('permission denied')
    expect((await reprise.database.asUser(user.id, 'service_role').query('select 1 from music_clips_jobs limit 1')).rows).toHaveLength(1)
  })

  it('99: ten minutes are over; heartbeat of an ended job is never stale', async () => {
    const { jobId, channelId } = await begin(reprise, user, 'never to end [[fault:never-finishes]]')
    await jobWhen(reprise, user, jobId, (one) => one.stage === 'STAGE_40_SUNO_PENDING')
    const before = (await balance(reprise, user)) as { available: number }
    await reprise.wired.db.setClockOffset(75_000 + 601_000)
    const { body } = await jobWhen(reprise, user, jobId, ended)
    const expected = { jobId, channelId, stage: 'STAGE_99_TIMEOUT', sunoTaskId: like(/^\w{8,}$/), error: TIMED_OUT }
    expect(body).toEqual(jobAnswer(expected))
    expect(((await balance(reprise, user)) as { available: number }).available).toBeGreaterThan(before.available)
    await reprise.wired.db.setClockOffset(75_000 + 601_000 + 3_600_000)
    expect((await job(reprise, user, jobId)).body).toEqual(jobAnswer(expected))
    expect((await job(reprise, user, jobId, '?lang=en')).body).toMatchObject({ stage: 'STAGE_99_TIMEOUT', progressText: 'It took too long' })
  })

  it('a job that nobody looks after any more is stale after 75 s', async () => {
    const { jobId, channelId } = await begin(reprise, user, 'left alone [[fault:never-finishes]]')
    await jobWhen(reprise, user, jobId, (one) => one.stage === 'STAGE_40_SUNO_PENDING')
    await reprise.wired.engine.stop()
    const offset = 75_000 + 601_000 + 3_600_000
    await reprise.wired.db.setClockOffset(offset + 75_000)
    const { body } = await job(reprise, user, jobId)
    const secondsSinceUpdate = body.heartbeat.secondsSinceUpdate
    expect(body).toEqual(jobAnswer({ jobId, channelId, stage: 'STAGE_40_SUNO_PENDING', sunoTaskId: like(/^\w{8,}$/), heartbeat: { secondsSinceUpdate, isStale: true } }))
    expect(secondsSinceUpdate).toBeGreaterThanOrEqual(75)
    expect(await ledgerViolations(reprise)).toEqual([])
  })
})

describe('seed 001: who may ask, and what counts as the same click', () => {
  let reprise: Harness
  let user: TestUser
  beforeAll(async () => {
    reprise = await startHarness({ workers: false, deadlineSec: 600 })
    user = await reprise.user('owner', 1_000)
  })
  afterAll(() => reprise.close())
  const refusal = (error: string, message: unknown, more: Record<string, unknown> = {}) =>
    ({ success: false, ok: false, error, message, requestId: like(REQUEST_ID), ...more })
  const runPath = (channelId: string) => `/api/music-clips/channels/${channelId}/runOnce`
  const jobsOf = async (channelId: string) => (await reprise.database.db.query('select job_id from reprise.music_clips_runs where channel_id = $1', [channelId])).rows
  const at = async (offsetMs: number) => reprise.wired.db.setClockOffset(offsetMs)

  it('10: accepted, and nobody has sent it yet', async () => {
    const { jobId, channelId } = await begin(reprise, user, 'held at ten')
    const answer = await job(reprise, user, jobId)
    expect(answer.status).toBe(200)
    expect(answer.body).toEqual(jobAnswer({ jobId, channelId, stage: 'STAGE_10_REQUEST_ACCEPTED', heartbeat: { secondsSinceUpdate: expect.any(Number), isStale: false } }))
  })

  it('404 for a job that is not there, or not mine', async () => {
    const { jobId } = await begin(reprise, user, 'mine')
    const stranger = await reprise.user('stranger')
    for (const [who, id] of [[user, 'job_1703616000000_abc123'], [stranger, jobId]] as const) {
      const answer = await job(reprise, who, id)
      expect(answer.status).toBe(404)
      expect(answer.body).toEqual(refusal('JOB_NOT_FOUND', `Job ${id} not found`))
      expect(answer.headers.get('x-request-id')).toBe(answer.body.requestId)
    }
  })

  it('401 without a credential, before anything else is said', async () => {
    const channelId = await makeChannel(reprise, user)
    const asked = [
      await reprise.call('POST', runPath(channelId), { body: {} }),
      await reprise.call('POST', runPath(channelId), { body: '{broken' }),
      await reprise.call('POST', runPath(channelId), { token: 'forged', headers: { 'x-user-id': 'somebody' } }),
      await reprise.call('GET', '/api/music-clips/jobs/job_1_x'),
    ]
    for (const answer of asked) {
      expect(answer.status).toBe(401)
      expect(answer.body).toEqual(refusal('UNAUTHORIZED', 'Требуется авторизация.'))
    }
    expect(await jobsOf(channelId)).toEqual([])
  })

  it('403 for another user in the header or the body, before the channel is looked for', async () => {
    const channelId = await makeChannel(reprise, user)
    const other = await reprise.user('other', 0)
    const post = (path: string, body: unknown, headers = {}) => reprise.call('POST', path, { token: user.token, body, headers })
    const asked = [
      await post(runPath(channelId), {}, { 'x-user-id': other.id }),
      await post(runPath(channelId), { userId: other.id }),
      await post(runPath(channelId), { userId: other.id }, { 'x-user-id': user.id }),
      await post(runPath(channelId), { userId: 7 }),
      await post(runPath('channel_unknown'), { userId: other.id }),
      await reprise.call('GET', '/api/music-clips/jobs/job_1_x', { token: user.token, headers: { 'x-user-id': other.id } }),
    ]
    for (const answer of asked) {
      expect(answer.status).toBe(403)
      expect(answer.body).toEqual(refusal('USER_MISMATCH', 'Пользователь в запросе не совпадает с владельцем токена.'))
    }
    expect(await jobsOf(channelId)).toEqual([])
  })

  it("404 for a channel that is not there, deleted, or somebody else's: and no job", async () => {
    const stranger = await reprise.user('stranger', 100)
    const theirs = await makeChannel(reprise, stranger)
    const deleted = await makeChannel(reprise, user)
    await reprise.call('DELETE', `/api/channels/${deleted}`, { token: user.token })
    for (const channelId of ['channel_unknown', theirs, deleted]) {
      const answer = await run(reprise, user, channelId)
      expect(answer.status).toBe(404)
      expect(answer.body).toEqual(refusal('CHANNEL_NOT_FOUND', `Channel ${channelId} not found`))
      expect(await jobsOf(channelId)).toEqual([])
    }
  })

  it('a broken JSON body is named in the form of the seed, an absent one is fine', async () => {
    const channelId = await makeChannel(reprise, user)
    const broken = await reprise.call('POST', runPath(channelId), { token: user.token, body: '{"userId":' })
    expect(broken.status).toBe(400)
    expect(broken.body).toEqual(refusal('MALFORMED_BODY', 'Тело запроса не является корректным JSON. Ничего не списано. Проверьте его и отправьте ещё раз.'))
    expect(await jobsOf(channelId)).toEqual([])
    expect((await reprise.call('POST', runPath(channelId), { token: user.token })).status).toBe(202)
  })

  it('unknown body keys are ignored', async () => {
    const channelId = await makeChannel(reprise, user)
    const first = await run(reprise, user, channelId, { userId: user.id, force: true, nested: { a: [1] } })
    expect(first.status).toBe(202)
    // With other words it is another request, not a quarrel about a key that the front end never sent.
    const second = await run(reprise, user, channelId, { userId: user.id, force: false })
    expect(second.status).toBe(202)
    expect(second.body.jobId).not.toBe(first.body.jobId)
  })

  it('a channel of another type, or without a prompt, is refused when run; the job stays at 90', async () => {
    const poor = await reprise.user('poor', 0)
    const cases = [
      { channelId: await makeChannel(reprise, poor, '', { type: 'shorts' }), code: 'INVALID_CHANNEL_TYPE', message: 'Канал не предназначен для Music Clips.', error: 'Suno generation failed: This channel is not a music clips channel.' },
      { channelId: await makeChannel(reprise, poor, '   '), code: 'SUNO_PROMPT_REQUIRED', message: 'Укажите промпт для Suno в настройках канала.', error: 'Suno generation failed: Please enter a Suno prompt in the settings of the channel.' },
    ]
    for (const { channelId, code, message, error } of cases) {
      const answer = await run(reprise, poor, channelId)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual(refusal(code, message, { jobId: like(JOB_ID) }))
      await expectRefusedJob(reprise, poor, answer.body.jobId, channelId, error)
    }
  })

  it('402 without tokens, with what is needed and what is there; asked again with tokens it runs', async () => {
    const poor = await reprise.user('short of tokens', 0)
    const channelId = await makeChannel(reprise, poor)
    const refused = [await run(reprise, poor, channelId), await run(reprise, poor, channelId)]
    for (const answer of refused) {
      expect(answer.status).toBe(402)
      expect(answer.body).toEqual(refusal('INSUFFICIENT_TOKENS', 'Недостаточно токенов: нужно 10, доступно 0.', { required: 10, available: 0, jobId: like(JOB_ID) }))
    }
    expect(new Set(refused.map(({ body }) => body.jobId)).size).toBe(2)
    await expectRefusedJob(reprise, poor, refused[0]!.body.jobId, channelId, 'Suno generation failed: Not enough tokens')
    await reprise.user('short of tokens', 10)
    expect((await run(reprise, poor, channelId)).status).toBe(202)
    expect(await balance(reprise, poor)).toEqual({ available: 0, held: 10 })
    // The second click finds no tokens, and is still the accepted first one.
    expect((await run(reprise, poor, channelId)).status).toBe(202)
    const french = await reprise.call('POST', `${runPath(channelId)}?lang=fr`, { token: poor.token, body: { nonce: 1 } })
    expect(french.body.message).toBe('Jetons insuffisants : 10 nécessaires, 0 disponibles.')
  })

  it('a double click is one job and one price; ten seconds later it is a new one', async () => {
    const clicker = await reprise.user('clicker', 100)
    const channelId = await makeChannel(reprise, clicker)
    const first = await run(reprise, clicker, channelId)
    const again = await run(reprise, clicker, channelId)
    expect(again.status).toBe(202)
    expect(again.body).toEqual(first.body)
    expect(await balance(reprise, clicker)).toEqual({ available: 90, held: 10 })
    await at(11_000)
    const later = await run(reprise, clicker, channelId)
    expect(later.status).toBe(202)
    expect(later.body.jobId).not.toBe(first.body.jobId)
    expect(await balance(reprise, clicker)).toEqual({ available: 80, held: 20 })
    const other = await run(reprise, clicker, await makeChannel(reprise, clicker))
    expect(other.body.jobId).not.toBe(later.body.jobId)
    await at(0)
  })

  it('40 clicks at the same moment are one job and one price, more than there are database connections', async () => {
    const clicker = await reprise.user('impatient', 1_000)
    const channelId = await makeChannel(reprise, clicker)
    const answers = await Promise.all(Array.from({ length: 40 }, () => run(reprise, clicker, channelId)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]))
    expect(new Set(answers.map(({ body }) => body.jobId)).size).toBe(1)
    expect(await jobsOf(channelId)).toHaveLength(1)
    expect(await balance(reprise, clicker)).toEqual({ available: 990, held: 10 })
  })

  it('a channel remembers its last job, whatever form is saved at the same moment', async () => {
    const channelId = await makeChannel(reprise, user, 'remembered')
    const path = `/api/channels/${channelId}`
    const patch = (musicClipsSettings: object) => reprise.call('PATCH', path, { token: user.token, body: { musicClipsSettings } })
    const [started] = await Promise.all([run(reprise, user, channelId), ...Array.from({ length: 10 }, (_, n) => patch({ [`own${n}`]: n })), patch({ clipSec: 7 })])
    const remembered = { lastJobId: started!.body.jobId, lastJobStatus: 'STAGE_10_REQUEST_ACCEPTED' }
    const settings = async () => (await reprise.call('GET', path, { token: user.token })).body.musicClipsSettings
    expect(await settings()).toMatchObject({ ...remembered, sunoPrompt: 'remembered', clipSec: 7, own0: 0, own9: 9 })
    await reprise.call('PUT', path, { token: user.token, body: { name: 'Заново', musicClipsSettings: { sunoPrompt: 'another' } } })
    expect(await settings()).toMatchObject({ ...remembered, sunoPrompt: 'another', clipSec: 10 })
    expect(await settings()).not.toHaveProperty('own0')
  })

  it('the service role acts for the user that it names', async () => {
    const served = await reprise.user('served', 100)
    const channelId = await makeChannel(reprise, served)
    const asService = (path: string, body: unknown, headers = {}) => reprise.call('POST', path, { token: SERVICE_KEY, body, headers })
    const started = await asService(runPath(channelId), { userId: served.id })
    expect(started.status).toBe(202)
    expect((await asService(runPath(channelId), {}, { 'x-user-id': served.id })).body.jobId).toBe(started.body.jobId)
    expect(await balance(reprise, served)).toEqual({ available: 90, held: 10 })
    expect((await job(reprise, served, started.body.jobId)).status).toBe(200)
    const read = (headers = {}) => reprise.call('GET', `/api/music-clips/jobs/${started.body.jobId}`, { token: SERVICE_KEY, headers })
    expect((await read()).status).toBe(200)
    expect((await read({ 'x-user-id': served.id })).status).toBe(200)
    expect((await read({ 'x-user-id': user.id })).status).toBe(404)
    expect((await asService(runPath(channelId), { userId: user.id })).body.error).toBe('CHANNEL_NOT_FOUND')
    expect((await asService(runPath(channelId), { userId: user.id }, { 'x-user-id': served.id })).body.error).toBe('USER_MISMATCH')
    expect((await asService(runPath(channelId), {})).body).toEqual(refusal('VALIDATION_FAILED', expect.any(String)))
  })

  it('texts follow ?lang=, never Accept-Language', async () => {
    const channelId = await makeChannel(reprise, user)
    const said = async (query: string) =>
      (await reprise.call('POST', runPath(channelId) + query, { token: user.token, headers: { 'accept-language': 'en-US' } })).body.message
    expect(await said('')).toBe(STARTED)
    expect(await said('?lang=en')).toBe('Generation started, use GET /api/music-clips/jobs/:jobId to check its status')
    expect(await said('?lang=fr')).toMatch(/^Génération lancée/)
    const unsigned = await reprise.call('POST', `${runPath(channelId)}?lang=en`, { headers: { 'accept-language': 'fr' } })
    expect(unsigned.body.message).toBe('Please sign in.')
  })

  it('a known balance of zero credits is 402, in the exact form of the sample, before tokens are looked at', async () => {
    const poor = await reprise.user('no tokens, no credits', 0)
    const clicker = await reprise.user('clicked before', 100)
    const [channelId, running] = [await makeChannel(reprise, poor), await makeChannel(reprise, clicker)]
    const accepted = await run(reprise, clicker, running)
    await knownCredits(reprise, 0)
    const answer = await run(reprise, poor, channelId)
    expect(answer.status).toBe(402)
    expect(answer.body).toEqual({ success: false, error: 'SUNO_NO_CREDITS', message: NO_CREDITS, credits: 0, jobId: like(JOB_ID) })
    await expectRefusedJob(reprise, poor, answer.body.jobId, channelId, 'Suno generation failed: Insufficient credits')
    // A second click on what was accepted a moment ago is still answered as the first.
    expect((await run(reprise, clicker, running)).body).toEqual(accepted.body)
    await knownCredits(reprise, null)
    expect(await ledgerViolations(reprise)).toEqual([])
  })
})

describe('seed 001: Suno is out of credits', () => {
  it('the run ends at 90 with its reason; from then on the open breaker refuses at the door', async () => {
    const reprise = await startHarness({ deadlineSec: 600 })
    try {
      const user = await reprise.user('customer', 100_000)
      const channelId = await makeChannel(reprise, user, 'no money left [[fault:code-429]]')
      const started = await run(reprise, user, channelId)
      expect(started.status).toBe(202)
      const { body } = await jobWhen(reprise, user, started.body.jobId, ended)
      expect(body).toEqual(jobAnswer({ jobId: started.body.jobId, channelId, stage: 'STAGE_90_FAILED', error: 'Suno generation failed: Insufficient credits' }))
      const other = await makeChannel(reprise, user)
      // The breaker is looked at once a second; until then a request is accepted and ends in the same way.
      const refused = await eventually(() => run(reprise, user, other, { nonce: Math.random() }), ({ status }) => status !== 202)
      expect(refused.status).toBe(402)
      expect(refused.body).toEqual({ success: false, error: 'SUNO_NO_CREDITS', message: NO_CREDITS, credits: 0, jobId: like(JOB_ID) })
    } finally {
      await reprise.close()
    }
  })
})

describe('seed 001: not set up', () => {
  it('503 without a key, asked before the callback address and after the prompt', async () => {
    const reprise = await startHarness({ workers: false, sunoKey: null, providerBases: ELSEWHERE })
    try {
      const user = await reprise.user('early', 0)
      const channelId = await makeChannel(reprise, user)
      const answer = await run(reprise, user, channelId)
      expect(answer.status).toBe(503)
      expect(answer.body).toEqual({
        success: false, ok: false, error: 'SUNO_API_KEY_NOT_CONFIGURED', message: 'Ключ Suno API не настроен. Задайте SUNO_API_KEY.', requestId: like(REQUEST_ID), jobId: like(JOB_ID),
      })
      await expectRefusedJob(reprise, user, answer.body.jobId, channelId, 'Suno generation failed: Provider not configured')
      expect((await run(reprise, user, await makeChannel(reprise, user, ''))).body.error).toBe('SUNO_PROMPT_REQUIRED')
    } finally {
      await reprise.close()
    }
  })

  it('400 without a public address, in the exact form of the sample, asked before credits', async () => {
    const reprise = await startHarness({ workers: false, providerBases: ELSEWHERE })
    try {
      await knownCredits(reprise, 0)
      const user = await reprise.user('private', 0)
      const channelId = await makeChannel(reprise, user)
      const answer = await run(reprise, user, channelId)
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual({ success: false, error: 'CALLBACK_URL_NOT_CONFIGURED', message: NO_CALLBACK, jobId: like(JOB_ID) })
      await expectRefusedJob(reprise, user, answer.body.jobId, channelId, `Suno generation failed: ${NO_CALLBACK}`)
    } finally {
      await reprise.close()
    }
  })

  it.each(['http://reprise.example.com', 'https://192.168.1.10', 'https://localhost'])('400 for the address %s, which Suno could not call', async (publicBaseUrl) => {
    const reprise = await startHarness({ workers: false, providerBases: ELSEWHERE, publicBaseUrl })
    try {
      const user = await reprise.user('misconfigured', 100)
      const answer = await run(reprise, user, await makeChannel(reprise, user))
      expect(answer.status).toBe(400)
      expect(answer.body).toEqual({ success: false, ok: false, error: 'CALLBACK_URL_INVALID', message: expect.stringContaining('PUBLIC_BASE_URL'), requestId: like(REQUEST_ID), jobId: like(JOB_ID) })
      expect(await balance(reprise, user)).toEqual({ available: 100, held: 0 })
    } finally {
      await reprise.close()
    }
  })
})

describe('seed 001: files that are not public', () => {
  it('the address plays in a plain <audio> all the same', async () => {
    const reprise = await startHarness({ publicMedia: false })
    try {
      const user = await reprise.user('discreet', 100)
      const { jobId } = await begin(reprise, user, 'not for everybody')
      const { audioUrl } = (await jobWhen(reprise, user, jobId, ended)).body
      expect((await fetch(audioUrl)).status).toBe(200)
      expect((await fetch(audioUrl.replace(/signature=[^&]+/, 'signature=guessed'))).status).toBeGreaterThanOrEqual(400)
    } finally {
      await reprise.close()
    }
  })
})

describe('seed 001: Suno hangs', () => {
  it('runOnce answers within 2 seconds though Suno never says a word', async () => {
    const silent = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const baseUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const http = createProviderFetch()
    const reprise = await startHarness({ deadlineSec: 600, providers: [createSuno({ apiKey: 'demo', baseUrl, fetch: http.fetch })], providerBases: { suno: baseUrl } })
    try {
      const user = await reprise.user('waiting', 1_000)
      for (let click = 0; click < 5; click++) {
        const channelId = await makeChannel(reprise, user)
        const began = performance.now()
        const started = await run(reprise, user, channelId)
        expect(started.status).toBe(202)
        expect(performance.now() - began).toBeLessThan(2_000)
        const { body } = await jobWhen(reprise, user, started.body.jobId, (one) => one.stage !== 'STAGE_10_REQUEST_ACCEPTED')
        expect(body.stage).toBe('STAGE_20_SUNO_REQUEST_SENT')
      }
    } finally {
      await hangUp(silent)
      await reprise.close()
      await http.close()
    }
  })
})

async function hangUp(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  await closed
}
