import { parseBuffer } from 'music-metadata'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { ask, info, startReceiver, startTiny, submit, type Receiver } from '../testing/harness.ts'

let simulator: Simulator
let receiver: Receiver
beforeAll(async () => {
  simulator = await startTiny()
  receiver = await startReceiver()
})
afterAll(async () => {
  await simulator.close()
  await receiver.close()
})

const post = (body: object, key = 'demo') =>
  fetch(`${simulator.url}/api/v1/generate`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  })
const good = () => ({
  customMode: true,
  instrumental: false,
  model: 'V5',
  callBackUrl: receiver.url,
  prompt: '[Verse]\nhome again',
  style: 'indie folk, 92 bpm',
  title: 'Night Bus',
})

describe('POST /api/v1/generate', () => {
  const refusals: [string, object, number, string][] = [
    ['no instrumental', { instrumental: undefined }, 400, 'instrumental cannot be null'],
    ['no customMode', { customMode: undefined }, 400, 'customMode cannot be null'],
    ['an empty callBackUrl', { callBackUrl: '' }, 400, 'Please enter callBackUrl.'],
    ['an unknown model', { model: 'V99' }, 400, 'model is invalid'],
    ['custom mode without style', { style: '' }, 400, 'style cannot be empty'],
    ['custom mode without title', { title: undefined }, 400, 'title cannot be empty'],
    ['custom vocal mode without lyrics', { prompt: '' }, 400, 'prompt cannot be empty'],
    [
      'lyrics over 5000 characters',
      { prompt: 'x'.repeat(5001) },
      413,
      'The prompt is too long. It cannot exceed 5000 characters.',
    ],
    [
      'a V4 style over 200 characters',
      { model: 'V4', style: 'x'.repeat(201) },
      413,
      'The style is too long. It cannot exceed 200 characters.',
    ],
    [
      'an idea over 500 characters',
      { customMode: false, prompt: 'x'.repeat(501) },
      413,
      'The prompt is too long. It cannot exceed 500 characters.',
    ],
    ['a weight over 1', { styleWeight: 1.2 }, 400, 'styleWeight must be between 0 and 1'],
    ['a wrong vocalGender', { vocalGender: 'x' }, 400, 'vocalGender must be m or f'],
    ['a duration for V5', { duration: 60 }, 400, 'duration is not supported by V5'],
  ]
  it.each(refusals)('refuses %s as HTTP 200 with the code in the body', async (_name, change, code, msg) => {
    const response = await post({ ...good(), ...change })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ code, msg, data: null })
  })

  it('answers a wrong key with body code 401, and tells no balance either', async () => {
    const response = await post(good(), 'stolen')
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({ code: 401, data: null })
    expect(await ask(simulator.url, '/api/v1/generate/credit', { headers: {} })).toMatchObject({ code: 401 })
  })

  it('needs no lyrics for an instrumental', async () => {
    expect(await (await post({ ...good(), instrumental: true, prompt: undefined })).json()).toMatchObject({ code: 200 })
  })

  it('answers an unknown path with body code 404', async () => {
    expect(await ask(simulator.url, '/api/v1/nothing')).toMatchObject({ code: 404 })
  })

  it('rejects request 21 within ten seconds with body code 405, and lets it in after the window', async () => {
    simulator.control.setRate({ count: 20, windowMs: 10_000 })
    const codes: number[] = []
    for (let i = 0; i < 21; i++) codes.push((await submit(simulator.url, `burst ${i}`, receiver.url)).code)
    expect(codes.slice(0, 20).every((code) => code === 200)).toBe(true)
    expect(codes[20]).toBe(405)
    simulator.control.advance(10_001)
    expect((await submit(simulator.url, 'later', receiver.url)).code).toBe(200)
    simulator.control.setRate(null)
  })

  it('takes 12 credits for a task, refuses with 429 when they are gone, gives them back for a failed one', async () => {
    simulator.control.setCredits(30)
    const credits = async () => (await ask(simulator.url, '/api/v1/generate/credit')).data
    await submit(simulator.url, 'one', receiver.url)
    expect(await credits()).toBe(18)
    await submit(simulator.url, 'two [[fault:audio-failed]]', receiver.url)
    expect(await credits()).toBe(18)
    await submit(simulator.url, 'three [[fault:audio-failed]] [[fault:no-refund]]', receiver.url)
    expect(await credits()).toBe(6)
    const refused = await submit(simulator.url, 'four', receiver.url)
    expect(refused).toEqual({ code: 429, msg: 'The current credits are insufficient. Please top up.', data: null })
    simulator.control.setCredits(1_000_000)
  })
})

describe('GET /api/v1/generate/record-info', () => {
  it('tells two finished songs in camelCase, with the request as a JSON string and seconds as a float', async () => {
    const { data } = await (await post(good())).json()
    const record = await info(simulator.url, data.taskId)
    expect(record).toMatchObject({
      taskId: data.taskId,
      status: 'SUCCESS',
      type: 'GENERATE',
      operationType: 'generate',
      errorCode: null,
      errorMessage: null,
      response: { taskId: data.taskId },
    })
    expect(JSON.parse(record.param)).toMatchObject({ title: 'Night Bus', callBackUrl: receiver.url })
    expect(record.response.sunoData).toHaveLength(2)
    for (const song of record.response.sunoData) {
      expect(song).toMatchObject({
        title: 'Night Bus',
        tags: 'indie folk, 92 bpm',
        prompt: '[Verse]\nhome again',
        modelName: 'chirp-v5',
        createTime: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/),
      })
      const file = Buffer.from(await (await fetch(song.audioUrl)).arrayBuffer())
      const { format, common } = await parseBuffer(file, { mimeType: 'audio/mpeg' }, { duration: true })
      expect(Math.abs(format.duration! - song.duration)).toBeLessThan(0.1)
      expect(common.title).toBe('Night Bus')
    }
  })

  it('tells data null for a task it never saw', async () => {
    expect(await ask(simulator.url, '/api/v1/generate/record-info?taskId=nobody')).toEqual({
      code: 200,
      msg: 'success',
      data: null,
    })
  })

  it('composes addresses from the host the asker used', async () => {
    const { data } = await submit(simulator.url, 'hosts', receiver.url)
    const other = simulator.url.replace('127.0.0.1', 'localhost')
    const record = await info(other, data.taskId)
    expect(record.response.sunoData[0].audioUrl.startsWith(`${other}/files/`)).toBe(true)
  })

  it('goes through the stages at the real service’s pace, each file appearing with its stage', async () => {
    const slow = await startTiny({ speed: 1 })
    const { data } = await submit(slow.url, 'patience', receiver.url)
    const look = async () => {
      const record = await info(slow.url, data.taskId)
      return { status: record.status, songs: record.response?.sunoData ?? [] }
    }
    expect((await look()).status).toBe('PENDING')
    slow.control.advance(20_000)
    const text = await look()
    expect(text.status).toBe('TEXT_SUCCESS')
    expect(text.songs[0]).toMatchObject({ audioUrl: '', streamAudioUrl: '', duration: null })
    slow.control.advance(21_000)
    const stream = await look()
    expect(stream.status).toBe('TEXT_SUCCESS')
    expect((await fetch(stream.songs[1].streamAudioUrl)).status).toBe(200)
    expect((await fetch(`${slow.url}/files/audio/${stream.songs[0].id}.mp3`)).status).toBe(404)
    slow.control.advance(75_000)
    const first = await look()
    expect(first.status).toBe('FIRST_SUCCESS')
    expect((await fetch(first.songs[0].audioUrl)).status).toBe(200)
    expect(first.songs[1].audioUrl).toBe('')
    slow.control.advance(60_000)
    const all = await look()
    expect(all.status).toBe('SUCCESS')
    expect((await fetch(all.songs[1].audioUrl)).status).toBe(200)
    await slow.close()
  })
})

describe('files', () => {
  const songs = async (prompt: string) => {
    const { data } = await submit(simulator.url, prompt, receiver.url)
    return { taskId: data.taskId, songs: (await info(simulator.url, data.taskId)).response.sunoData }
  }

  it('honours ranges and HEAD', async () => {
    const {
      songs: [song],
    } = await songs('ranges')
    const whole = Buffer.from(await (await fetch(song.audioUrl)).arrayBuffer())
    const piece = await fetch(song.audioUrl, { headers: { range: 'bytes=100-199' } })
    expect(piece.status).toBe(206)
    expect(piece.headers.get('content-range')).toBe(`bytes 100-199/${whole.length}`)
    expect(Buffer.from(await piece.arrayBuffer()).equals(whole.subarray(100, 200))).toBe(true)
    const tail = await fetch(song.audioUrl, { headers: { range: 'bytes=-50' } })
    expect(Buffer.from(await tail.arrayBuffer()).equals(whole.subarray(-50))).toBe(true)
    const head = await fetch(song.audioUrl, { method: 'HEAD' })
    expect(head.headers.get('content-length')).toBe(String(whole.length))
    expect((await fetch(song.audioUrl, { headers: { range: 'bytes=99999999-' } })).status).toBe(416)
  })

  it('control tells the sha256 of the true file, and even shared songs are distinct files', async () => {
    const one = await songs('pooled')
    const two = await songs('pooled')
    const sums = []
    for (const { taskId } of [one, two])
      for (const index of [0, 1]) sums.push((await simulator.control.file(taskId, index))!.sha256)
    expect(new Set(sums).size).toBe(4)
    const served = Buffer.from(await (await fetch(one.songs[0].audioUrl)).arrayBuffer())
    const { createHash } = await import('node:crypto')
    expect(createHash('sha256').update(served).digest('hex')).toBe(sums[0])
  })

  it('a preview stream is never byte-equal to the finished file', async () => {
    const {
      songs: [song],
    } = await songs('preview')
    const [stream, final] = await Promise.all(
      [song.streamAudioUrl, song.audioUrl].map(async (url) => (await fetch(url)).arrayBuffer()),
    )
    expect(Buffer.from(stream!).equals(Buffer.from(final!))).toBe(false)
  })

  it('serves a JPEG cover for each song', async () => {
    const { songs: found } = await songs('covers')
    for (const song of found) {
      const cover = await fetch(song.imageUrl)
      expect(cover.headers.get('content-type')).toBe('image/jpeg')
      expect(
        Buffer.from(await cover.arrayBuffer())
          .subarray(0, 3)
          .toString('hex'),
      ).toBe('ffd8ff')
    }
  })

  it('vanish after fifteen days of the simulator’s clock', async () => {
    const {
      songs: [song],
    } = await songs('mortal')
    simulator.control.advance(14.9 * 86_400_000)
    expect((await fetch(song.audioUrl)).status).toBe(200)
    simulator.control.advance(0.2 * 86_400_000)
    expect((await fetch(song.audioUrl)).status).toBe(404)
    expect((await fetch(song.imageUrl)).status).toBe(404)
  })
})
