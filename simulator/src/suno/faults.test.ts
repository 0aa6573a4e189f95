import { request as rawRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseBuffer } from 'music-metadata'
import { faultTable } from '../faults.ts'
import type { Simulator } from '../simulator.ts'
import { info, startReceiver, startTiny, submit, type Receiver } from '../testing/harness.ts'

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

const send = (prompt: string, signal?: AbortSignal) =>
  fetch(`${simulator.url}/api/v1/generate`, {
    method: 'POST',
    headers: { authorization: 'Bearer demo' },
    body: JSON.stringify({ customMode: false, instrumental: false, model: 'V5', prompt, callBackUrl: receiver.url }),
    signal,
  })
/** Number of tasks made for this prompt. */
const made = (prompt: string) => simulator.control.tasks().filter((task) => task.prompt === prompt).length

describe('faults of the submit', () => {
  const cut: [string, number][] = [
    ['submit-drop', 1],
    ['submit-drop-before', 0],
  ]
  it.each(cut)('%s breaks the connection and leaves %i task', async (fault, tasks) => {
    await expect(send(`${fault} [[fault:${fault}]]`)).rejects.toThrow()
    expect(made(fault)).toBe(tasks)
  })

  it('submit-timeout accepts and never answers', async () => {
    await expect(send('silence [[fault:submit-timeout]]', AbortSignal.timeout(150))).rejects.toThrow(/timeout/i)
    expect(made('silence')).toBe(1)
  })

  const broken: [string, number, number][] = [
    ['http-500', 500, 0],
    ['http-503', 503, 0],
    ['html-502', 502, 0],
    ['http-500=created', 500, 1],
  ]
  it.each(broken)('%s answers HTTP %i and leaves %i task', async (fault, status, tasks) => {
    const response = await send(`${fault} [[fault:${fault}]]`)
    expect(response.status).toBe(status)
    expect(made(fault)).toBe(tasks)
    await response.text()
  })

  it('body codes come inside HTTP 200, also for the first n tries only', async () => {
    for (const code of [400, 401, 405, 409, 413, 429, 430, 455, 500]) {
      const response = await send(`x [[fault:code-${code}]]`)
      expect([response.status, (await response.json()).code]).toEqual([200, code])
    }
    const codes = []
    for (let i = 0; i < 3; i++) codes.push((await (await send('stubborn [[fault:code-405:2]]')).json()).code)
    expect(codes).toEqual([405, 405, 200])
    expect(made('stubborn')).toBe(1)
  })

  it('malformed-json and code-200-no-taskid make a task that the answer does not name', async () => {
    await expect(send('cut [[fault:malformed-json]]').then((response) => response.json())).rejects.toThrow()
    expect(made('cut')).toBe(1)
    expect(await (await send('nameless [[fault:code-200-no-taskid]]')).json()).toEqual({
      code: 200,
      msg: 'success',
      data: {},
    })
    expect(made('nameless')).toBe(1)
  })

  it('a misspelt fault is refused instead of doing nothing', async () => {
    expect(await (await send('x [[fault:no-such]]')).json()).toMatchObject({ code: 400, msg: 'unknown fault: no-such' })
  })

  it('tags are kept out of lyrics, titles and styles', async () => {
    const { data } = await submit(simulator.url, 'words [[fault:extra-fields]]', receiver.url, {
      customMode: true,
      title: 'Title [[fault:skip-text]]',
      style: 'folk [[fault:skip-first]]',
    })
    const [song] = (await info(simulator.url, data.taskId)).response.sunoData
    expect([song.title, song.tags, song.prompt]).toEqual(['Title', 'folk', 'words'])
  })
})

const finished = async (faults: string) => {
  const { data } = await submit(simulator.url, `g [[fault:${faults}]]`, receiver.url)
  return info(simulator.url, data.taskId)
}

describe('faults of the generation', () => {
  it('end in the failure that the service would name', async () => {
    expect(await finished('create-failed')).toMatchObject({ status: 'CREATE_TASK_FAILED', response: null })
    expect(await finished('audio-failed')).toMatchObject({
      status: 'GENERATE_AUDIO_FAILED',
      errorCode: 500,
      errorMessage: 'Internal Error, Please try again later.',
    })
    const partial = await finished('partial-then-fail')
    expect(partial.status).toBe('GENERATE_AUDIO_FAILED')
    expect(partial.response.sunoData).toHaveLength(1)
    expect((await fetch(partial.response.sunoData[0].audioUrl)).status).toBe(200)
  })

  it('a counted failure spares the same text afterwards', async () => {
    const text = 'once [[fault:audio-failed:1]]'
    const statuses = []
    for (let i = 0; i < 2; i++)
      statuses.push((await info(simulator.url, (await submit(simulator.url, text, receiver.url)).data.taskId)).status)
    expect(statuses).toEqual(['GENERATE_AUDIO_FAILED', 'SUCCESS'])
  })

  it('succeed with too little', async () => {
    expect((await finished('one-song')).response.sunoData).toHaveLength(1)
    expect((await finished('sunodata-null')).response.sunoData).toBeNull()
    expect((await finished('sunodata-empty')).response.sunoData).toEqual([])
    const half = await finished('no-audio-url@1')
    expect(half.response.sunoData.map((song: any) => song.audioUrl === '')).toEqual([false, true])
    expect((await finished('no-audio-url')).response.sunoData.every((song: any) => song.audioUrl === '')).toBe(true)
  })

  it('speak oddly', async () => {
    expect((await finished('snake-case')).response.data[0].audio_url).toContain('/files/audio/')
    expect(await finished('extra-fields')).toMatchObject({ status: 'SUCCESS', region: 'eu-7' })
    const odd = await submit(simulator.url, 'g [[fault:unknown-status=POLISHING]] [[fault:late=60]]', receiver.url)
    expect((await info(simulator.url, odd.data.taskId)).status).toBe('POLISHING')
    simulator.control.advance(60_000)
    expect((await info(simulator.url, odd.data.taskId)).status).toBe('SUCCESS')
  })

  it('never-finishes never does', async () => {
    const { data } = await submit(simulator.url, 'g [[fault:never-finishes]]', receiver.url)
    simulator.control.advance(3_600_000)
    expect((await info(simulator.url, data.taskId)).status).toBe('TEXT_SUCCESS')
  })

  it('id-change gives other audio ids at the end, and both serve the file', async () => {
    const { data } = await submit(simulator.url, 'g [[fault:id-change]] [[fault:late=60]]', receiver.url)
    const early = (await info(simulator.url, data.taskId)).response.sunoData
    simulator.control.advance(60_000)
    const final = (await info(simulator.url, data.taskId)).response.sunoData
    expect(early[0].id).not.toBe(final[0].id)
    for (const { id } of [early[0], final[0]])
      expect((await fetch(`${simulator.url}/files/audio/${id}.mp3`)).status).toBe(200)
  })

  it('disguise the loopback address in the audio URL', async () => {
    const port = new URL(simulator.url).port
    const address = async (fault: string) => (await finished(fault)).response.sunoData[0].audioUrl as string
    expect(await address('file-url-decimal')).toContain(`http://2130706433:${port}/files/`)
    expect(await address('file-url-mapped')).toContain(`http://[::ffff:127.0.0.1]:${port}/files/`)
    expect(await address('file-url-dns')).toContain(`http://localhost:${port}/files/`)
    expect(await address('file-url-dns=music.internal')).toContain(`http://music.internal:${port}/files/`)
  })
})

describe('faults of polls', () => {
  it('bite record-info, counted or set from outside, and the task itself is well', async () => {
    const { data } = await submit(simulator.url, 'polled [[fault:poll-http-500:1]]', receiver.url)
    const poll = () =>
      fetch(`${simulator.url}/api/v1/generate/record-info?taskId=${data.taskId}`, {
        headers: { authorization: 'Bearer demo' },
      })
    expect((await poll()).status).toBe(500)
    simulator.control.addFault({ fault: 'poll-code=455', match: 'polled', times: 1 })
    expect((await (await poll()).json()).code).toBe(455)
    simulator.control.addFault({ fault: 'poll-drop', times: 1 })
    await expect(poll()).rejects.toThrow()
    expect((await (await poll()).json()).data.status).toBe('SUCCESS')
    expect(simulator.control.faults()).toEqual([])
  })
})

/** What a careful downloader sees: status, headers, bytes, and whether the body ended as promised. */
const download = (url: string, enough = Infinity) =>
  new Promise<{
    status: number
    type: string
    length: string | undefined
    location: string | undefined
    bytes: Buffer
    broken: boolean
  }>((resolve, reject) => {
    const request = rawRequest(url, { agent: false }, (response) => {
      const pieces: Buffer[] = []
      let size = 0
      const done = (broken: boolean) => {
        const { headers } = response
        resolve({
          status: response.statusCode!,
          type: headers['content-type'] ?? '',
          length: headers['content-length'],
          location: headers.location,
          bytes: Buffer.concat(pieces),
          broken,
        })
        request.destroy()
      }
      response.on('data', (piece: Buffer) => {
        pieces.push(piece)
        size += piece.length
        if (size >= enough) done(true)
      })
      // A reset is told to the request as well as to the response.
      request.off('error', reject).on('error', () => done(true))
      response.on('error', () => done(true))
      response.on('end', () => done(false))
    })
    request.on('error', reject)
    request.end()
  })

describe('faults of files', () => {
  const fetchWith = async (fault: string, enough?: number) => {
    const { data } = await submit(simulator.url, `f [[fault:${fault}]]`, receiver.url)
    const song = (await info(simulator.url, data.taskId)).response.sunoData[0]
    const truth = (await simulator.control.file(data.taskId, 0))!
    return { song, truth, got: await download(song.audioUrl, enough) }
  }

  it('an HTML page comes with HTTP 200, under any content type', async () => {
    const { got } = await fetchWith('file-html')
    expect([got.status, got.type]).toEqual([200, 'text/html'])
    expect(got.bytes.toString()).toContain('<html>')
    expect((await fetchWith('file-html=audio/mpeg')).got.type).toBe('audio/mpeg')
  })

  it.each(['file-truncated', 'file-reset'])('%s promises the whole file and breaks off', async (fault) => {
    const { got, truth } = await fetchWith(fault)
    expect(got.length).toBe(String(truth.bytes))
    expect(got.bytes.length).toBeLessThan(truth.bytes)
    expect(got.broken).toBe(true)
  })

  it('file-cut is half a file whose length agrees', async () => {
    const { got, truth } = await fetchWith('file-cut')
    expect(got).toMatchObject({ length: String(truth.bytes >> 1), broken: false })
  })

  it('file-short is sound, and half as long as the service says', async () => {
    const { got, song } = await fetchWith('file-short')
    const { format } = await parseBuffer(got.bytes, { mimeType: 'audio/mpeg' }, { duration: true })
    expect(format.duration!).toBeCloseTo(song.duration / 2, 1)
  })

  it('file-empty, file-wrong-type and file-corrupt are no music', async () => {
    expect((await fetchWith('file-empty')).got).toMatchObject({ status: 200, length: '0' })
    const foreign = await fetchWith('file-wrong-type')
    expect(foreign.got.type).toBe('audio/mpeg')
    expect(foreign.got.bytes.subarray(1, 4).toString()).toBe('PNG')
    const corrupt = await fetchWith('file-corrupt')
    expect(corrupt.got.bytes.length).toBe(corrupt.truth.bytes)
    expect(corrupt.got.bytes[0]).toBe(0xff)
  })

  it('file-slow drips and file-hang stops', async () => {
    const slow = await fetchWith('file-slow=5000', 1000)
    expect(slow.got.bytes.length).toBeLessThan(2000)
    const hang = await fetchWith('file-hang', 1000)
    expect(hang.got.bytes.length).toBe(1000)
    expect(hang.got.length).toBe(String(hang.truth.bytes))
  })

  it('file-oversize pours without end', async () => {
    const announced = await fetchWith('file-oversize', 5_000_000)
    expect(Number(announced.got.length)).toBeGreaterThan(5e9)
    const silent = await fetchWith('file-oversize=chunked', 5_000_000)
    expect(silent.got.length).toBeUndefined()
  })

  it('file-redirect-private points inside', async () => {
    expect((await fetchWith('file-redirect-private')).got).toMatchObject({
      status: 302,
      location: 'http://127.0.0.1:1/song.mp3',
    })
    expect((await fetchWith('file-redirect-private=10.0.0.1')).got.location).toBe('http://10.0.0.1:1/song.mp3')
  })

  it('file-gone, file-503 and file-404:n answer with their status, the last for n downloads', async () => {
    expect((await fetchWith('file-gone')).got.status).toBe(410)
    expect((await fetchWith('file-503')).got.status).toBe(503)
    const { got, song } = await fetchWith('file-404:2')
    expect(got.status).toBe(404)
    expect((await download(song.audioUrl)).status).toBe(404)
    expect((await download(song.audioUrl)).status).toBe(200)
  })

  it('a variant limits them to one song, and covers have their own', async () => {
    const { data } = await submit(simulator.url, 'f [[fault:file-gone@1]] [[fault:cover-404@0]]', receiver.url)
    const [one, two] = (await info(simulator.url, data.taskId)).response.sunoData
    const status = async (url: string) => (await download(url)).status
    expect([await status(one.audioUrl), await status(two.audioUrl)]).toEqual([200, 410])
    expect([await status(one.imageUrl), await status(two.imageUrl)]).toEqual([404, 200])
  })

  it('cannot be set by a page in a browser', async () => {
    const headers = { origin: 'https://elsewhere.example' }
    const init = { method: 'POST', headers, body: '{"fault":"file-gone"}' }
    expect((await fetch(`${simulator.url}/control/faults`, init)).status).toBe(403)
    expect(simulator.control.faults()).toEqual([])
  })

  it('can be set from outside for songs that exist already', async () => {
    const { data } = await submit(simulator.url, 'already there', receiver.url)
    const [song] = (await info(simulator.url, data.taskId)).response.sunoData
    const rule = { fault: 'file-gone', match: 'already', times: 1 }
    const control = (method: string, path: string, body?: object) =>
      fetch(`${simulator.url}/control/${path}`, { method, body: body && JSON.stringify(body) }).then((response) =>
        response.json(),
      )
    expect(await control('POST', 'faults', rule)).toEqual({ ok: true })
    expect((await download(song.audioUrl)).status).toBe(410)
    expect((await download(song.audioUrl)).status).toBe(200)
    expect(await control('POST', 'faults', { fault: 'nonsense' })).toEqual({ error: 'unknown fault: nonsense' })
    expect((await control('GET', 'faults')).known).toHaveLength(faultTable.length)
    const log = await control('GET', 'log')
    expect(log.filter((entry: any) => entry.path === new URL(song.audioUrl).pathname)).toMatchObject([
      { method: 'GET', status: 410, taskId: data.taskId },
      { method: 'GET', status: 200, taskId: data.taskId },
    ])
    expect(JSON.stringify(log)).not.toContain('demo')
    expect((await control('GET', `files/${data.taskId}/0`)).url).toBe(song.audioUrl)
  })
})
