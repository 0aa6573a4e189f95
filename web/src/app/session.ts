import { useQuery } from '@tanstack/react-query'
import { api, ApiProblem, keepBearer, signedOut } from './api.ts'
import { recall, remember } from './browser-memory.ts'
import { queryClient } from './queries.ts'

export interface User {
  id: string
  role?: string
  operator?: boolean
  name?: string
  email?: string
}

interface Session {
  accessToken?: string
  user?: User
  expiresAt?: string
}

const USER = 'reprise.user'
/** What somebody began here, by its names in the browser's memory. */
const THEIRS = ['reprise.draft', 'reprise.imageDraft', 'reprise.player']

const leaving = new Set<() => void>()
/** Calls `forget` when somebody signs out: whoever comes next must not find what they left in the page's memory. */
export const onLeave = (forget: () => void): void => void leaving.add(forget)

/** Trades a one-time link for a session cookie. The cookie is enough: the token in the answer is not kept. */
export async function openSession(token: string): Promise<void> {
  const session = await api<Session>('/api/session', { method: 'POST', body: { token } })
  keepBearer(null)
  signedIn(session.user)
}

/** Tries an access token of somebody else's making; keeps it for this tab when the server accepts it. */
export async function enterWithToken(token: string): Promise<void> {
  keepBearer(token)
  try {
    await api('/api/balance')
    signedIn(undefined)
  } catch (problem) {
    if (problem instanceof ApiProblem && problem.status !== 0) keepBearer(null)
    throw problem
  }
}

function signedIn(user: User | undefined): void {
  remember(USER, user ? JSON.stringify(user) : null)
  signedOut.set(false)
  queryClient.clear()
}

/** Signs out, and leaves nothing of this person to the next. A sign-in that only ran out leaves what was begun. */
export async function closeSession(): Promise<void> {
  await api('/api/session', { method: 'DELETE' }).catch(() => undefined)
  keepBearer(null)
  for (const name of [USER, ...THEIRS]) remember(name, null)
  for (const forget of leaving) forget()
  queryClient.clear()
  signedOut.set(true)
}

/** Who is here. An older server that cannot tell leaves it to what sign-in said. */
export function useUser(): User | undefined {
  const asked = useQuery({
    queryKey: ['session'],
    staleTime: Infinity,
    queryFn: async () => {
      try {
        return (await api<Session>('/api/session')).user ?? null
      } catch (problem) {
        if (problem instanceof ApiProblem && (problem.status === 404 || problem.status === 405)) return null
        throw problem
      }
    },
  })
  return asked.data ?? remembered()
}

function remembered(): User | undefined {
  try {
    return JSON.parse(recall(USER) ?? 'null') ?? undefined
  } catch {
    return undefined
  }
}

export const isOperator = (user: User | undefined) =>
  user?.operator === true || user?.role === 'operator' || user?.role === 'service_role'
