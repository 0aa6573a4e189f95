import { createHash, createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseFile } from 'music-metadata'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { startTiny } from '../testing/harness.ts'

interface Got {
  headers: Record<string, string>
  text: string
  body: any
}

/** Takes webhooks with their headers; answers what it is told to. */
async function startHook() {
  const got: Got[] = []
  const hook = { url: '', got, status: 200, close: () => new Promise((resolve) => server.close(resolve)) }
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += piece
    got.push({ headers: request.headers as Record<string, string>, text, body: JSON.parse(text) })
    response.writeHead(hook.status).end()
  })
  server.keepAliveTimeout = 1
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  hook.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=secret`
  return hook
}

describe('the simulated Replicate', () => {
  let simulator: Simulator
  let hook: Awaited<ReturnType<typeof startHook>>
  beforeEach(async () => {
    ;[simulator, hook] = await Promise.all([startTiny(), startHook()])
  })
  afterEach(async () => {
    await simulator.close()
    await hook.close()
  })

  const call = async (method: string, path: string, body?: unknown, key = 'demo') => {
    const response = await fetch(simulator.url + path, { method, headers: { authorization: `Bearer ${key}` }, body: body === undefined ? undefined : JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as any }
  }
  const create = (prompt: string, more: object = {}, input: object = {}) =>
    call('POST', '/v1/models/minimax/music-2.6/predictions', { input: { prompt, ...input }, webhook: hook.url, webhook_events_filter: ['start', 'completed'], ...more })
  const get = async (id: string) => (await call('GET', `/v1/predictions/${id}`)).body
  const reach = (count: number) => expect.poll(() => hook.got.length).toBe(count)
  const secret = async () => (await call('GET', '/v1/webhooks/default/secret')).body.key as string
  const fits = ({ headers, text }: Got, key: string) => {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`
    const signature = createHmac('sha256', Buffer.from(key.slice('whsec_'.length), 'base64')).update(signed).digest('base64')
    return headers['webhook-signature'] === `v1,${signature}`
  }

  it('a prediction starts, succeeds, names its file, and that is the true one', async () => {
    const { status, body } = await create('folk')
    expect([status, body]).toEqual([201, expect.objectContaining({ status: 'starting', output: null, model: 'minimax/music-2.6', data_removed: false })])
    const done = await get(body.id)
    expect(done).toMatchObject({ id: body.id, status: 'succeeded', error: null, metrics: { predict_time: 0 } })
    const file = await fetch(done.output)
    expect(file.headers.get('content-type')).toBe('audio/mpeg')
    const sha256 = createHash('sha256').update(Buffer.from(await file.arrayBuffer())).digest('hex')
    expect(await simulator.control.file(body.id, 0)).toMatchObject({ sha256, url: done.output })
  })

  it('a community model is asked for by its version, an official one without', async () => {
    const version = 'ab'.repeat(32)
    expect(await call('POST', '/v1/predictions', { version: `meta/musicgen:${version}`, input: { prompt: 'x' } })).toMatchObject({ status: 201, body: { model: 'meta/musicgen', version } })
    expect((await call('POST', '/v1/predictions', { version: 'meta/musicgen', input: { prompt: 'x' } })).status).toBe(422)
    expect((await call('POST', '/v1/predictions', { input: { prompt: 'x' } })).status).toBe(422)
    expect((await create('x', { version })).status).toBe(422)
  })

  it('a WAV is a WAV, as long as it was asked to be', async () => {
    const { body } = await create('wav', {}, { audio_format: 'wav', duration: 1 })
    const { output } = await get(body.id)
    expect(output).toMatch(/\.wav$/)
    const folder = mkdtempSync(join(tmpdir(), 'simulator-'))
    const path = join(folder, 'song.wav')
    writeFileSync(path, Buffer.from(await (await fetch(output)).arrayBuffer()))
    const { format } = await parseFile(path, { duration: true })
    rmSync(folder, { recursive: true })
    expect(format).toMatchObject({ container: 'WAVE', numberOfChannels: 2, bitsPerSample: 16 })
    expect(format.duration).toBeCloseTo(1, 1)
  })

  it('start and completed are told, each signed over its own bytes with the account secret', async () => {
    const { body } = await create('told')
    await reach(2)
    const key = await secret()
    expect(key).toMatch(/^whsec_/)
    expect(hook.got.map((one) => fits(one, key))).toEqual([true, true])
    expect(hook.got.map(({ body: told }) => [told.id, told.webhook])).toEqual([[body.id, hook.url], [body.id, hook.url]])
    expect(new Set(hook.got.map(({ headers }) => headers['webhook-id'])).size).toBe(2)
    expect(hook.got.at(-1)!.body).toMatchObject({ status: 'succeeded' })
    expect(Math.abs(Number(hook.got[0]!.headers['webhook-timestamp']) - Date.now() / 1000)).toBeLessThan(60)
  })

  it('only what was asked for is told', async () => {
    await create('completed only', { webhook_events_filter: ['completed'] })
    await reach(1)
    expect(simulator.control.tasks()[0]!.callbacks).toMatchObject([{ type: 'completed', status: 200 }])
  })

  it('what was not taken is tried three times under one id', async () => {
    hook.status = 500
    await create('refused', { webhook_events_filter: ['completed'] })
    await reach(3)
    expect(new Set(hook.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    await expect.poll(() => simulator.control.tasks()[0]!.callbacks.map((one) => one.status)).toEqual([500, 500, 500])
  })

  it.each(['callback-forged', 'callback-altered', 'callback-unsigned', 'callback-stale'])('%s makes callbacks that must not be believed, and no true ones', async (fault) => {
    await create(`song [[fault:${fault}]]`, { webhook_events_filter: ['completed'] })
    await reach(1)
    const got = hook.got[0]!
    const age = Date.now() / 1000 - Number(got.headers['webhook-timestamp'])
    expect(fits(got, await secret()) && age < 300).toBe(false)
  })

  it('by hand: repeated, old, with a foreign secret, with another body', async () => {
    const { body } = await create('by hand [[fault:callback-never]]')
    const key = await secret()
    await simulator.control.sendWebhook({ taskId: body.id, webhookId: 'msg_again', times: 2 })
    await simulator.control.sendWebhook({ taskId: body.id, ageSec: 600 })
    await simulator.control.sendWebhook({ taskId: body.id, secret: 'whsec_c3RyYW5nZXI=' })
    await simulator.control.sendWebhook({ taskId: body.id, body: { id: body.id, status: 'failed' } })
    await simulator.control.sendWebhook({ taskId: body.id, secret: null })
    expect(hook.got.map((one) => fits(one, key))).toEqual([true, true, true, false, false, false])
    expect(hook.got.slice(0, 2).map(({ headers }) => headers['webhook-id'])).toEqual(['msg_again', 'msg_again'])
    expect(Date.now() / 1000 - Number(hook.got[2]!.headers['webhook-timestamp'])).toBeGreaterThan(590)
  })

  it('a canceled one ends there and says so; what has ended cannot be canceled', async () => {
    simulator.control.setSpeed(1)
    const { body } = await create('cancel me')
    expect((await call('POST', `/v1/predictions/${body.id}/cancel`)).body).toMatchObject({ status: 'canceled', output: null })
    await reach(1)
    expect(hook.got[0]!.body).toMatchObject({ status: 'canceled' })
    simulator.control.advance(100_000)
    expect(await get(body.id)).toMatchObject({ status: 'canceled' })
    simulator.control.setSpeed(0)
    const other = await create('too late')
    expect((await call('POST', `/v1/predictions/${other.body.id}/cancel`)).body).toMatchObject({ status: 'succeeded' })
  })

  it('an hour after its end input, output, log and file are removed', async () => {
    const { body } = await create('gone soon')
    const { output } = await get(body.id)
    simulator.control.advance(3_500_000)
    expect((await fetch(output)).status).toBe(200)
    simulator.control.advance(200_000)
    expect(await get(body.id)).toMatchObject({ status: 'succeeded', data_removed: true, output: null, input: {}, logs: '' })
    expect((await fetch(output)).status).toBe(404)
  })

  it.each([
    ['sensitive', 'failed'], ['audio-failed', 'failed'], ['timed-out', 'aborted'], ['cancelled', 'canceled'],
  ])('%s ends in %s', async (fault, status) => {
    expect(await get((await create(`song [[fault:${fault}]]`)).body.id)).toMatchObject({ status, output: null })
  })

  it.each([['output-list', expect.arrayContaining([expect.stringContaining('/files/audio/')])], ['output-text', expect.stringContaining('la la')], ['no-audio-url', null], ['data-removed', null]])('%s changes the output', async (fault, output) => {
    expect(await get((await create(`song [[fault:${fault}]]`)).body.id)).toMatchObject({ status: 'succeeded', output })
  })

  it.each([['code-429', 402], ['code-405', 429], ['code-400', 422], ['code-401', 401], ['code-455', 503], ['http-500', 500]])('%s refuses the submit with %i', async (fault, status) => {
    expect((await create(`song [[fault:${fault}]]`)).status).toBe(status)
    expect(simulator.control.tasks()).toEqual([])
  })

  it('too many submits are throttled, and told how long', async () => {
    await simulator.close()
    simulator = await startTiny({ replicateRate: { count: 1, windowMs: 60_000 } })
    expect((await create('one')).status).toBe(201)
    expect(await create('two')).toMatchObject({ status: 429, body: { detail: expect.stringContaining('resets in ~30s') } })
    expect((await call('GET', '/v1/predictions/none', undefined, 'wrong')).status).toBe(401)
  })

  it('predictions, cancellations and pending webhooks survive a restart', async () => {
    await simulator.close()
    const data = mkdtempSync(join(tmpdir(), 'simulator-'))
    simulator = await startTiny({ data, speed: 1 })
    const kept = await create('kept')
    const canceled = await create('canceled')
    await call('POST', `/v1/predictions/${canceled.body.id}/cancel`)
    await reach(1)
    await simulator.close()
    simulator = await startTiny({ data, speed: 1 })
    expect(await get(canceled.body.id)).toMatchObject({ status: 'canceled' })
    simulator.control.advance(60_000)
    await expect.poll(() => hook.got.filter(({ body }) => body.id === kept.body.id && body.status === 'succeeded').length).toBeGreaterThan(0)
    expect(hook.got.filter(({ body }) => body.id === canceled.body.id)).toHaveLength(1)
    rmSync(data, { recursive: true, force: true })
  })
})
