import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Simulator } from '../simulator.ts'
import { startTiny } from '../testing/harness.ts'

describe('the simulated Mureka', () => {
  let simulator: Simulator
  beforeEach(async () => {
    simulator = await startTiny()
  })
  afterEach(() => simulator.close())

  const call = async (method: string, path: string, body?: unknown, key = 'demo') => {
    const response = await fetch(simulator.url + path, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    return { status: response.status, body: (await response.json()) as any }
  }
  const generate = (prompt: string, more: object = {}) =>
    call('POST', '/v1/song/generate', { lyrics: '[Verse]\nRain\nand rain\n\n[Chorus]\nSun', prompt, n: 1, ...more })
  const query = (id: string) => call('GET', `/v1/song/query/${id}`)

  it('a song has its files, times in milliseconds and lyrics in sections, and neither title nor cover', async () => {
    const { status, body: made } = await generate('folk', { n: 3 })
    expect([status, made]).toEqual([200, expect.objectContaining({ id: expect.stringMatching(/^\d+$/), status: 'preparing' })])
    const { body: done } = await query(made.id)
    expect(done).toMatchObject({ id: made.id, status: 'succeeded', model: 'mureka-9' })
    expect(done.choices.map((choice: any) => choice.index)).toEqual([0, 1, 2])
    const hashes = new Set<string>()
    for (const choice of done.choices) {
      expect(choice).not.toHaveProperty('title')
      expect(choice.duration).toBeGreaterThan(1_900)
      expect(choice.lyrics_sections.map((part: any) => [part.section_type, part.lines.length])).toEqual([['verse', 2], ['chorus', 1]])
      const bytes = Buffer.from(await (await fetch(choice.url)).arrayBuffer())
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      expect((await simulator.control.file(made.id, choice.index))!.sha256).toBe(sha256)
      hashes.add(sha256)
    }
    expect(hashes.size).toBe(3)
  })

  it('a task goes through its phases, a streaming one can be heard before it is done', async () => {
    simulator.control.setSpeed(1)
    const { body } = await generate('slow', { stream: true })
    const seen: string[] = []
    for (let second = 0; second < 60; second += 0.5) {
      const { body: now } = await query(body.id)
      if (seen.at(-1) !== now.status) seen.push(now.status)
      if (now.status === 'streaming') expect(now.choices[0]).toMatchObject({ url: '', stream_url: expect.stringContaining('/files/stream/') })
      simulator.control.advance(500)
    }
    expect(seen).toEqual(['preparing', 'queued', 'running', 'streaming', 'succeeded'])
  })

  it('an instrumental has routes of its own', async () => {
    const { body } = await call('POST', '/v1/instrumental/generate', { prompt: 'piano' })
    expect((await query(body.id)).status).toBe(404)
    const { body: done } = await call('GET', `/v1/instrumental/query/${body.id}`)
    expect(done.choices).toHaveLength(2)
    expect(done.choices[0]).not.toHaveProperty('lyrics_sections')
  })

  it('lyrics are written at once', async () => {
    const { body } = await call('POST', '/v1/lyrics/generate', { prompt: 'night bus' })
    expect(body).toEqual({ title: 'Night bus', lyrics: expect.stringContaining('[Verse]') })
  })

  it('what is wrong is said by HTTP status, and no task is made', async () => {
    expect(await call('GET', '/v1/account/billing', undefined, 'wrong')).toMatchObject({ status: 401, body: { error: { message: 'Invalid Authentication' } } })
    for (const wrong of [{ lyrics: '' }, { lyrics: 'x'.repeat(3001) }, { prompt: 'x'.repeat(1025) }, { n: 4 }, { n: 0 }, { model: 'chirp' }]) {
      expect((await generate('wrong', wrong)).status).toBe(400)
    }
    expect(simulator.control.tasks()).toEqual([])
  })

  it('both meanings of 429: no money, and too many tasks at once', async () => {
    simulator.control.setMureka({ balance: 4, concurrent: 1 })
    simulator.control.setSpeed(1)
    expect((await generate('first')).status).toBe(200)
    expect(await generate('second')).toMatchObject({ status: 429, body: { error: { message: expect.stringContaining('quota') } } })
    simulator.control.setMureka({ balance: 100 })
    expect(await generate('third')).toMatchObject({ status: 429, body: { error: { message: expect.stringContaining('too quickly') } } })
    expect((await call('GET', '/v1/account/billing')).body).toMatchObject({ balance: 100, concurrent_request_limit: 1 })
    simulator.control.advance(60_000)
    expect((await generate('fourth')).status).toBe(200)
  })

  it.each([
    ['sensitive', 'failed'], ['audio-failed', 'failed'], ['timed-out', 'timeouted'], ['cancelled', 'cancelled'],
  ])('%s ends in %s', async (fault, status) => {
    const { body } = await generate(`song [[fault:${fault}]]`)
    expect((await query(body.id)).body.status).toBe(status)
  })

  it.each([['code-429', 429], ['code-405', 429], ['code-403', 403], ['code-455', 503], ['http-500', 500]])('%s refuses the submit with %i', async (fault, status) => {
    expect((await generate(`song [[fault:${fault}]]`)).status).toBe(status)
    expect(simulator.control.tasks()).toEqual([])
  })

  it('a submit that gets no answer may have made the task all the same', async () => {
    await expect(generate('lost [[fault:submit-drop]]')).rejects.toThrow()
    expect(simulator.control.tasks()).toMatchObject([{ provider: 'mureka', prompt: 'lost', status: 'succeeded' }])
  })
})
