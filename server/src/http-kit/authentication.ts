import { hash as hashOf, timingSafeEqual } from 'node:crypto'
import { getCookie } from 'hono/cookie'
import type { MiddlewareHandler } from 'hono'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, type JWTPayload } from 'jose'
import type { Clock } from '../kernel/clock.ts'
import { AppError } from '../kernel/errors.ts'
import { isUuid, sha256, stableUuid } from '../kernel/ids.ts'
import type { AppContext, AppEnv, Identity } from './app-env.ts'
import { Lru } from './lru.ts'
import { isKeepable } from './plain-input.ts'

export const SESSION_COOKIE = 'reprise_session'
/** Issuer and audience of our own sessions; a foreign token never carries both and our signature. */
export const SESSION_ISSUER = 'reprise'
export const SESSION_AUDIENCE = 'reprise-session'

export interface AuthenticatorOptions {
  /** Shared HS256 secret, as Supabase signs. */
  jwtSecret?: string
  /** Public keys for RS256 and ES256. */
  jwksUrl?: string
  /** When set, tokens from elsewhere or for somebody else are refused. */
  issuer?: string
  audience?: string
  /** Accepted literally as a bearer: everything is allowed. */
  serviceRoleKey?: string
  /** A bearer that is only this means "not signed in". */
  anonKey?: string
  /** Signs the sessions of our own page. */
  sessionSecret: string
  /** Origin of our own page as browsers see it, when a proxy changes the host. */
  publicBaseUrl?: string
  /** Makes the user known (account, sign-up tokens); called at first sight, then remembered. */
  provision: (user: { userId: string; subject: string; email?: string }) => Promise<void>
  clock: Clock
  /** The least time between two fetches of the JWKS for a key id not seen yet; milliseconds. */
  jwksCooldownMs?: number
}

/** How long a verified token is believed without verifying it again; milliseconds. */
const REMEMBER_MS = 60_000
/** Clocks of issuers differ a little; seconds. */
const TOLERANCE_SEC = 5
/** Longest subject or address of a user; characters. */
const MOST_NAME = 320
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

const SERVICE: Identity = {
  userId: stableUuid('service_role'),
  subject: 'service_role',
  role: 'service_role',
  operator: true,
}

/**
 * Who is asking: from `Authorization: Bearer`, else from the session cookie. A credential that is wrong is the same as
 * none, so public addresses stay public; `requireUser` then answers 401.
 */
export function createAuthenticator(options: AuthenticatorOptions): MiddlewareHandler<AppEnv> {
  const verify = createVerifier(options)
  const serviceHash = options.serviceRoleKey ? sha256(options.serviceRoleKey) : null
  const anonHash = options.anonKey ? sha256(options.anonKey) : null
  const verified = new Lru<string, { identity: Identity | null; until: number }>(10_000)
  const known = new Lru<string, Promise<void>>(50_000)

  async function identify(token: string): Promise<Identity | null> {
    const hash = hashOf('sha256', token, 'buffer')
    if (serviceHash && timingSafeEqual(hash, serviceHash)) return SERVICE
    if (anonHash && timingSafeEqual(hash, anonHash)) return null
    const key = hash.toString('base64')
    const now = options.clock.now()
    const remembered = verified.get(key)
    if (remembered && remembered.until > now) return remembered.identity
    const claims = await verify(token)
    if (!claims) return null // not remembered: garbage would push good tokens out
    const identity = identityOf(claims)
    const expires = claims.exp === undefined ? Infinity : claims.exp * 1000
    verified.set(key, { identity, until: Math.min(expires, now + REMEMBER_MS) })
    return identity
  }

  const provision: AppEnv['Variables']['provision'] = (user) => {
    const before = known.get(user.userId)
    if (before) return before
    const doing = options.provision(user)
    known.set(user.userId, doing)
    doing.catch(() => known.delete(user.userId))
    return doing
  }

  return async function authentication(c, next) {
    c.set('provision', provision)
    const header = c.req.header('authorization')
    let identity: Identity | null = null
    if (header !== undefined) {
      const token = bearer(header)
      if (token) identity = await identify(token)
    } else if (c.req.header('cookie')?.includes(SESSION_COOKIE)) {
      const token = getCookie(c, SESSION_COOKIE)
      if (token) identity = await identify(token)
      if (identity) guardAgainstForgery(c, options.publicBaseUrl)
    }
    if (identity?.role === 'authenticated') await provision(identity)
    c.set('identity', identity)
    await next()
  }
}

/** The credential of an `Authorization: Bearer …` header. */
export const bearer = (header: string | undefined): string | undefined =>
  header === undefined ? undefined : /^bearer +(\S+) *$/i.exec(header)?.[1]

/** The signed-in user or the service role; else 401. */
export function requireUser(c: AppContext): Identity {
  const identity = c.get('identity')
  if (!identity) throw new AppError('unauthorized')
  return identity
}

export function requireOperator(c: AppContext): Identity {
  const identity = requireUser(c)
  if (!identity.operator) throw new AppError('forbidden')
  return identity
}

export function requireServiceRole(c: AppContext): Identity {
  const identity = requireUser(c)
  if (identity.role !== 'service_role') throw new AppError('forbidden')
  return identity
}

/**
 * The user for whom this request acts. Names in the body and in `x-user-id` must be the token's user (403
 * `user_mismatch`); with the service role they say for whom it acts, and that user is made known.
 */
export async function actingUser(
  c: AppContext,
  named: { bodyUserId?: unknown; headerUserId?: string | undefined } = {},
): Promise<string> {
  const identity = requireUser(c)
  const header = named.headerUserId ?? c.req.header('x-user-id')
  const names = [named.bodyUserId, header].filter((name) => name !== undefined && name !== null && name !== '')
  if (names.some((name) => typeof name !== 'string')) throw new AppError('user_mismatch')
  const subjects = names as string[]
  const users = new Set(subjects.map(userIdOf))
  if (identity.role !== 'service_role') {
    if (users.size > 1 || (users.size === 1 && !users.has(identity.userId))) throw new AppError('user_mismatch')
    return identity.userId
  }
  if (users.size > 1) throw new AppError('user_mismatch')
  const [userId] = users
  if (userId === undefined)
    throw new AppError('validation_failed', {}, [{ path: 'userId', rule: 'required', message: '' }])
  await c.get('provision')({ userId, subject: subjects[0]! })
  return userId
}

/** A UUID stays (in lower case, as PostgreSQL writes it); any other subject has one stable UUID of its own. */
export const userIdOf = (subject: string): string => (isUuid(subject) ? subject.toLowerCase() : stableUuid(subject))

/** What an account can be made of: not empty, not endless, nothing that the database cannot keep. */
const isName = (text: string): boolean => text.length >= 1 && text.length <= MOST_NAME && isKeepable(text)

function identityOf(claims: JWTPayload): Identity | null {
  if (claims.role === 'service_role') return SERVICE
  // Supabase's anon key is a token too: nobody is signed in with it.
  if (claims.role === 'anon' || typeof claims.sub !== 'string' || !isName(claims.sub)) return null
  const metadata = claims.app_metadata as { role?: unknown } | null | undefined
  return {
    userId: userIdOf(claims.sub),
    subject: claims.sub,
    role: 'authenticated',
    operator: typeof metadata === 'object' && metadata?.role === 'operator',
    ...(typeof claims.email === 'string' && isName(claims.email) ? { email: claims.email } : {}),
  }
}

/** Claims of a token whose signature, times, issuer and audience are right; else null. */
function createVerifier(options: AuthenticatorOptions): (token: string) => Promise<JWTPayload | null> {
  const encode = (secret: string) => new TextEncoder().encode(secret)
  const sessionKey = encode(options.sessionSecret)
  const sharedKey = options.jwtSecret ? encode(options.jwtSecret) : null
  const publicKeys = options.jwksUrl
    ? createRemoteJWKSet(new URL(options.jwksUrl), { cooldownDuration: options.jwksCooldownMs ?? 10_000 })
    : null
  return async (token) => {
    const common = { currentDate: new Date(options.clock.now()), clockTolerance: TOLERANCE_SEC }
    const foreign = { ...common, issuer: options.issuer, audience: options.audience }
    try {
      const { alg } = decodeProtectedHeader(token)
      const { iss, aud } = decodeJwt(token)
      // Each key has its own algorithms, so a public key can never serve as a shared secret.
      if (iss === SESSION_ISSUER && aud === SESSION_AUDIENCE) {
        const ours = { ...common, algorithms: ['HS256'], requiredClaims: ['exp'] }
        return (await jwtVerify(token, sessionKey, ours)).payload
      }
      if (alg === 'HS256')
        return sharedKey && (await jwtVerify(token, sharedKey, { ...foreign, algorithms: ['HS256'] })).payload
      return publicKeys && (await jwtVerify(token, publicKeys, { ...foreign, algorithms: ['RS256', 'ES256'] })).payload
    } catch (error) {
      if (isUnreachable(error)) throw new AppError('service_unavailable', { retryAfterSec: 2 })
      return null
    }
  }
}

/** The JWKS could not be fetched: that says nothing about the token, so it is no 401. */
function isUnreachable(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  if (code === 'ERR_JWKS_TIMEOUT' || code === 'ERR_JOSE_GENERIC' || code === 'ERR_JWKS_INVALID') return true
  return error instanceof TypeError && error.message === 'fetch failed'
}

/**
 * A cookie travels by itself, so an unsafe request with it must come from our own page. Browsers say so in
 * `Sec-Fetch-Site`, older ones in `Origin`. Who sends neither is no browser, and nobody else sends cookies unasked.
 */
function guardAgainstForgery(c: AppContext, publicBaseUrl: string | undefined): void {
  if (SAFE_METHODS.has(c.req.method)) return
  const site = c.req.header('sec-fetch-site')
  const origin = c.req.header('origin')
  if (site === undefined && origin === undefined) return
  if (site === 'same-origin' || site === 'none') return
  if (site === undefined && origin && URL.canParse(origin)) {
    const { host } = new URL(origin)
    if (host === c.req.header('host')) return
    if (publicBaseUrl && host === new URL(publicBaseUrl).host) return
  }
  throw new AppError('forbidden', { reason: 'cross_site' })
}
