import { createHash } from 'node:crypto'
import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { startTiny } from '../testing/harness.ts'

describe('the simulated Google', () => {
  let simulator: Simulator
  beforeEach(async () => {
    simulator = await startTiny()
  })
  afterEach(() => simulator.close())

  const call = async (parts: unknown[], imageConfig: object = {}, { model = 'gemini-3.1-flash-image', key = 'demo', signal }: { model?: string; key?: string; signal?: AbortSignal } = {}) => {
    const response = await fetch(`${simulator.url}/v1beta/models/${model}:generateContent`, {
      method: 'POST', headers: { 'x-goog-api-key': key, 'content-type': 'application/json' }, signal,
      body: JSON.stringify({ contents: [{ role: 'user', parts }], generationConfig: { responseModalities: ['TEXT', 'IMAGE'], imageConfig } }),
    })
    return { status: response.status, body: (await response.json()) as any }
  }
  const draw = async (prompt: string, imageConfig: object = {}, more: object = {}) => (await call([{ text: prompt }], imageConfig, more)).body
  const bytesOf = (body: any) => Buffer.from(body.candidates[0].content.parts.at(-1).inlineData.data, 'base64')

  it.each([['3:4', 0.75], ['1:1', 1], ['4:5', 0.8], ['9:16', 9 / 16], ['16:9', 16 / 9], ['4:3', 4 / 3], ['2:3', 2 / 3], ['3:2', 1.5]])('a picture asked for in %s has that shape', async (aspectRatio, shape) => {
    const { width, height, format } = await sharp(bytesOf(await draw('a kettle', { aspectRatio }))).metadata()
    expect(format).toBe('png')
    expect(Math.abs(width / height / shape - 1)).toBeLessThan(0.06)
  })

  it('sizes differ, the other model makes JPEG, and another prompt makes another picture', async () => {
    const [small, large] = await Promise.all([draw('a kettle', { imageSize: '512' }), draw('a kettle', { imageSize: '2K' }, { model: 'gemini-3-pro-image' })])
    expect(await sharp(bytesOf(small)).metadata()).toMatchObject({ width: 64, format: 'png' })
    expect(await sharp(bytesOf(large)).metadata()).toMatchObject({ width: 256, format: 'jpeg' })
    const pictures = [await draw('a kettle'), await draw('a kettle'), await draw('a boat'), await draw('a boat\nStyle: ink')]
    expect(new Set(pictures.map((body) => createHash('sha256').update(bytesOf(body)).digest('hex'))).size).toBe(4)
  })

  it('the picture that was sent along is seen in the picture', async () => {
    const red = (await sharp({ create: { width: 40, height: 40, channels: 3, background: '#ff0000' } }).png().toBuffer()).toString('base64')
    const { body } = await call([{ text: 'a kettle like this' }, { inlineData: { mimeType: 'image/png', data: red } }])
    const corner = await sharp(bytesOf(body)).extract({ left: 10, top: 10, width: 1, height: 1 }).raw().toBuffer()
    expect([...corner.subarray(0, 3)]).toEqual([255, 0, 0])
  })

  it('control tells of each picture that was made, with its true hash', async () => {
    const body = await draw('a kettle')
    expect(simulator.control.tasks()).toMatchObject([{ provider: 'google', taskId: body.responseId, prompt: 'a kettle' }])
    expect(await simulator.control.file(body.responseId, 0)).toMatchObject({ sha256: createHash('sha256').update(bytesOf(body)).digest('hex') })
  })

  it.each([
    ['code-400', 400, 'INVALID_ARGUMENT'], ['code-403', 403, 'PERMISSION_DENIED'], ['code-404', 404, 'NOT_FOUND'], ['code-413', 400, 'INVALID_ARGUMENT'],
    ['code-429', 429, 'RESOURCE_EXHAUSTED'], ['code-455', 503, 'UNAVAILABLE'], ['code-500', 500, 'INTERNAL'], ['code-504', 504, 'DEADLINE_EXCEEDED'], ['model-gone', 404, 'NOT_FOUND'],
  ])('%s answers HTTP %i %s and makes nothing', async (fault, status, name) => {
    expect(await call([{ text: `a kettle [[fault:${fault}]]` }])).toMatchObject({ status, body: { error: { code: status, status: name } } })
    expect(simulator.control.tasks()).toEqual([])
  })

  it.each([
    ['blocked', { promptFeedback: { blockReason: 'PROHIBITED_CONTENT' } }], ['finish-reason=SPII', { candidates: [{ finishReason: 'SPII' }] }],
    ['sensitive', { candidates: [{ finishReason: 'SAFETY' }] }], ['no-image', { candidates: [{ finishReason: 'STOP', content: { parts: [{ text: expect.any(String) }] } }] }],
  ])('%s answers 200 without a picture', async (fault, body) => {
    expect(await call([{ text: `a kettle [[fault:${fault}]]` }])).toMatchObject({ status: 200, body })
  })

  it('a fault with a count bites that often, whatever is said after the prompt', async () => {
    const again = () => call([{ text: 'a kettle [[fault:no-image:1]]' }, { text: 'a picture, please' }])
    expect((await again()).body.candidates[0].content.parts).toHaveLength(1)
    expect((await again()).body.candidates[0].content.parts).toHaveLength(2)
  })

  it('submit-timeout makes the picture and never answers; a slow one answers late', async () => {
    await expect(call([{ text: 'a kettle [[fault:submit-timeout]]' }], {}, { signal: AbortSignal.timeout(300) })).rejects.toThrow()
    expect(simulator.control.tasks()).toHaveLength(1)
    expect((await draw('a boat [[fault:submit-slow=50]]')).candidates).toHaveLength(1)
  })

  it('wrong requests, keys and models are refused as Google does', async () => {
    expect(await call([])).toMatchObject({ status: 400 })
    expect(await call([{ text: 'x' }], { aspectRatio: '7:5' })).toMatchObject({ status: 400, body: { error: { status: 'INVALID_ARGUMENT' } } })
    expect(await call([{ text: 'x' }, { inlineData: { mimeType: 'image/png', data: 'AAAA' } }])).toMatchObject({ status: 400, body: { error: { message: expect.stringContaining('input image') } } })
    expect(await call([{ text: 'x' }], {}, { key: 'wrong' })).toMatchObject({ status: 400, body: { error: { details: [{ reason: 'API_KEY_INVALID' }] } } })
    expect((await call([{ text: 'x' }], {}, { key: 'demo-2' })).status).toBe(200)
    expect(await call([{ text: 'x' }], {}, { model: 'gemini-2.5-flash-image' })).toMatchObject({ status: 404 })
  })
})
