import { request } from 'node:http'
import { createRoute, z } from '@hono/zod-openapi'
import { describe, expect, it } from 'vitest'
import { AppError } from '../kernel/errors.ts'
import { functionsErrors } from './functions.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from './openapi.ts'
import { serveTestApp } from './testing.ts'

const song = z.strictObject({
  prompt: z.string().min(3).max(10),
  model: z.enum(['V4', 'V5']).optional(),
  count: z.int().min(1).optional(),
  mail: z.email().optional(),
  parts: z.array(z.object({ name: z.string() })).optional(),
  even: z.int().optional().refine((n) => n === undefined || n % 2 === 0, { message: 'odd', params: { rule: 'even' } }),
})

function routes(app: App): void {
  const router = createRouter()
  router.openapi(
    createRoute({
      method: 'post',
      path: '/api/songs/{id}',
      request: { params: z.object({ id: z.uuid() }), body: jsonBody(song) },
      responses: { 200: jsonResponse(song, 'ok'), ...problemResponses('validation_failed', 'unauthorized') },
    }),
    (c) => c.json(c.req.valid('json'), 200),
  )
  app.route('/', router)
  app.get('/boom', () => {
    throw new Error('password=hunter2 in table users')
  })
  app.get('/away', () => {
    throw Object.assign(new Error('terminating connection'), { code: '57P01' })
  })
  app.get('/poor', () => {
    throw new AppError('insufficient_tokens', { required: 10, available: 3, code: 'never', status: 1 })
  })
  app.get('/full', () => {
    throw new AppError('queue_full', { retryAfterSec: 12.3 })
  })
  app.get('/functions/v1/thing', () => {
    throw new AppError('too_many_requests', { retryAfterSec: 5 })
  })
  for (const path of ['/functions/v1/job', '/api/job']) {
    app.get(path, () => {
      throw new AppError('validation_failed', {}, [{ path: 'photos', rule: 'too_many_photos', message: '', params: { maximum: 3 } }])
    })
  }
}

const SONG = '/api/songs/11111111-2222-4333-8444-555555555555'
const isTransient = (error: unknown) => (error as { code?: string }).code === '57P01'
const start = () => serveTestApp(routes, { isTransient, formats: [functionsErrors], language: 'en' })
const post = (body: string, headers: Record<string, string> = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body,
})

describe('problems', () => {
  it('an error has its whole shape, its parameters, and a text in the language asked for', async () => {
    await using server = await start()
    const response = await server.fetch('/poor', { headers: { 'accept-language': 'ru' } })
    const problem = (await response.json()) as Record<string, unknown>
    expect(response.status).toBe(402)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(problem).toEqual({
      type: '/docs#insufficient_tokens',
      title: 'Недостаточно токенов',
      status: 402,
      detail: expect.stringContaining('нужно 10, доступно 3'),
      code: 'insufficient_tokens',
      instance: '/poor',
      requestId: expect.stringMatching(/^req_\d{13}_[0-9a-f]{10}$/),
      retryable: false,
      charged: false,
      errors: [],
      required: 10,
      available: 3,
    })
    expect(response.headers.get('x-request-id')).toBe(problem['requestId'])
    expect(await (await server.fetch('/poor?lang=fr')).json()).toMatchObject({ title: 'Pas assez de jetons' })
  })

  it('a wrong field is told in the reader’s language; by the seeds’ functions in theirs, whatever the browser says, until ?lang= asks for another', async () => {
    await using server = await start()
    const told = async (path: string) => ((await (await server.fetch(path, { headers: { 'accept-language': 'ru' } })).json()) as { errors: object[] }).errors
    const field = { path: 'photos', rule: 'too_many_photos' }
    expect(await told('/api/job')).toEqual([{ ...field, message: 'Не больше 3 фото товара.' }])
    expect(await told('/functions/v1/job')).toEqual([{ ...field, message: 'At most 3 photos of the product.' }])
    expect(await told('/functions/v1/job?lang=fr')).toEqual([{ ...field, message: 'Au plus 3 photos du produit.' }])
  })

  it('an unexpected error leaks nothing and names its request', async () => {
    await using server = await start()
    const response = await server.fetch('/boom')
    const body = await response.text()
    expect(response.status).toBe(500)
    expect(body).not.toMatch(/hunter2|users|stack|problem\.test/)
    expect(JSON.parse(body)).toMatchObject({ code: 'internal', retryable: true })
    expect(JSON.parse(body).detail).toContain(response.headers.get('x-request-id'))
  })

  it('a database that is away is 503 with Retry-After', async () => {
    await using server = await start()
    const response = await server.fetch('/away')
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('2')
    expect(await response.json()).toMatchObject({ code: 'service_unavailable' })
  })

  it('Retry-After is a whole number of seconds, never too early', async () => {
    await using server = await start()
    expect((await server.fetch('/full')).headers.get('retry-after')).toBe('13')
  })

  it('an unknown address is 404, a known one with another method 405 with Allow', async () => {
    await using server = await start()
    expect(await (await server.fetch('/nowhere')).json()).toMatchObject({ code: 'not_found', status: 404 })
    const wrong = await server.fetch(SONG, { method: 'DELETE' })
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toBe('OPTIONS, POST')
    expect(await wrong.json()).toMatchObject({ code: 'method_not_allowed', detail: expect.stringContaining('POST') })
    expect((await server.fetch('/poor', { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD, OPTIONS')
  })

  it("a seed's endpoints answer in their own format, with the same headers", async () => {
    await using server = await start()
    const response = await server.fetch('/functions/v1/thing')
    expect(response.status).toBe(429)
    expect(response.headers.get('retry-after')).toBe('5')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
    expect(await response.json()).toEqual({
      success: false,
      error: expect.stringContaining('Too many'),
      code: 'TOO_MANY_REQUESTS',
      retryAfterSec: 5,
      requestId: response.headers.get('x-request-id'),
    })
    expect(await (await server.fetch('/functions/v1/none')).json()).toMatchObject({ success: false, code: 'NOT_FOUND' })
  })
})

describe('bodies', () => {
  it('broken JSON is 400, another content type 415', async () => {
    await using server = await start()
    expect(await (await server.fetch(SONG, post('{"prompt":'))).json()).toMatchObject({ code: 'malformed_body' })
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x'])
      expect((await server.fetch(SONG, post('{}', { 'content-type': type }))).status).toBe(415)
    const untyped = { method: 'POST', body: new Uint8Array([123, 125]) }
    expect((await server.fetch(SONG, untyped)).status).toBe(415)
  })

  it('a body over the limit is 413, whether it tells its length or not', async () => {
    await using server = await start()
    const large = JSON.stringify({ prompt: 'x'.repeat(101 * 1024) })
    const told = await server.fetch(SONG, post(large))
    expect(told.status).toBe(413)
    expect(await told.json()).toMatchObject({ code: 'payload_too_large', maxBytes: 102_400 })
    expect(await postChunked(`${server.url}${SONG}`, large)).toBe(413)
    expect(await postChunked(`${server.url}${SONG}`, '{"prompt":"hello"}')).toBe(200)
  })

  it('each wrong field is named by its path as sent, with a stable rule and words in the language', async () => {
    await using server = await start()
    const wrong = { count: 0, model: 'V9', mail: 'x', parts: [{}], even: 3, extra: 1 }
    const fields = async (lang: string) => {
      const response = await server.fetch(`${SONG}?lang=${lang}`, post(JSON.stringify(wrong)))
      expect(response.status).toBe(422)
      return ((await response.json()) as { errors: { path: string; rule: string; message: string }[] }).errors
    }
    const errors = await fields('en')
    expect(errors.map(({ path, rule }) => `${path} ${rule}`).sort()).toEqual([
      'count too_small',
      'even even',
      'extra unknown_key',
      'mail format',
      'model choice',
      'parts.0.name required',
      'prompt required',
    ])
    expect(errors.find(({ path }) => path === 'model')!.message).toBe('This must be one of: V4, V5.')
    expect((await fields('ru')).find(({ path }) => path === 'prompt')!.message).toBe('Это поле обязательно.')
  })

  it('a path parameter that cannot name anything is 404 like anything missing', async () => {
    await using server = await start()
    expect((await server.fetch('/api/songs/1%27%20or%201=1', post('{"prompt":"hello"}'))).status).toBe(404)
  })
})

function postChunked(url: string, body: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sending = request(url, { method: 'POST', headers: { 'content-type': 'application/json' } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sending.on('error', reject)
    sending.write(body.slice(0, 10))
    sending.end(body.slice(10))
  })
}
