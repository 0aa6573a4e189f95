import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHarness, type Harness, type TestUser } from './harness.ts'
import { balance, begin, ended, eventually, job, jobWhen, ledgerViolations } from './seed-001.ts'

const WEBHOOK = '/api/webhooks/suno/music'

async function generationOf(reprise: Harness, user: TestUser, jobId: string): Promise<any> {
  const { rows } = await reprise.database.db.query('select generation_id from music_clips_jobs where job_id = $1', [jobId])
  return (await reprise.call('GET', `/api/generations/${rows[0]!.generation_id}`, { token: user.token })).body
}

/** Both songs are the provider's own, byte for byte, and paid once. */
async function expectWholeSongs(reprise: Harness, user: TestUser, jobId: string): Promise<void> {
  const generation = await generationOf(reprise, user, jobId)
  expect(generation).toMatchObject({ state: 'complete', missing: 0, receipt: { cost: 10, held: 0, captured: 10, released: 0 } })
  expect(generation.tracks).toHaveLength(2)
  for (const track of generation.tracks) {
    const truth = await reprise.simulator.control.file(generation.providerTaskId, track.variant - 1)
    const bytes = Buffer.from(await (await fetch(track.audioUrl)).arrayBuffer())
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(truth!.sha256)
    expect(track.title).not.toBe('Altered on the way')
  }
}

const taskOf = async (reprise: Harness, user: TestUser, jobId: string): Promise<string> =>
  (await jobWhen(reprise, user, jobId, (one) => one.sunoTaskId !== null)).body.sunoTaskId

/** A `complete` callback as Suno sends it, naming files of somebody's choice. */
const complete = (taskId: string, audioUrl: string) => ({
  code: 200, msg: 'All generated successfully.',
  data: {
    callbackType: 'complete', task_id: taskId,
    data: [0, 1].map((index) => ({ id: `forged-${index}`, audio_url: audioUrl, source_audio_url: audioUrl, stream_audio_url: '', image_url: audioUrl, title: 'Forged', duration: 2 })),
  },
})

describe('seed 001: whatever becomes of the callbacks, the run ends right', () => {
  let reprise: Harness
  let user: TestUser
  let offset = 0
  beforeAll(async () => {
    reprise = await startHarness({ simulator: { speed: 500 } })
    user = await reprise.user('listener', 10_000)
  })
  afterAll(() => reprise.close())

  it.each([
    ['on', ''],
    ['off', '[[fault:callback-never]]'],
    ['given up by Suno itself', '[[fault:callback-exception]]'],
    ['doubled', '[[fault:callback-double]]'],
    ['reversed', '[[fault:callback-reversed]]'],
    ['early, before the submit is answered', '[[fault:callback-early]]'],
    ['early and complete at once', '[[fault:callback-early]] [[fault:skip-text]] [[fault:skip-first]]'],
    ['forged', '[[fault:callback-forged]]'],
    ['altered on the way', '[[fault:callback-altered]]'],
    ['without text', '[[fault:skip-text]]'],
    ['without first', '[[fault:skip-first]]'],
    ['only complete', '[[fault:skip-text]] [[fault:skip-first]]'],
    ['a second late', '[[fault:callback-delay=1000]]'],
  ])('callbacks %s', async (name, tags) => {
    const { jobId } = await begin(reprise, user, `callbacks ${name} ${tags}`)
    const stages: string[] = []
    const { body } = await jobWhen(reprise, user, jobId, (one) => {
      if (stages.at(-1) !== one.stage) stages.push(one.stage)
      return ended(one)
    })
    expect(body).toMatchObject({ stage: 'STAGE_50_SUNO_SUCCESS', error: null })
    expect(stages).toEqual([...stages].sort())
    await expectWholeSongs(reprise, user, jobId)
    expect(reprise.simulator.control.log().filter(({ path }) => path === '/files/decoy.mp3')).toEqual([])
  })

  it('a callback that comes again after the end is answered 200 and changes nothing', async () => {
    const { jobId } = await begin(reprise, user, 'told twice')
    const { body: before } = await jobWhen(reprise, user, jobId, ended)
    await eventually(() => reprise.simulator.control.tasks().find(({ taskId }) => taskId === before.sunoTaskId)!.callbacks, (sent) => sent.some(({ type }) => type === 'complete'))
    const downloads = () => reprise.simulator.control.log().filter(({ path, taskId }) => path.startsWith('/files/audio') && taskId === before.sunoTaskId).length
    const [tokens, fetched] = [await balance(reprise, user), downloads()]
    for (const type of ['complete', 'first', 'text', 'error'] as const) {
      const sent = await reprise.simulator.control.sendCallback({ taskId: before.sunoTaskId, type, times: 2 })
      expect(sent!.map(({ status }) => status)).toEqual([200, 200])
    }
    const stranger = await reprise.simulator.control.sendCallback({ taskId: before.sunoTaskId, type: 'error', token: 'wrong' })
    expect(stranger!.map(({ status }) => status)).toEqual([200])
    const { body: after } = await job(reprise, user, jobId)
    expect(after).toMatchObject({ stage: 'STAGE_50_SUNO_SUCCESS', audioUrl: before.audioUrl, error: null })
    expect(await balance(reprise, user)).toEqual(tokens)
    expect(downloads()).toBe(fetched)
    await expectWholeSongs(reprise, user, jobId)
  })

  it('a task that nobody knows is answered 200 and parked; nonsense is answered 200 and forgotten', async () => {
    const post = (body: unknown, query = '') => reprise.call('POST', WEBHOOK + query, { body })
    expect(await post(complete('task-from-nowhere', 'https://example.com/x.mp3'), '?token=guessed')).toMatchObject({ status: 200, body: { success: true } })
    const parked = () => reprise.database.db.query('select provider, task_id from reprise.parked_callbacks')
    expect((await parked()).rows).toContainEqual({ provider: 'suno', task_id: 'task-from-nowhere' })
    const { rowCount } = await parked()
    for (const body of ['', 'null', '[]', '{broken', '"text"', '{"code":200}', '\u0000']) expect((await post(body)).status).toBe(200)
    expect((await parked()).rowCount).toBe(rowCount)
  })

  it('what arrives after the time-out is kept: the stage stays 99, the song can be played, nothing is charged', async () => {
    // At Suno's own pace the first song is a minute and more away: only `advance` below brings it.
    reprise.simulator.control.setSpeed(1)
    const { jobId } = await begin(reprise, user, 'slower than anyone waits')
    const taskId = await taskOf(reprise, user, jobId)
    await jobWhen(reprise, user, jobId, (one) => one.stage === 'STAGE_40_SUNO_PENDING')
    await reprise.wired.db.setClockOffset((offset += 61_000))
    const { body } = await jobWhen(reprise, user, jobId, ended)
    expect(body).toMatchObject({ stage: 'STAGE_99_TIMEOUT', error: expect.stringContaining('(1 минута)') })
    expect(body).not.toHaveProperty('arrivedLate')
    const tokens = await balance(reprise, user)

    reprise.simulator.control.advance(3_600_000)
    const late = (await jobWhen(reprise, user, jobId, (one) => one.arrivedLate === true && one.audioUrl !== null)).body
    expect(late).toMatchObject({ stage: 'STAGE_99_TIMEOUT', error: body.error, sunoTaskId: taskId })
    const played = Buffer.from(await (await fetch(late.audioUrl)).arrayBuffer())
    expect(played).toHaveLength((await reprise.simulator.control.file(taskId, 0))!.bytes)
    expect(await balance(reprise, user)).toEqual(tokens)
    expect(await ledgerViolations(reprise)).toEqual([])
  })
})

describe('seed 001: a callback is a hint, never a fact', () => {
  let reprise: Harness
  let user: TestUser
  let evil: { url: string; hits: string[]; server: Server }
  beforeAll(async () => {
    evil = await startCanary()
    // At Suno's own pace of polling, so that only callbacks cause questions; the canary would be allowed to serve files.
    reprise = await startHarness({ timeScale: 1, deadlineSec: 600, simulator: { speed: 500 }, downloadAllowHosts: ['127.0.0.1'] })
    user = await reprise.user('target', 10_000)
  })
  afterAll(async () => {
    await reprise.close()
    evil.server.closeAllConnections()
    evil.server.close()
  })
  const post = async (body: unknown, token?: string) => {
    const began = performance.now()
    const { status } = await reprise.call('POST', `${WEBHOOK}${token === undefined ? '' : `?token=${token}`}`, { body })
    return { status, ms: performance.now() - began }
  }
  const asked = (taskId: string) => reprise.simulator.control.log().filter((entry) => entry.path.endsWith('/record-info') && entry.taskId === taskId).length

  it('a flood of forged callbacks is answered fast, asks the provider once in 5 seconds at most, and downloads nothing', async () => {
    const { jobId } = await begin(reprise, user, 'wanted by forgers [[fault:never-finishes]]')
    const taskId = await taskOf(reprise, user, jobId)
    await jobWhen(reprise, user, jobId, (one) => one.stage === 'STAGE_40_SUNO_PENDING')
    const before = asked(taskId)
    const began = performance.now()
    const times: number[] = []
    const forger = async (number: number) => {
      for (let i = 0; i < 50; i++) {
        const { status, ms } = await post(complete(taskId, `${evil.url}/song.mp3`), i % 2 ? `forged-${number}-${i}` : undefined)
        expect(status).toBe(200)
        times.push(ms)
      }
    }
    await Promise.all(Array.from({ length: 10 }, (_, number) => forger(number)))
    const seconds = (performance.now() - began) / 1000
    const p99 = times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)]!
    console.log(`500 callbacks: p50 ${times[250]!.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`)
    expect(p99).toBeLessThan(1_000)
    expect(asked(taskId) - before).toBeLessThanOrEqual(1 + Math.ceil(seconds / 5))
    expect((await job(reprise, user, jobId)).body).toMatchObject({ stage: 'STAGE_40_SUNO_PENDING', audioUrl: null, error: null })
    expect(evil.hits).toEqual([])
  })

  it('a forged failure does not end a run', async () => {
    const { jobId } = await begin(reprise, user, 'said to have failed [[fault:never-finishes]]')
    const taskId = await taskOf(reprise, user, jobId)
    const failed = { code: 400, msg: 'sensitive words', data: { callbackType: 'error', task_id: taskId, data: null } }
    await post(failed, 'forged')
    expect((await reprise.simulator.control.sendCallback({ taskId, type: 'error' }))!.map(({ status }) => status)).toEqual([200])
    await eventually(() => asked(taskId), (times) => times > 0)
    expect((await job(reprise, user, jobId)).body).toMatchObject({ stage: 'STAGE_40_SUNO_PENDING', error: null })
  })

  it('a body with the wrong token is not believed even when the provider cannot be asked', async () => {
    const { jobId } = await begin(reprise, user, 'unreachable and wanted [[fault:callback-never]] [[fault:poll-http-500]]')
    const taskId = await taskOf(reprise, user, jobId)
    await passChecks(jobId, taskId, () => post(complete(taskId, `${evil.url}/song.mp3`), 'forged'))
    expect((await job(reprise, user, jobId)).body).toMatchObject({ stage: 'STAGE_30_SUNO_TASK_CREATED', audioUrl: null })
    expect(evil.hits).toEqual([])
  })

  it('with the right token, and the provider unreachable three times, the body is believed', async () => {
    const { jobId } = await begin(reprise, user, 'unreachable but told [[fault:callback-never]] [[fault:poll-http-500]]')
    const taskId = await taskOf(reprise, user, jobId)
    const tell = () => reprise.simulator.control.sendCallback({ taskId, type: 'complete' })
    await eventually(() => reprise.simulator.control.tasks().find((task) => task.taskId === taskId)!.status, (status) => status === 'SUCCESS')
    await tell()
    await eventually(() => asked(taskId), (times) => times === 1)
    expect((await job(reprise, user, jobId)).body).toMatchObject({ stage: 'STAGE_40_SUNO_PENDING', audioUrl: null })
    await passChecks(jobId, taskId, () => undefined)
    expect((await jobWhen(reprise, user, jobId, ended)).body.stage).toBe('STAGE_50_SUNO_SUCCESS')
    await expectWholeSongs(reprise, user, jobId)
    expect(evil.hits).toEqual([])
  })

  it('the canary of these tests can sing: named with the right token, and nobody else to ask, it is asked', async () => {
    const { jobId } = await begin(reprise, user, 'told by the keeper of the token [[fault:callback-never]] [[fault:poll-http-500]]')
    const taskId = await taskOf(reprise, user, jobId)
    await reprise.simulator.control.sendCallback({ taskId, type: 'complete', body: complete(taskId, `${evil.url}/song.mp3`) })
    await eventually(() => asked(taskId), (times) => times === 1)
    expect(evil.hits).toEqual([])
    await passChecks(jobId, taskId, () => undefined, () => evil.hits.length > 0)
    expect((await job(reprise, user, jobId)).body.audioUrl).toBe(null)
  })

  it('nothing is asked or downloaded inside the callback: with the workers stopped not one request goes out', async () => {
    const { jobId } = await begin(reprise, user, 'told while nobody works [[fault:callback-never]]')
    const taskId = await taskOf(reprise, user, jobId)
    await reprise.wired.engine.stop()
    const before = reprise.simulator.control.log().length
    const sent = await reprise.simulator.control.sendCallback({ taskId, type: 'complete', times: 3 })
    expect(sent!.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(reprise.simulator.control.log()).toHaveLength(before)
    expect((await job(reprise, user, jobId)).body).toMatchObject({ stage: 'STAGE_40_SUNO_PENDING', audioUrl: null })
  })

  let offset = 0
  /** Lets time pass for three more checks in vain, each at most 15 s after the one before. */
  async function passChecks(jobId: string, taskId: string, before: () => unknown, enough = () => false): Promise<void> {
    for (let check = 0; check < 3; check++) {
      const times = asked(taskId)
      await before()
      await reprise.wired.db.setClockOffset((offset += 16_000))
      reprise.wired.engine.waker.wake(['attend'])
      const look = async () => asked(taskId) > times || enough() || (await job(reprise, user, jobId)).body.stage === 'STAGE_50_SUNO_SUCCESS'
      await eventually(look, Boolean)
    }
  }
})

/** A server on this machine that must never be asked for anything. */
async function startCanary(): Promise<{ url: string; hits: string[]; server: Server }> {
  const hits: string[] = []
  const server = createServer((request, response) => {
    hits.push(request.url ?? '')
    response.writeHead(200, { 'content-type': 'audio/mpeg' }).end('song')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, hits, server }
}
