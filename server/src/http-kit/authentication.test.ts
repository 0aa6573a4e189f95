import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SignJWT, UnsecuredJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stableUuid } from '../kernel/ids.ts'
import {
  SESSION_AUDIENCE,
  SESSION_COOKIE,
  SESSION_ISSUER,
  actingUser,
  requireOperator,
  requireServiceRole,
  requireUser,
} from './authentication.ts'
import type { App } from './openapi.ts'
import { SERVICE_KEY, SESSION_SECRET, serveTestApp, signToken, testClock, withBearer } from './testing.ts'

const USER = '11111111-2222-4333-8444-555555555555'
const OTHER = '99999999-2222-4333-8444-555555555555'
const encode = (secret: string) => new TextEncoder().encode(secret)

function whoRoutes(app: App): void {
  app.get('/who', (c) => c.json(requireUser(c)))
  app.post('/who', (c) => c.json(requireUser(c)))
  app.get('/public', (c) => c.json({ identity: c.get('identity') }))
  app.get('/operator', (c) => c.json(requireOperator(c)))
  app.get('/service', (c) => c.json(requireServiceRole(c)))
  app.post('/act', async (c) => c.json({ userId: await actingUser(c, { bodyUserId: (await c.req.json()).userId }) }))
}

describe('tokens', () => {
  const clock = testClock()
  const now = Math.floor(clock.now() / 1000)
  const sign = (claims: object, options = {}) => signToken({ ...claims }, { clock, ...options })
  const unsigned = new UnsecuredJWT({ sub: USER }).setExpirationTime(now + 60).encode()
  const anonKey = 'the-anon-key'
  const options = {
    clock,
    authenticator: { anonKey, issuer: 'https://issuer.example', audience: 'authenticated' },
  }
  const good = { sub: USER, iss: 'https://issuer.example', aud: 'authenticated' }

  it.each<[string, () => Promise<string> | string, number]>([
    ['a good token', () => sign(good), 200],
    ['garbage', () => 'garbage', 401],
    ['three dots of garbage', () => 'a.b.c', 401],
    ['alg none', () => unsigned, 401],
    ['alg None with a signature', () => `${Buffer.from('{"alg":"None"}').toString('base64url')}.e30.AA`, 401],
    ['another key', () => sign(good, { secret: 'wrong'.repeat(10) }), 401],
    ['the secret of sessions with foreign claims', () => sign(good, { secret: SESSION_SECRET }), 401],
    ['the claims of a session with the foreign secret', () =>
      sign({ sub: USER, iss: SESSION_ISSUER, aud: SESSION_AUDIENCE }), 401],
    ['an expired one', () => sign(good, { expiresInSec: -60 }), 401],
    ['one not valid yet', () => sign({ ...good, nbf: now + 600 }), 401],
    ['another issuer', () => sign({ ...good, iss: 'https://evil.example' }), 401],
    ['another audience', () => sign({ ...good, aud: 'somebody' }), 401],
    ['no issuer', () => sign({ sub: USER, aud: 'authenticated' }), 401],
    ['no subject', () => sign({ ...good, sub: undefined }), 401],
    ['the anon key', () => anonKey, 401],
    ['a token of role anon', () => sign({ ...good, role: 'anon' }), 401],
    ['the service key', () => SERVICE_KEY, 200],
    ['almost the service key', () => `${SERVICE_KEY}x`, 401],
    ['a service role token without subject', () => sign({ ...good, sub: undefined, role: 'service_role' }), 200],
  ])('%s', async (_, token, status) => {
    await using server = await serveTestApp(whoRoutes, options)
    const response = await server.fetch('/who', withBearer(await token()))
    expect(response.status).toBe(status)
    if (status === 401) expect(await response.json()).toMatchObject({ code: 'unauthorized' })
    // What is wrong is the same as nothing where nobody needs to sign in.
    expect((await server.fetch('/public', withBearer(await token()))).status).toBe(200)
  })

  it('no credential, another scheme and an apikey give no rights', async () => {
    await using server = await serveTestApp(whoRoutes, options)
    const token = await sign(good)
    expect((await server.fetch('/who')).status).toBe(401)
    expect((await server.fetch('/who', { headers: { apikey: SERVICE_KEY } })).status).toBe(401)
    expect((await server.fetch('/who', { headers: { authorization: `Basic ${token}` } })).status).toBe(401)
    expect((await server.fetch(`/who?access_token=${token}`)).status).toBe(401)
  })

  it('a subject that is no UUID is always the same UUID, and a UUID is itself', async () => {
    await using server = await serveTestApp(whoRoutes, options)
    const who = async (sub: string) => (await server.fetch('/who', withBearer(await sign({ ...good, sub })))).json()
    expect(await who('user-42')).toMatchObject({ userId: stableUuid('user-42'), subject: 'user-42' })
    expect(await who(USER.toUpperCase())).toMatchObject({ userId: USER })
  })

  it('operator is the service role or the app_metadata of the issuer, never the user_metadata', async () => {
    await using server = await serveTestApp(whoRoutes, options)
    const status = async (path: string, token: string) => (await server.fetch(path, withBearer(token))).status
    const operator = await sign({ ...good, app_metadata: { role: 'operator' } })
    const pretender = await sign({ ...good, user_metadata: { role: 'operator' }, operator: true })
    expect(await status('/operator', operator)).toBe(200)
    expect(await status('/service', operator)).toBe(403)
    expect(await status('/operator', pretender)).toBe(403)
    expect(await status('/operator', SERVICE_KEY)).toBe(200)
    expect(await status('/service', SERVICE_KEY)).toBe(200)
  })

  it('a token that was believed is refused once it has expired', async () => {
    await using server = await serveTestApp(whoRoutes, options)
    const token = await sign(good, { expiresInSec: 30 })
    expect((await server.fetch('/who', withBearer(token))).status).toBe(200)
    clock.move(40_000)
    expect((await server.fetch('/who', withBearer(token))).status).toBe(401)
  })
})

describe('public keys (JWKS)', () => {
  let issuer: Server
  let jwksUrl: string
  let keys: object[] = []
  let healthy = true
  const clock = testClock(Date.now())
  const pair = async (alg: string, kid: string) => {
    const { publicKey, privateKey } = await generateKeyPair(alg)
    return { privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
  }
  const token = (key: Awaited<ReturnType<typeof pair>>, kid: string, alg: string) =>
    new SignJWT({ sub: USER }).setProtectedHeader({ alg, kid }).setExpirationTime('1h').sign(key.privateKey)

  beforeAll(async () => {
    issuer = createServer((_, response) => {
      if (!healthy) return void response.writeHead(503).end()
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ keys }))
    })
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve))
    jwksUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/keys`
  })
  afterAll(() => void issuer.close())

  it('RS256 and ES256 are verified, and rotated keys are fetched', async () => {
    const [first, second] = [await pair('RS256', 'one'), await pair('ES256', 'two')]
    keys = [first.jwk]
    await using server = await serveTestApp(whoRoutes, { clock, authenticator: { jwksUrl, jwksCooldownMs: 0 } })
    const status = async (jwt: string) => (await server.fetch('/who', withBearer(jwt))).status
    expect(await status(await token(first, 'one', 'RS256'))).toBe(200)
    expect(await status(await token(second, 'two', 'ES256'))).toBe(401)
    keys = [second.jwk]
    expect(await status(await token(second, 'two', 'ES256'))).toBe(200)
    expect(await status(await token(first, 'two', 'RS256'))).toBe(401)
  })

  it('a public key never serves as a shared secret', async () => {
    const key = await pair('RS256', 'one')
    keys = [key.jwk]
    for (const jwtSecret of [undefined, 'x'.repeat(40)]) {
      await using server = await serveTestApp(whoRoutes, { clock, authenticator: { jwksUrl, jwtSecret } })
      const pem = await exportSPKI(key.publicKey)
      for (const secret of [pem, JSON.stringify(key.jwk)]) {
        const forged = await new SignJWT({ sub: USER, role: 'service_role' })
          .setProtectedHeader({ alg: 'HS256', kid: 'one' })
          .setExpirationTime('1h')
          .sign(encode(secret))
        expect((await server.fetch('/who', withBearer(forged))).status).toBe(401)
      }
    }
  })

  it('an issuer that is away is 503, not 401', async () => {
    const key = await pair('ES256', 'one')
    healthy = false
    await using server = await serveTestApp(whoRoutes, { clock, authenticator: { jwksUrl } })
    const response = await server.fetch('/who', withBearer(await token(key, 'one', 'ES256')))
    healthy = true
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('2')
  })
})

describe('provisioning', () => {
  it('a new user is made known once, also by many first requests at once', async () => {
    const clock = testClock()
    const seen: string[] = []
    const provision = async ({ subject }: { subject: string }) => void seen.push(subject)
    await using server = await serveTestApp(whoRoutes, { clock, authenticator: { provision } })
    const token = await signToken({ sub: 'new' }, { clock })
    await Promise.all(Array.from({ length: 10 }, () => server.fetch('/who', withBearer(token))))
    await server.fetch('/who', withBearer(SERVICE_KEY))
    expect(seen).toEqual(['new'])
  })

  it('a provisioning that failed is tried again', async () => {
    const clock = testClock()
    let failing = true
    const provision = async () => {
      if (failing) throw Object.assign(new Error('away'), { code: '57P01' })
    }
    await using server = await serveTestApp(whoRoutes, {
      clock,
      authenticator: { provision },
      isTransient: (error) => (error as { code?: string }).code === '57P01',
    })
    const token = await signToken({ sub: 'new' }, { clock })
    expect((await server.fetch('/who', withBearer(token))).status).toBe(503)
    failing = false
    expect((await server.fetch('/who', withBearer(token))).status).toBe(200)
  })
})

describe('acting user', () => {
  const clock = testClock()
  const act = async (token: string, body: object, header?: string) => {
    const seen: string[] = []
    const provision = async ({ userId }: { userId: string }) => void seen.push(userId)
    await using server = await serveTestApp(whoRoutes, { clock, authenticator: { provision } })
    const response = await server.fetch('/act', {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, ...(header ? { 'x-user-id': header } : {}) },
      body: JSON.stringify(body),
    })
    return { status: response.status, seen, ...((await response.json()) as { userId?: string; code?: string }) }
  }

  it("a user acts for himself only, by whatever name his token's subject has", async () => {
    const token = await signToken({ sub: USER }, { clock })
    const foreign = await signToken({ sub: 'user-42' }, { clock })
    expect(await act(token, {})).toMatchObject({ status: 200, userId: USER })
    expect(await act(token, { userId: USER }, USER.toUpperCase())).toMatchObject({ status: 200, userId: USER })
    expect(await act(token, { userId: OTHER })).toMatchObject({ status: 403, code: 'user_mismatch' })
    expect(await act(token, {}, OTHER)).toMatchObject({ status: 403, code: 'user_mismatch' })
    expect(await act(token, { userId: OTHER }, USER)).toMatchObject({ status: 403, code: 'user_mismatch' })
    expect(await act(token, { userId: { $ne: 1 } })).toMatchObject({ status: 403, code: 'user_mismatch' })
    expect(await act(foreign, {}, 'user-42')).toMatchObject({ status: 200, userId: stableUuid('user-42') })
  })

  it('the service role names the user, who is made known', async () => {
    expect(await act(SERVICE_KEY, { userId: OTHER })).toMatchObject({ status: 200, userId: OTHER, seen: [OTHER] })
    expect(await act(SERVICE_KEY, {}, 'user-42')).toMatchObject({ status: 200, userId: stableUuid('user-42') })
    expect(await act(SERVICE_KEY, { userId: OTHER }, USER)).toMatchObject({ status: 403 })
    expect(await act(SERVICE_KEY, {})).toMatchObject({ status: 422, code: 'validation_failed' })
  })
})

describe('session cookie', () => {
  const clock = testClock()
  const session = (secret = SESSION_SECRET) =>
    signToken({ sub: USER, iss: SESSION_ISSUER, aud: SESSION_AUDIENCE }, { clock, secret })
  const post = async (headers: Record<string, string>, publicBaseUrl?: string) => {
    await using server = await serveTestApp(whoRoutes, { clock, authenticator: { publicBaseUrl } })
    const sent = headers['origin'] === 'own' ? { ...headers, origin: server.url } : headers
    return (await server.fetch('/who', { method: 'POST', headers: sent })).status
  }

  it('is as good as a bearer token, and a wrong one is none', async () => {
    await using server = await serveTestApp(whoRoutes, { clock })
    const get = async (token: string) =>
      (await server.fetch('/who', { headers: { cookie: `a=b; ${SESSION_COOKIE}=${token}` } })).status
    expect(await get(await session())).toBe(200)
    expect(await get(await session('x'.repeat(40)))).toBe(401)
    expect((await server.fetch('/who', withBearer(await session()))).status).toBe(200)
  })

  it('changes nothing for a page from elsewhere', async () => {
    const cookie = `${SESSION_COOKIE}=${await session()}`
    expect(await post({ cookie, 'sec-fetch-site': 'cross-site' })).toBe(403)
    expect(await post({ cookie, 'sec-fetch-site': 'same-site' })).toBe(403)
    expect(await post({ cookie, 'sec-fetch-site': 'cross-site', origin: 'own' })).toBe(403)
    expect(await post({ cookie, origin: 'https://evil.example' })).toBe(403)
    expect(await post({ cookie, origin: 'null' })).toBe(403)
    expect(await post({ cookie, 'sec-fetch-site': 'same-origin' })).toBe(200)
    expect(await post({ cookie, origin: 'own' })).toBe(200)
    expect(await post({ cookie, origin: 'https://songs.example' }, 'https://songs.example')).toBe(200)
    // A bearer token is never sent unasked, so it needs no such check.
    expect(await post({ authorization: `Bearer ${await session()}`, origin: 'https://evil.example' })).toBe(200)
  })
})
