import { createRoute, z } from '@hono/zod-openapi'
import { deleteCookie, setCookie } from 'hono/cookie'
import type { AppContext } from '../../http-kit/app-env.ts'
import { SESSION_COOKIE, requireUser } from '../../http-kit/authentication.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import type { Accounts } from './accounts.ts'

const userSchema = z.object({ id: z.uuid(), operator: z.boolean() })

const signIn = createRoute({
  method: 'post',
  path: '/api/session',
  tags: ['Session'],
  summary: 'Sign in with a one-time link',
  description: 'Sets the session cookie of the web page; `accessToken` is the same session as a bearer token.',
  security: [],
  request: { body: jsonBody(z.object({ token: z.string().min(1).max(200) })) },
  responses: {
    200: jsonResponse(
      z.object({ accessToken: z.string(), user: userSchema, expiresAt: z.iso.datetime() }),
      'Signed in',
    ),
    ...problemResponses('unauthorized', 'gone', 'validation_failed'),
  },
})

const whoAmI = createRoute({
  method: 'get',
  path: '/api/session',
  tags: ['Session'],
  summary: 'Who am I',
  responses: {
    200: jsonResponse(
      z.object({
        user: userSchema.extend({ email: z.string().nullable(), role: z.enum(['authenticated', 'service_role']) }),
      }),
      'The user of this credential',
    ),
    ...problemResponses('unauthorized'),
  },
})

const signOut = createRoute({
  method: 'delete',
  path: '/api/session',
  tags: ['Session'],
  summary: 'Sign out of the web page',
  security: [],
  responses: { 204: { description: 'The cookie is gone' } },
})

export function accountsRoutes(accounts: Accounts, options: { publicBaseUrl?: string } = {}): App {
  const app = createRouter()
  const cookie = (c: AppContext) => ({
    path: '/',
    httpOnly: true,
    sameSite: 'Lax' as const,
    secure: isHttps(c, options.publicBaseUrl),
  })

  app.openapi(signIn, async (c) => {
    const session = await accounts.redeem(c.req.valid('json').token)
    setCookie(c, SESSION_COOKIE, session.accessToken, { ...cookie(c), expires: session.expiresAt })
    c.header('cache-control', 'no-store')
    return c.json({ ...session, expiresAt: session.expiresAt.toISOString() }, 200)
  })

  app.openapi(whoAmI, (c) => {
    const { userId, operator, email, role } = requireUser(c)
    c.header('cache-control', 'no-store')
    return c.json({ user: { id: userId, operator, email: email ?? null, role } }, 200)
  })

  app.openapi(signOut, (c) => {
    deleteCookie(c, SESSION_COOKIE, cookie(c))
    return c.body(null, 204)
  })

  return app
}

/** Behind a proxy that ends TLS the public address says how browsers come; the loopback address stays plain. */
function isHttps(c: AppContext, publicBaseUrl: string | undefined): boolean {
  const asked = new URL(c.req.url)
  if (asked.protocol === 'https:') return true
  if (!publicBaseUrl) return false
  const known = new URL(publicBaseUrl)
  return known.protocol === 'https:' && known.host === asked.host
}
