import type { Database } from '../database/pool.ts'
import { sha256 } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import { withoutTokens } from '../providers/http-call.ts'
import type { RawCallback } from '../providers/provider.ts'
import type { Registry } from '../providers/registry.ts'
import type { Store } from './store.ts'

/** Unknown callbacks parked per second and process; more are noise, and polling finds the task anyway. */
const PARKED_PER_SECOND = 50
const PARK_MINUTES = 10
const RAW_LIMIT = 16_384

/**
 * The door for providers. A callback never decides anything: it names a task or asks us to look now. With the token
 * of an attempt it is that attempt's hint; without, a known task is looked at (at most once in 5 seconds) and an
 * unknown one parked, in case its submit has not been answered yet.
 * A signed one is a hint too: the signature says who speaks, only the token for which attempt, and to ask once costs
 * next to nothing and keeps one way in for all providers. The same callback again finds nothing left to ask.
 */
export function createCallbackDoor(deps: { db: Database; store: Store; registry: Registry; logger: Logger }) {
  const { db, store, registry, logger } = deps
  const seenAt = new Map<string, number>()
  let parkedNow = { second: 0, count: 0 }

  /** What became of it, for the log; the provider is answered 200 in every case. */
  async function receive(providerId: string, token: string | null, raw: RawCallback): Promise<'hint' | 'woken' | 'parked' | 'not_understood'> {
    const provider = registry.find(providerId)
    const reading = provider?.readCallback(raw) ?? null
    const kept = redacted(raw.body)
    // Where bodies are signed, one that is not was altered or made up: its token may have been read on the way.
    const attempt = token && reading?.trust !== 'forged' ? await attemptByToken(providerId, token) : null
    if (attempt) {
      await store.apply({
        generationId: attempt.generationId, cause: 'callback',
        evidence: { kind: 'hint', attemptId: attempt.id, taskId: reading?.taskId ?? null, claimed: reading?.snapshot ?? null, raw: kept },
      })
      await rememberCallbacksWork(attempt.account)
      return 'hint'
    }
    // A NUL is in no task id, and the database could not look for it.
    if (!reading?.taskId || reading.taskId.includes('\0')) return 'not_understood'
    const generation = await generationByTask(providerId, reading.taskId)
    if (!generation) return park(providerId, reading.taskId)
    if (generation.rested) await store.apply({ generationId: generation.id, cause: 'callback', evidence: { kind: 'wake' } })
    return 'woken'
  }

  async function attemptByToken(provider: string, token: string) {
    const { rows } = await db.query<{ id: string; generationId: string; account: string }>({
      name: 'attempt_by_token',
      text: 'select id, generation_id as "generationId", account from reprise.attempts where token_hash = $1 and provider = $2',
      values: [sha256(token), provider],
    })
    return rows[0] ?? null
  }

  async function generationByTask(provider: string, taskId: string) {
    const { rows } = await db.query<{ id: string; rested: boolean }>(
      `select g.id, (g.woken_at is null or g.woken_at < reprise.now() - interval '5 seconds') as rested
       from reprise.attempts a join reprise.generations g on g.id = a.generation_id where a.provider = $1 and a.task_id = $2 limit 1`,
      [provider, taskId],
    )
    return rows[0] ?? null
  }

  async function park(provider: string, taskId: string): Promise<'parked'> {
    const second = Math.floor(Date.now() / 1000)
    parkedNow = parkedNow.second === second ? parkedNow : { second, count: 0 }
    if (++parkedNow.count > PARKED_PER_SECOND) return 'parked'
    await db.query('insert into reprise.parked_callbacks (provider, task_id, received_at) values ($1, left($2, 200), reprise.now())', [provider, taskId])
    return 'parked'
  }

  /** A submit was answered: had its callback already been here? */
  async function wakeIfParked(provider: string, taskId: string, generationId: string): Promise<void> {
    const { rowCount } = await db.query({
      name: 'parked', values: [provider, taskId],
      text: `select 1 from reprise.parked_callbacks where provider = $1 and task_id = $2 and received_at > reprise.now() - interval '${PARK_MINUTES} minutes' limit 1`,
    })
    if (rowCount > 0) await store.apply({ generationId, cause: 'callback', evidence: { kind: 'wake' } })
  }

  /** Kept in the database (it decides about a new attempt after a grace), at most once a minute. */
  async function rememberCallbacksWork(account: string): Promise<void> {
    if (Date.now() - (seenAt.get(account) ?? 0) < 60_000) return
    seenAt.set(account, Date.now())
    await db
      .query('update reprise.provider_accounts set last_valid_callback_at = reprise.now() where account = $1', [account])
      .catch((error) => logger.warn({ err: error }, 'could not note that callbacks arrive'))
  }

  return { receive, wakeIfParked }
}

/** The body as received, for the timeline; callback tokens and signatures inside it are cut out. */
function redacted(body: Uint8Array): unknown {
  const text = Buffer.from(body.subarray(0, RAW_LIMIT)).toString('utf8').replaceAll('\0', '')
  try {
    return withoutTokens(body.length > RAW_LIMIT ? text : JSON.parse(text))
  } catch {
    return withoutTokens(text)
  }
}
