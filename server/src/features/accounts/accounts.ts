import { SignJWT } from 'jose'
import type { Clock } from '../../kernel/clock.ts'
import { AppError } from '../../kernel/errors.ts'
import { sha256, type Ids } from '../../kernel/ids.ts'
import { SESSION_AUDIENCE, SESSION_ISSUER, userIdOf } from '../../http-kit/authentication.ts'

/** As much of the database as accounts need. */
export interface Database {
  query(sql: string, params: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}

export interface AccountsDeps<Tx extends Database = Database> {
  database: Database & { transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> }
  /** Runs in the transaction that makes the account, once per user: sign-up tokens. */
  onNewUser?: (tx: Tx, userId: string) => Promise<void>
  sessionSecret: string
  sessionDays: number
  clock: Clock
  ids: Ids
}

export interface User {
  userId: string
  subject: string
  email?: string
}

export interface Session {
  accessToken: string
  user: { id: string; operator: boolean }
  expiresAt: Date
}

export interface Accounts {
  /** Makes the user known; hand it to `createAuthenticator`. Safe to repeat, also at the same moment. */
  provision(user: User): Promise<void>
  /** Path and query of a one-time sign-in for the owner, good for 24 hours: `/sign-in?token=…`. */
  createOwnerLink(): Promise<string>
  /** A session for the token of a link. 401 for an unknown token, 410 for a used or expired one. */
  redeem(token: string): Promise<Session>
}

/** The operator of an installation of its own; with a colon, so that no ordinary user name is this one. */
export const OWNER_SUBJECT = 'reprise:owner'
const OWNER_ID = userIdOf(OWNER_SUBJECT)
const DAY_MS = 86_400_000

export function createAccounts<Tx extends Database>(deps: AccountsDeps<Tx>): Accounts {
  const { database, onNewUser, clock, ids } = deps
  const key = new TextEncoder().encode(deps.sessionSecret)

  async function provision(user: User): Promise<void> {
    const known = await database.query('select 1 from reprise.accounts where user_id = $1', [user.userId])
    if (known.rows.length) return
    await database.transaction(async (tx) => {
      // Tables of the seeds refer to auth.users. With Supabase its own row is there already and stays untouched.
      await tx.query('insert into auth.users (id) values ($1) on conflict do nothing', [user.userId])
      const made = await tx.query(
        `insert into reprise.accounts (user_id, subject, email) values ($1, $2, $3)
         on conflict do nothing returning user_id`,
        [user.userId, user.subject, user.email ?? null],
      )
      // Of several first requests at once only one inserts, so the gift is given once.
      if (made.rows.length) await onNewUser?.(tx, user.userId)
    })
  }

  async function createOwnerLink(): Promise<string> {
    await provision({ userId: OWNER_ID, subject: OWNER_SUBJECT })
    const token = ids.secret()
    await database.query(
      `insert into reprise.session_links (token_hash, user_id, expires_at)
       values ($1, $2, reprise.now() + interval '24 hours')`,
      [sha256(token), OWNER_ID],
    )
    return `/sign-in?token=${token}`
  }

  async function redeem(token: string): Promise<Session> {
    const hash = sha256(token)
    const used = await database.query(
      `update reprise.session_links set used_at = reprise.now()
       where token_hash = $1 and used_at is null and expires_at > reprise.now() returning user_id`,
      [hash],
    )
    const userId = used.rows[0]?.['user_id']
    if (typeof userId === 'string') return session(userId)
    const known = await database.query('select 1 from reprise.session_links where token_hash = $1', [hash])
    throw new AppError(known.rows.length ? 'gone' : 'unauthorized')
  }

  async function session(userId: string): Promise<Session> {
    const operator = userId === OWNER_ID
    const now = clock.now()
    const expiresAt = new Date(now + deps.sessionDays * DAY_MS)
    const accessToken = await new SignJWT({
      role: 'authenticated',
      ...(operator ? { app_metadata: { role: 'operator' } } : {}),
    })
      .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
      .setSubject(userId)
      .setIssuer(SESSION_ISSUER)
      .setAudience(SESSION_AUDIENCE)
      .setIssuedAt(new Date(now))
      .setExpirationTime(expiresAt)
      .sign(key)
    return { accessToken, user: { id: userId, operator }, expiresAt }
  }

  return { provision, createOwnerLink, redeem }
}

/** A secret that Reprise makes at its first start and keeps in the database; the same on every node. */
export async function keptSecret(database: Database, ids: Ids, name: string): Promise<string> {
  await database.query('insert into reprise.secrets (name, value) values ($1, $2) on conflict (name) do nothing', [
    name,
    ids.secret(),
  ])
  const { rows } = await database.query('select value from reprise.secrets where name = $1', [name])
  return rows[0]!['value'] as string
}
