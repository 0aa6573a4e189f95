import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import type { Logger } from '../kernel/logger.ts'
import type { Language } from '../texts/texts.ts'

/** Who is asking, as proven by a token, the service key or a session cookie. */
export interface Identity {
  /** Always a UUID: the token's `sub`, or its stable UUID when it is none. */
  userId: string
  /** The token's `sub` as it came. */
  subject: string
  role: 'authenticated' | 'service_role'
  /** Service role, or `app_metadata.role = "operator"`. */
  operator: boolean
  email?: string
}

/** What every handler finds in its context (`c.get('identity')`). */
export interface AppEnv {
  Bindings: Partial<HttpBindings>
  Variables: {
    requestId: string
    logger: Logger
    language: Language
    /** Null when not signed in. */
    identity: Identity | null
    /** Makes sure that a user whom the service role names exists. */
    provision: (user: { userId: string; subject: string; email?: string }) => Promise<void>
  }
}

export type AppContext = Context<AppEnv>
