import { describe, expect, it } from 'vitest'
import { AppError } from '../kernel/errors.ts'
import type { App } from './openapi.ts'
import { serveTestApp } from './testing.ts'

const routes = (app: App) => {
  app.post('/api/things', (c) => c.json({ ok: true }))
  app.get('/bare', () => new Response('bytes', { headers: { vary: 'range' } }))
  app.get('/fails', () => {
    throw new AppError('forbidden')
  })
}
const preflight = (origin: string) => ({
  method: 'OPTIONS',
  headers: {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,x-client-info,idempotency-key',
  },
})

describe('CORS', () => {
  it('a preflight from anywhere allows what supabase-js sends, without a credential and without cookies', async () => {
    await using server = await serveTestApp(routes)
    for (const path of ['/api/things', '/functions/v1/not-there', '/storage/v1/object/public/a/b.mp3']) {
      const { status, headers } = await server.fetch(path, preflight('https://app.example'))
      expect(status).toBe(204)
      expect(headers.get('access-control-allow-origin')).toBe('*')
      expect(headers.get('access-control-allow-credentials')).toBeNull()
      expect(headers.get('access-control-allow-methods')).toContain('DELETE')
      expect(Number(headers.get('access-control-max-age'))).toBeGreaterThan(0)
      const allowed = headers.get('access-control-allow-headers')!.split(', ')
      const supabase =
        'authorization, apikey, x-client-info, x-region, x-user-id, content-type, idempotency-key, last-event-id, ' +
        'range, traceparent, tracestate, baggage'
      expect(allowed).toEqual(expect.arrayContaining(supabase.split(', ')))
    }
  })

  it('errors and bare responses carry the headers too, or a page could not read them', async () => {
    await using server = await serveTestApp(routes)
    for (const path of ['/fails', '/nowhere', '/bare']) {
      const { headers } = await server.fetch(path, { headers: { origin: 'https://app.example' } })
      expect(headers.get('access-control-allow-origin')).toBe('*')
      for (const name of ['x-request-id', 'etag', 'content-range', 'retry-after', 'location', 'idempotent-replayed'])
        expect(headers.get('access-control-expose-headers')).toContain(name)
    }
  })

  it('with a list only its origins are let in', async () => {
    await using server = await serveTestApp(routes, { corsOrigins: ['https://app.example'] })
    const good = (await server.fetch('/api/things', preflight('https://app.example'))).headers
    expect(good.get('access-control-allow-origin')).toBe('https://app.example')
    expect(good.get('vary')).toContain('origin')
    const bare = await server.fetch('/bare', { headers: { origin: 'https://app.example' } })
    expect(bare.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(bare.headers.get('vary')).toBe('range, origin')
    for (const origin of ['https://evil.example', 'https://app.example.evil.example', 'null']) {
      const { headers } = await server.fetch('/api/things', preflight(origin))
      expect(headers.get('access-control-allow-origin')).toBeNull()
    }
  })
})
