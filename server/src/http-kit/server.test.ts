import { Agent, get } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { createHealth } from './health.ts'
import { createMetrics } from './metrics.ts'
import { silentLogger, SERVICE_KEY, serveTestApp, signToken, testClock, withBearer } from './testing.ts'

describe('draining', () => {
  it('answers under way finish, new connections are refused, kept-alive ones do not hold it up', async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const { promise: inside, resolve: entered } = Promise.withResolvers<void>()
    const server = await serveTestApp((app) => {
      app.get('/quick', (c) => c.text('quick'))
      app.get('/slow', async (c) => {
        entered()
        await gate
        return c.text('finished')
      })
    })
    const agent = new Agent({ keepAlive: true })
    await new Promise<void>((resolve) =>
      get(`${server.url}/quick`, { agent }, (response) => response.resume().on('end', resolve)),
    )
    const slow = server.fetch('/slow')
    await inside
    const closing = server.close({ drainMs: 10_000 })
    await expect(fetch(`${server.url}/quick`)).rejects.toThrow()
    open()
    expect(await (await slow).text()).toBe('finished')
    expect(await closing).toBe(true)
    agent.destroy()
  })

  it('what does not finish in time is cut, and said so', async () => {
    const { promise: inside, resolve: entered } = Promise.withResolvers<void>()
    const server = await serveTestApp((app) => {
      app.get('/never', () => {
        entered()
        return new Promise<Response>(() => {})
      })
    })
    const asked = server.fetch('/never').then(
      () => 'answered',
      () => 'cut',
    )
    await inside
    expect(await server.close({ drainMs: 10 })).toBe(false)
    expect(await asked).toBe('cut')
  })

  it('a port that is taken is an error, not a crash later', async () => {
    await using server = await serveTestApp(() => {})
    const { serve } = await import('./server.ts')
    const again = serve({
      app: { fetch: () => new Response() } as never,
      host: '127.0.0.1',
      port: server.port,
      logger: silentLogger(),
    })
    await expect(again).rejects.toThrow(/EADDRINUSE/)
  })

  it('bytes that are no HTTP are answered 400', async () => {
    await using server = await serveTestApp(() => {})
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      const socket = connect(server.port, '127.0.0.1', () => socket.write('nonsense\r\n\r\n'))
      socket.on('data', (bytes) => (text += bytes.toString()))
      socket.on('close', () => resolve(text))
    })
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  })
})

describe('health', () => {
  it('readyz names what is failing or too slow, and says so while draining; livez stays', async () => {
    const clock = testClock()
    let broken = false
    let slow = false
    const health = createHealth({
      clock,
      timeoutMs: 20,
      checks: {
        database: async () => {
          if (broken) throw new Error('secret address of the database')
        },
        storage: () => (slow ? new Promise(() => {}) : Promise.resolve()),
      },
    })
    await using server = await serveTestApp(() => {}, {
      clock,
      mountFirst: health.mount,
      authenticator: { provision: () => Promise.reject(new Error('database away')) },
    })
    const ready = async () => {
      clock.move(2_000)
      const response = await server.fetch('/readyz')
      return [response.status, ((await response.json()) as { failing: string[] }).failing]
    }
    expect(await ready()).toEqual([200, []])
    broken = true
    expect(await ready()).toEqual([503, ['database']])
    slow = true
    expect(await ready()).toEqual([503, ['database', 'storage']])
    broken = slow = false
    health.drain()
    expect(await ready()).toEqual([503, ['draining']])
    const token = await signToken({ sub: 'new' }, { clock })
    expect((await server.fetch('/livez', withBearer(token))).status).toBe(200)
  })
})

describe('metrics', () => {
  it('are counted by route pattern, and shown only to who may see them', async () => {
    const clock = testClock()
    const metrics = createMetrics({ token: 'metrics-token' })
    await using server = await serveTestApp(
      (app) => {
        app.get('/api/things/:id', (c) => c.text('ok'))
        metrics.mount(app)
      },
      { clock, observe: metrics.observe },
    )
    await server.fetch('/api/things/secret-id?token=x')
    await server.fetch('/invented/path')
    const status = async (token?: string) => (await server.fetch('/metrics', token ? withBearer(token) : {})).status
    expect(await status()).toBe(401)
    expect(await status('metrics-tokem')).toBe(401)
    expect(await status(await signToken({ sub: 'user' }, { clock }))).toBe(403)
    expect(await status(SERVICE_KEY)).toBe(200)
    expect(await status(await signToken({ sub: 'op', app_metadata: { role: 'operator' } }, { clock }))).toBe(200)
    const text = await (await server.fetch('/metrics', withBearer('metrics-token'))).text()
    expect(text).toContain('route="/api/things/:id",status="200"')
    expect(text).toContain('route="unmatched",status="404"')
    expect(text).not.toMatch(/secret-id|invented/)
  })
})
