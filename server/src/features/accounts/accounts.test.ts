import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { SESSION_COOKIE, userIdOf } from '../../http-kit/authentication.ts'
import { SESSION_SECRET, serveTestApp, signToken, testClock, withBearer } from '../../http-kit/testing.ts'
import { systemIds } from '../../kernel/ids.ts'
import { accountsRoutes } from './accounts.routes.ts'
import { OWNER_SUBJECT, createAccounts, keptSecret } from './accounts.ts'

let test: TestDatabase
beforeAll(async () => void (test = await createTestDatabase()))
afterAll(() => test?.close())

const clock = testClock(Date.now())
const newcomers: string[] = []
const own = { sessionSecret: SESSION_SECRET, sessionDays: 30, clock, ids: systemIds }
const accounts = (onNewUser = async (_: unknown, userId: string) => void newcomers.push(userId)) =>
  createAccounts({ ...own, database: test.db, onNewUser })

const start = (publicBaseUrl?: string) => {
  const own = accounts()
  return serveTestApp((app) => app.route('/', accountsRoutes(own, { publicBaseUrl })), {
    clock,
    authenticator: { provision: own.provision },
  })
}
const signIn = (token: unknown) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ token }),
})
const tokenOf = (link: string) => new URL(link, 'http://x').searchParams.get('token')!
const asJson = async (response: Response) => (await response.json()) as Record<string, any>

describe('provisioning', () => {
  it('a token of a new user makes the account and the auth user, and gives once, also many at once', async () => {
    await using server = await start()
    const token = await signToken({ sub: 'user-42', email: 'a@example.com' }, { clock })
    await using second = await start() // another node, which remembers nothing
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, index) => (index % 2 ? server : second).fetch('/api/session', withBearer(token))),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200))
    const userId = userIdOf('user-42')
    expect(newcomers.filter((one) => one === userId)).toHaveLength(1)
    const { rows } = await test.db.query('select subject, email from reprise.accounts where user_id = $1', [userId])
    expect(rows).toEqual([{ subject: 'user-42', email: 'a@example.com' }])
    expect((await test.db.query('select id from auth.users where id = $1', [userId])).rows).toHaveLength(1)
  })

  it('without its gift there is no account: the next request tries again', async () => {
    const user = { userId: userIdOf('unlucky'), subject: 'unlucky' }
    const failing = accounts(async () => Promise.reject(new Error('ledger away')))
    await expect(failing.provision(user)).rejects.toThrow('ledger away')
    const count = async () =>
      (await test.db.query('select from reprise.accounts where user_id = $1', [user.userId])).rowCount
    expect(await count()).toBe(0)
    await accounts().provision(user)
    expect(await count()).toBe(1)
  })

  it('a user whom the service role named first is the same user when the own token comes', async () => {
    const userId = userIdOf('named-first')
    await accounts().provision({ userId, subject: userId })
    await accounts().provision({ userId, subject: 'named-first' })
    expect(newcomers.filter((one) => one === userId)).toHaveLength(1)
  })
})

describe('session', () => {
  it("the owner's link signs in once as operator, with a cookie and a bearer token", async () => {
    await using server = await start()
    const link = await accounts().createOwnerLink()
    expect(link).toMatch(/^\/sign-in\?token=[\w-]{43}$/)
    const response = await server.fetch('/api/session', signIn(tokenOf(link)))
    expect(response.status).toBe(200)
    const session = await asJson(response)
    expect(session).toEqual({
      accessToken: expect.any(String),
      user: { id: userIdOf(OWNER_SUBJECT), operator: true },
      expiresAt: new Date(clock.now() + 30 * 86_400_000).toISOString(),
    })
    const cookie = response.headers.get('set-cookie')!
    expect(cookie).toMatch(new RegExp(`^${SESSION_COOKIE}=`))
    for (const attribute of ['HttpOnly', 'SameSite=Lax', 'Path=/']) expect(cookie).toContain(attribute)
    expect(cookie).not.toContain('Secure')
    expect(response.headers.get('cache-control')).toBe('no-store')

    for (const headers of [{ cookie: cookie.split(';')[0]! }, withBearer(session['accessToken']).headers]) {
      const me = await server.fetch('/api/session', { headers })
      expect(await asJson(me)).toEqual({
        user: { id: session['user'].id, operator: true, email: null, role: 'authenticated' },
      })
    }
    expect(await asJson(await server.fetch('/api/session', signIn(tokenOf(link))))).toMatchObject({ code: 'gone' })
  })

  it('of two at the same moment one is signed in', async () => {
    await using server = await start()
    const token = tokenOf(await accounts().createOwnerLink())
    const answers = await Promise.all(Array.from({ length: 5 }, () => server.fetch('/api/session', signIn(token))))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 410, 410, 410, 410])
  })

  it('an expired link is 410, an unknown one 401, none at all 422', async () => {
    await using server = await start()
    const token = tokenOf(await accounts().createOwnerLink())
    await test.db.query("update reprise.session_links set expires_at = reprise.now() - interval '1 second'")
    expect((await server.fetch('/api/session', signIn(token))).status).toBe(410)
    expect((await server.fetch('/api/session', signIn('never-made'))).status).toBe(401)
    expect((await server.fetch('/api/session', signIn(undefined))).status).toBe(422)
    expect((await server.fetch('/api/session', signIn({}))).status).toBe(422)
  })

  it('the link itself is nowhere in the database', async () => {
    const token = tokenOf(await accounts().createOwnerLink())
    const { rows } = await test.db.query('select * from reprise.session_links')
    expect(JSON.stringify(rows)).not.toContain(token)
  })

  it('who is not signed in is told so, and signing out takes the cookie away', async () => {
    await using server = await start()
    expect((await server.fetch('/api/session')).status).toBe(401)
    const out = await server.fetch('/api/session', { method: 'DELETE' })
    expect(out.status).toBe(204)
    expect(out.headers.get('set-cookie')).toMatch(new RegExp(`^${SESSION_COOKIE}=;.*Max-Age=0`))
  })

  it('under a public https address the cookie is Secure', async () => {
    const own = accounts()
    const host = 'songs.example'
    await using server = await serveTestApp((app) =>
      app.route('/', accountsRoutes(own, { publicBaseUrl: `https://${host}` })),
    )
    const token = tokenOf(await own.createOwnerLink())
    const { request } = await import('node:http')
    const cookie = await new Promise<string>((resolve, reject) => {
      const asking = request(
        `${server.url}/api/session`,
        { method: 'POST', headers: { host, 'content-type': 'application/json' } },
        (response) => resolve(String(response.resume().headers['set-cookie'])),
      )
      asking.on('error', reject).end(JSON.stringify({ token }))
    })
    expect(cookie).toContain('Secure')
  })
})

describe('kept secrets', () => {
  it('are made once, the same for nodes that start together, and differ by name', async () => {
    const made = await Promise.all(Array.from({ length: 4 }, () => keptSecret(test.db, systemIds, 'session')))
    expect(new Set(made).size).toBe(1)
    expect(made[0]!.length).toBeGreaterThanOrEqual(32)
    expect(await keptSecret(test.db, systemIds, 'media')).not.toBe(made[0])
  })
})
