import { SignJWT, type JWTPayload } from 'jose'
import type { Clock } from '../kernel/clock.ts'
import { systemIds } from '../kernel/ids.ts'
import { createLogger } from '../kernel/logger.ts'
import { createAuthenticator, type AuthenticatorOptions } from './authentication.ts'
import { createApp, type App, type AppOptions } from './openapi.ts'
import { serve, type RunningServer } from './server.ts'

/** Parts for tests of HTTP rooms: the real app on a real loopback port. */
export const JWT_SECRET = 'a-secret-for-tests-of-32-bytes-and-more'
export const SESSION_SECRET = 'another-secret-for-sessions-32-bytes'
export const SERVICE_KEY = 'service-key-for-tests'

/** A clock that stands still until it is moved. */
export function testClock(start = Date.parse('2026-03-01T12:00:00Z')): Clock & { move(ms: number): void } {
  let now = start
  return { now: () => now, move: (ms) => void (now += ms) }
}

export const silentLogger = () => createLogger({ level: 'silent' })

export interface TestAppOptions extends Partial<AppOptions> {
  authenticator?: Partial<AuthenticatorOptions>
  onDrain?: () => void
}

export interface TestServer extends RunningServer, AsyncDisposable {
  fetch(path: string, init?: RequestInit): Promise<Response>
}

/** Serves the app with the given routes; `await using` closes it. */
export async function serveTestApp(mount: (app: App) => void, options: TestAppOptions = {}): Promise<TestServer> {
  const clock = options.clock ?? testClock()
  const logger = options.logger ?? silentLogger()
  const app = createApp({
    logger,
    clock,
    ids: systemIds,
    version: '0.0.0',
    corsOrigins: ['*'],
    authenticate: createAuthenticator({
      jwtSecret: JWT_SECRET,
      sessionSecret: SESSION_SECRET,
      serviceRoleKey: SERVICE_KEY,
      provision: async () => {},
      clock,
      ...options.authenticator,
    }),
    ...options,
  })
  mount(app)
  const server = await serve({ app, host: '127.0.0.1', port: 0, logger, onDrain: options.onDrain })
  return {
    ...server,
    fetch: (path, init) => fetch(server.url + path, init),
    [Symbol.asyncDispose]: async () => void (await server.close({ drainMs: 0 })),
  }
}

/** A token as Supabase would sign it, valid for an hour of the given clock. */
export async function signToken(
  claims: JWTPayload,
  { clock, secret = JWT_SECRET, expiresInSec = 3600 }: { clock: Clock; secret?: string; expiresInSec?: number },
): Promise<string> {
  const now = Math.floor(clock.now() / 1000)
  return new SignJWT({ role: 'authenticated', iat: now, exp: now + expiresInSec, ...claims })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .sign(new TextEncoder().encode(secret))
}

export const withBearer = (token: string, more: Record<string, string> = {}) => ({
  headers: { authorization: `Bearer ${token}`, ...more },
})
