import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHarness, type Harness } from './harness.ts'

/** A rolling deploy of a new provider key: the API still has the old one, the only worker has the new one. */
describe('work accepted under a key that no worker has any more', () => {
  let worker: Harness
  let api: Harness

  beforeAll(async () => {
    worker = await startHarness({ sunoKey: 'the-new-key', simulator: { key: 'the-new-key' } })
    api = await startHarness({ sunoKey: 'the-old-key', workers: false, databaseUrl: worker.database.url })
  })
  afterAll(async () => {
    await api.close()
    await worker.close()
  })

  const ask = async () => {
    const user = await api.user('in the middle of a deploy')
    const { status, body } = await api.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'a song between keys' } })
    expect(status).toBe(202)
    return { user, id: body.id as string }
  }

  it('is left to a live worker that still has the old key, and adopted as soon as there is none', async () => {
    const { db } = worker.database
    const { rows: [old] } = await db.query('select account from reprise.provider_accounts where not account = any (select unnest(accounts) from reprise.nodes)')
    await db.query(`insert into reprise.nodes (node, role, started_at, round_at, accounts) values ('elsewhere', 'worker', now(), now(), $1)`, [[old!.account]])
    const { user, id } = await ask()
    await worker.wired.engine.accounts.adopt()
    expect((await db.query('select account, state from reprise.generations where id = $1', [id])).rows).toEqual([{ account: old!.account, state: 'queued' }])

    await db.query(`update reprise.nodes set round_at = now() - interval '31 seconds' where node = 'elsewhere'`)
    // Nobody has to ask: the worker looks every few seconds.
    expect(await worker.settled(id, user)).toMatchObject({ state: 'complete', receipt: { captured: 10, held: 0 } })
  })

  it('a worker that stops leaves its waiting work at once to one with another key', async () => {
    const { db } = worker.database
    const { rows } = await db.query('select node from reprise.nodes where cardinality(accounts) > 0 and node <> $1', ['elsewhere'])
    expect(rows).toHaveLength(1)
    await worker.wired.engine.stop()
    expect((await db.query('select node from reprise.nodes where cardinality(accounts) > 0 and node <> $1', ['elsewhere'])).rows).toEqual([])
  })
})
