import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { signToken } from '../server/src/http-kit/testing.ts'
import { systemClock } from '../server/src/kernel/clock.ts'
import { JWT_SECRET, SERVICE_KEY, startHarness, type Answer, type Harness, type TestUser } from './harness.ts'

const HOUR = 3_600_000
const song = { provider: 'suno', kind: 'song', prompt: 'a quiet waltz', title: 'Waltz', options: {} }

describe('the same request twice is one request', () => {
  let reprise: Harness
  let user: TestUser
  let keys = 0
  const newKey = () => `key-${++keys}`

  beforeAll(async () => {
    reprise = await startHarness()
    user = await reprise.user('double clicker', 100_000)
  })
  afterEach(async () => {
    await reprise.wired.db.setClockOffset(0)
    expect((await reprise.database.db.query('select * from reprise.ledger_violations')).rows).toEqual([])
  })
  afterAll(() => reprise.close())

  const ask = (key: string, body: unknown = song, who = user, path = '/api/generations') =>
    reprise.call('POST', path, { token: who.token, body, headers: { 'idempotency-key': key } })
  const count = async (sql: string, values: unknown[] = []) => (await reprise.database.db.query<{ n: number }>(`select count(*) as n from ${sql}`, values)).rows[0]!.n
  const generations = (who = user) => count('reprise.generations where user_id = $1', [who.id])
  const holds = (who = user) => count(`reprise.ledger_transfers where kind = 'hold' and user_id = $1`, [who.id])

  it('what was accepted is answered again while the provider account refuses all new work', async () => {
    const key = newKey()
    const first = await ask(key)
    expect(first.status).toBe(202)
    await reprise.settled(first.body.id, user)
    const db = reprise.database.db
    await db.query("update reprise.provider_accounts set breaker_reason = 'no_credits', breaker_until = reprise.now() + interval '1 minute'")
    await expect.poll(async () => (await ask(newKey())).status, { timeout: 10_000 }).toBe(503)
    expect(await ask(key)).toMatchObject({ status: 202, body: first.body })
    await db.query('update reprise.provider_accounts set breaker_reason = null, breaker_until = null')
    await expect.poll(async () => (await ask(newKey())).status, { timeout: 10_000 }).toBe(202)
  })

  it('same key and equal JSON, whatever the order of its keys: the first answer again, and one hold', async () => {
    const key = newKey()
    const [before, held] = [await generations(), await holds()]
    const first = await ask(key)
    expect(first.headers.get('idempotent-replayed')).toBeNull()
    await reprise.settled(first.body.id, user)
    for (const body of [song, { options: {}, title: 'Waltz', prompt: 'a quiet waltz', kind: 'song', provider: 'suno' }]) {
      const again = await ask(key, body)
      expect(again).toMatchObject({ status: 202, body: first.body })
      expect(again.headers.get('idempotent-replayed')).toBe('true')
      expect(again.headers.get('location')).toBe(first.headers.get('location'))
    }
    expect([await generations(), await holds()]).toEqual([before + 1, held + 1])
  })

  it('same key and another body: 422, nothing written', async () => {
    const key = newKey()
    await ask(key)
    const before = await generations()
    for (const body of [{ ...song, prompt: 'a loud waltz' }, { ...song, title: undefined }, { ...song, instrumental: false }]) {
      expect(await ask(key, body)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
    }
    expect(await generations()).toBe(before)
  })

  it('without a key every request is its own', async () => {
    const before = await generations()
    for (let n = 0; n < 2; n++) await reprise.call('POST', '/api/generations', { token: user.token, body: song })
    expect(await generations()).toBe(before + 2)
  })

  it('still in flight: 409 with Retry-After, and the first one is accepted', async () => {
    const key = newKey()
    const before = await generations()
    let first: Promise<Answer>
    // The first request waits for the wallet inside its transaction.
    await reprise.database.db.transaction(async (tx) => {
      await tx.query('select 1 from reprise.wallets where user_id = $1 for update', [user.id])
      first = ask(key)
      await until(async () => (await count(`pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)) > 0)
      const second = await ask(key)
      expect(second).toMatchObject({ status: 409, body: { code: 'request_in_progress', retryable: true } })
      expect(Number(second.headers.get('retry-after'))).toBeGreaterThan(0)
    })
    const accepted = await first!
    expect(accepted.status).toBe(202)
    expect(await ask(key)).toMatchObject({ status: 202, body: { id: accepted.body.id } })
    expect(await generations()).toBe(before + 1)
  })

  it('twenty at once: one generation, one hold', async () => {
    const key = newKey()
    const [before, held] = [await generations(), await holds()]
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(key)))
    const accepted = answers.filter(({ status }) => status === 202)
    for (const { status } of answers) expect([202, 409]).toContain(status)
    expect(new Set(accepted.map(({ body }) => body.id)).size).toBe(1)
    expect(accepted.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
    expect([await generations(), await holds()]).toEqual([before + 1, held + 1])
  })

  it('another user’s same key is another key', async () => {
    const key = newKey()
    const other = await reprise.user('another clicker', 100)
    const mine = await ask(key)
    const theirs = await ask(key, { ...song, prompt: 'another song' }, other)
    expect(theirs.status).toBe(202)
    expect(theirs.body.id).not.toBe(mine.body.id)
  })

  it('a refusal is not kept: the same key works once there are tokens', async () => {
    const poor = await reprise.user('poor', 0)
    const key = newKey()
    expect((await ask(key, song, poor)).status).toBe(402)
    await reprise.user('poor', 10)
    expect((await ask(key, song, poor)).status).toBe(202)
    expect(await generations(poor)).toBe(1)
  })

  it('kept for 24 hours, then the key is new', async () => {
    const key = newKey()
    const first = await ask(key)
    await reprise.settled(first.body.id, user)
    await reprise.wired.db.setClockOffset(23.9 * HOUR)
    expect((await ask(key)).body.id).toBe(first.body.id)
    await reprise.wired.db.setClockOffset(24.1 * HOUR)
    const later = await ask(key, { ...song, prompt: 'another day' })
    expect(later.status).toBe(202)
    expect(later.body.id).not.toBe(first.body.id)
    expect((await ask(key, { ...song, prompt: 'another day' })).body.id).toBe(later.body.id)
    expect((await ask(key)).status).toBe(422)
  })

  it('regenerating with a key happens once, and its keys are its own', async () => {
    const key = newKey()
    const first = await ask(key)
    const other = await ask(newKey())
    const path = (id: string) => `/api/generations/${id}/regenerate`
    const [before, held] = [await generations(), await holds()]
    const again = await ask(key, undefined, user, path(first.body.id))
    expect(again.status).toBe(202)
    expect(again.body.id).not.toBe(first.body.id)
    const replayed = await ask(key, undefined, user, path(first.body.id))
    expect(replayed).toMatchObject({ status: 202, body: again.body })
    expect(replayed.headers.get('idempotent-replayed')).toBe('true')
    expect(await ask(key, undefined, user, path(other.body.id))).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
    expect([await generations(), await holds()]).toEqual([before + 1, held + 1])
    expect((await reprise.call('GET', `/api/generations/${again.body.id}`, { token: user.token })).body.regeneratedFrom).toBe(first.body.id)
  })

  describe('grants', () => {
    const grant = (key: string | null, body: object, token = SERVICE_KEY) =>
      reprise.call('POST', '/api/ledger/grants', { token, body, headers: key ? { 'idempotency-key': key } : {} })

    it('with a key are given once, also when asked twenty times at once', async () => {
      const key = newKey()
      const body = { userId: 'a lucky one', amount: 7, reason: 'thanks' }
      const answers = await Promise.all(Array.from({ length: 20 }, () => grant(key, body)))
      for (const answer of answers) expect(answer).toMatchObject({ status: 201, body: { available: 7, held: 0 } })
      expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(19)
    })
    it('with a key that was used for another grant are refused, not swallowed', async () => {
      const key = newKey()
      const body = { userId: 'a second one', amount: 7, reason: 'thanks' }
      await grant(key, body)
      for (const other of [{ ...body, amount: 8 }, { ...body, userId: 'a third one' }, { ...body, reason: 'sorry' }]) {
        expect(await grant(key, other)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } })
      }
    })
    it('with the same key of another operator are another grant', async () => {
      const key = newKey()
      const body = { userId: 'a fourth one', amount: 7, reason: 'thanks' }
      const token = await signToken({ sub: 'operator', app_metadata: { role: 'operator' } }, { secret: JWT_SECRET, clock: systemClock })
      await grant(key, body)
      expect((await grant(key, body, token)).body.available).toBe(14)
    })
    it('without a key are given each time', async () => {
      const body = { userId: 'a fifth one', amount: 7, reason: 'thanks' }
      await grant(null, body)
      expect((await grant(null, body)).body.available).toBe(14)
    })
  })
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('not in time')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
