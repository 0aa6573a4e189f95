import { Writable } from 'node:stream'
import { createRoute, z } from '@hono/zod-openapi'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { withEtag } from './etag.ts'
import { createRouter, jsonResponse, problemResponses, type App } from './openapi.ts'
import { decodeCursor, encodeCursor, pageOf, pageQuery } from './paging.ts'
import { safeAddress } from './request-id.ts'
import { serveTestApp } from './testing.ts'

const cursorKey = z.tuple([z.string(), z.number()])

function routes(app: App): void {
  const router = createRouter()
  router.openapi(
    createRoute({
      method: 'get',
      path: '/api/things',
      tags: ['Things'],
      summary: 'List <things>',
      request: { query: pageQuery },
      responses: {
        200: jsonResponse(pageOf(z.object({ id: z.string() })), 'A page'),
        ...problemResponses('unauthorized'),
      },
    }),
    (c) => {
      const { limit, cursor } = c.req.valid('query')
      const after = decodeCursor(cursorKey, cursor)
      return withEtag(c, { items: [{ id: `${after?.[0] ?? 'first'} ${limit}` }], nextCursor: encodeCursor(['x"', 1]) })
    },
  )
  router.openapi(
    createRoute({
      method: 'delete',
      path: '/api/things/{id}',
      request: { params: z.object({ id: z.string() }) },
      responses: { 204: { description: 'gone' }, ...problemResponses('not_found', 'conflict', 'request_in_progress') },
    }),
    (c) => c.body(null, 204),
  )
  app.route('/', router)
}

describe('OpenAPI', () => {
  it('is 3.1, has the security schemes, and names several errors of one status', async () => {
    await using server = await serveTestApp(routes)
    const response = await server.fetch('/openapi.json')
    const document = (await response.json()) as Record<string, any>
    expect(document['openapi']).toBe('3.1.0')
    expect(Object.keys(document['components'].securitySchemes)).toEqual(['bearer', 'session'])
    expect(document['components'].schemas.Problem.properties.code.enum).toContain('no_credits')
    const remove = document['paths']['/api/things/{id}'].delete
    expect(remove.responses['409'].description).toMatch(/`conflict`.*`request_in_progress`/)
    const again = { headers: { 'if-none-match': response.headers.get('etag')! } }
    expect((await server.fetch('/openapi.json', again)).status).toBe(304)
  })

  it('the docs page shows each operation and asks nobody for anything', async () => {
    await using server = await serveTestApp(routes)
    const document = (await (await server.fetch('/openapi.json')).json()) as { paths: Record<string, object> }
    const response = await server.fetch('/docs')
    const html = await response.text()
    for (const [path, item] of Object.entries(document.paths))
      for (const method of Object.keys(item)) {
        const id = `${method}-${path}`.replace(/[^\w-]+/g, '-')
        expect(html).toContain(`id="${id}"`)
        expect(html).toContain(`<code>${path}</code>`)
      }
    expect(html).toContain('List &lt;things&gt;')
    expect(html).toContain('id="no_credits"')
    expect(html).not.toMatch(/<script|https?:\/\/|url\(|@import/)
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  })
})

describe('lists', () => {
  it('a cursor goes out opaque and comes back the same; a made-up one is 422', async () => {
    await using server = await serveTestApp(routes)
    const list = async (query: string) => {
      const response = await server.fetch(`/api/things?${query}`)
      return { status: response.status, ...((await response.json()) as { items: { id: string }[]; errors: object[] }) }
    }
    expect((await list('')).items[0]!.id).toBe('first 20')
    expect((await list(`limit=5&cursor=${encodeCursor(['after', 3])}`)).items[0]!.id).toBe('after 5')
    for (const cursor of ['x', encodeCursor(['a']), encodeCursor({ a: 1 }), '%00', 'A'.repeat(400)])
      expect(await list(`cursor=${cursor}`)).toMatchObject({ status: 422, errors: [{ path: 'cursor' }] })
    for (const limit of ['0', '101', '1.5', 'x', ''])
      expect(await list(`limit=${limit}`)).toMatchObject({ status: 422, errors: [{ path: 'limit' }] })
  })

  it('what the client has already is answered 304 without a body', async () => {
    await using server = await serveTestApp(routes)
    const etag = (await server.fetch('/api/things')).headers.get('etag')!
    for (const header of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const response = await server.fetch('/api/things', { headers: { 'if-none-match': header } })
      expect(response.status).toBe(304)
      expect(await response.text()).toBe('')
    }
    const other = await server.fetch('/api/things?limit=3', { headers: { 'if-none-match': etag } })
    expect(other.status).toBe(200)
  })
})

describe('access log', () => {
  it('has the request id, the route pattern and the duration, and no secret of the query', async () => {
    const lines: string[] = []
    const sink = new Writable({ write: (chunk, _, done) => (lines.push(String(chunk)), done()) })
    await using server = await serveTestApp(routes, { logger: pino({}, sink) })
    const address = '/api/things/7?callback%54oken=hush&tok%65n=hush&limit=3'
    const { headers } = await server.fetch(address, { method: 'DELETE' })
    const line = lines.map((one) => JSON.parse(one)).find(({ msg }) => msg === 'request')
    expect(line).toMatchObject({ requestId: headers.get('x-request-id'), route: '/api/things/:id', status: 204 })
    expect(line.ms).toBeGreaterThanOrEqual(0)
    expect(line.path).toContain('limit=3')
    expect(lines.join()).not.toContain('hush')
  })

  it('an address without a query stays as it is', () => {
    expect(safeAddress('http://h:1/a/b')).toBe('/a/b')
    expect(safeAddress('http://h/a?X-Amz-Signature=abc&e=1')).toBe('/a?X-Amz-Signature=redacted&e=1')
  })
})
