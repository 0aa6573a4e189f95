import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { info, startReceiver, startTiny, submit, type Receiver } from '../testing/harness.ts'
import { withToken } from './callbacks.ts'

let simulator: Simulator
let receiver: Receiver
beforeEach(async () => {
  simulator = await startTiny()
  receiver = await startReceiver()
})
afterEach(async () => {
  await simulator.close()
  await receiver.close()
})

const types = () => receiver.got.map(({ body }) => body.data.callbackType)
const settle = () => new Promise((resolve) => setTimeout(resolve, 60))

describe('callbacks', () => {
  it('tell text, first and complete in snake_case (all but createTime), to the given address', async () => {
    const { data } = await submit(simulator.url, 'story', receiver.url)
    await receiver.reach(3)
    expect(types()).toEqual(['text', 'first', 'complete'])
    const { path, token, body } = receiver.got[2]!
    expect([path, token]).toEqual(['/callback', 'secret'])
    expect(body).toMatchObject({ code: 200, msg: 'All generated successfully.', data: { task_id: data.taskId } })
    expect(body.data.data).toHaveLength(2)
    const item = body.data.data[0]
    expect(Object.keys(item).sort()).toEqual(
      [
        'id',
        'audio_url',
        'source_audio_url',
        'stream_audio_url',
        'source_stream_audio_url',
        'image_url',
        'source_image_url',
        'prompt',
        'model_name',
        'title',
        'tags',
        'createTime',
        'duration',
      ].sort(),
    )
    const record = await info(simulator.url, data.taskId)
    expect(item.audio_url).toBe(record.response.sunoData[0].audioUrl)
    expect(receiver.got[0]!.body.data.data[0].audio_url).toBe('')
    expect(receiver.got[1]!.body.data.data.map((song: any) => song.audio_url === '')).toEqual([false, true])
  })

  it('are tried three times, then given up: CALLBACK_EXCEPTION with the audio in sunoData', async () => {
    receiver.status = 500
    const { data } = await submit(simulator.url, 'deaf [[fault:skip-text]] [[fault:skip-first]]', receiver.url)
    await receiver.reach(3)
    await settle()
    expect(types()).toEqual(['complete', 'complete', 'complete'])
    const record = await info(simulator.url, data.taskId)
    expect(record.status).toBe('CALLBACK_EXCEPTION')
    expect(record.response.sunoData[1].audioUrl).toContain('/files/audio/')
    expect(simulator.control.tasks()[0]!.callbacks.map((delivery) => delivery.status)).toEqual([500, 500, 500])
  })

  it('stay a SUCCESS when a later try is answered', async () => {
    receiver.status = 503
    receiver.onCallback = () => {
      if (receiver.got.length === 2) receiver.status = 200
    }
    const { data } = await submit(simulator.url, 'moody [[fault:skip-text]] [[fault:skip-first]]', receiver.url)
    await receiver.reach(2)
    await settle()
    expect(receiver.got).toHaveLength(2)
    expect((await info(simulator.url, data.taskId)).status).toBe('SUCCESS')
  })

  const orders: [string, string[]][] = [
    ['skip-text', ['first', 'complete']],
    ['skip-first', ['text', 'complete']],
    ['callback-double', ['text', 'text', 'first', 'first', 'complete', 'complete']],
    ['callback-reversed', ['complete', 'first', 'text']],
    ['sensitive', ['error']],
    ['create-failed', ['error']],
    ['audio-failed', ['text', 'error']],
    ['partial-then-fail', ['text', 'first', 'error']],
  ]
  it.each(orders)('with %s come as %j', async (fault, expected) => {
    await submit(simulator.url, `order [[fault:${fault}]]`, receiver.url)
    await receiver.reach(expected.length)
    await settle()
    expect(types()).toEqual(expected)
  })

  it('an error carries code and no songs', async () => {
    const { data } = await submit(simulator.url, 'bad words [[fault:sensitive]]', receiver.url)
    await receiver.reach(1)
    expect(receiver.got[0]!.body).toMatchObject({
      code: 400,
      data: { callbackType: 'error', task_id: data.taskId, data: null },
    })
    expect(await info(simulator.url, data.taskId)).toMatchObject({
      status: 'SENSITIVE_WORD_ERROR',
      errorCode: 400,
      response: null,
    })
  })

  it('callback-early comes before the submit is answered', async () => {
    const order: string[] = []
    receiver.onCallback = (body) => order.push(body.data.callbackType)
    await submit(simulator.url, 'hasty [[fault:callback-early]]', receiver.url)
    order.push('answered')
    expect(order[0]).toBe('text')
    await receiver.reach(3)
  })

  it('callback-never sends none and callback-exception says so', async () => {
    const never = await submit(simulator.url, 'x [[fault:callback-never]]', receiver.url)
    const exception = await submit(simulator.url, 'x [[fault:callback-exception]]', receiver.url)
    await settle()
    expect(receiver.got).toHaveLength(0)
    expect((await info(simulator.url, never.data.taskId)).status).toBe('SUCCESS')
    const record = await info(simulator.url, exception.data.taskId)
    expect(record.status).toBe('CALLBACK_EXCEPTION')
    expect(record.response.sunoData).toHaveLength(2)
  })

  it('callback-delay holds them back by the clock', async () => {
    await submit(simulator.url, 'x [[fault:callback-delay=60000]]', receiver.url)
    await settle()
    expect(receiver.got).toHaveLength(0)
    simulator.control.advance(60_000)
    await receiver.reach(3)
  })

  it('callback-forged carries a wrong token and is not repeated', async () => {
    receiver.status = 401
    await submit(simulator.url, 'x [[fault:callback-forged]]', receiver.url)
    await receiver.reach(3)
    await settle()
    expect(receiver.got.map(({ token }) => token)).toEqual(['forged', 'forged', 'forged'])
    expect(simulator.control.tasks()[0]!.status).toBe('SUCCESS')
  })

  it('callback-altered points at a stranger’s file that really exists', async () => {
    await submit(simulator.url, 'x [[fault:callback-altered]]', receiver.url)
    await receiver.reach(3)
    const [song] = receiver.got[2]!.body.data.data
    expect(receiver.got[2]!.token).toBe('secret')
    expect(song.audio_url).toBe(`${simulator.url}/files/decoy.mp3`)
    expect((await (await fetch(song.audio_url)).arrayBuffer()).byteLength).toBeGreaterThan(10_000)
  })

  it('can be sent by hand: forged, repeated, with any body', async () => {
    const { data } = await submit(simulator.url, 'x [[fault:callback-never]]', receiver.url)
    const sent = await simulator.control.sendCallback({
      taskId: data.taskId,
      type: 'complete',
      token: 'wrong',
      times: 2,
    })
    expect(sent!.map((delivery) => delivery.status)).toEqual([200, 200])
    await simulator.control.sendCallback({ taskId: data.taskId, type: 'complete', body: { hello: 'there' } })
    expect(receiver.got.map(({ token }) => token)).toEqual(['wrong', 'wrong', 'secret'])
    expect(receiver.got[2]!.body).toEqual({ hello: 'there' })
  })
})

describe('withToken', () => {
  it('replaces a query token, else the last part of the path', () => {
    expect(withToken('http://h/cb?segment=2&token=a', 'b')).toBe('http://h/cb?segment=2&token=b')
    expect(withToken('http://h/cb/suno/a', 'b')).toBe('http://h/cb/suno/b')
  })
})
