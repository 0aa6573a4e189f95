import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemIds } from '../server/src/kernel/ids.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

const DOOR = '/api/webhooks/suno/music'

describe('strangers and friends at the door for callbacks', () => {
  let reprise: Harness
  let user: TestUser
  const secrets: string[] = []

  beforeAll(async () => {
    const secret = () => {
      secrets.push(systemIds.secret())
      return secrets.at(-1)!
    }
    reprise = await startHarness({ ids: { ...systemIds, secret } })
    user = await reprise.user('door keeper')
  })
  afterAll(() => reprise.close())

  const song = async () => {
    const { body } = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'a door that creaks' } })
    return reprise.settled(body.id, user)
  }
  const events = async (id: string) => (await reprise.database.db.query('select * from reprise.events where generation_id = $1', [id])).rows
  const body = (taskId: string, more: object = {}) => ({ code: 200, msg: 'ok', data: { callbackType: 'complete', task_id: taskId, data: [], ...more } })

  it('who repeats the id of a finished task without a token is heard once in 5 seconds', async () => {
    const done = await song()
    const before = (await events(done.id)).length
    for (let n = 0; n < 20; n++) expect((await reprise.call('POST', DOOR, { body: body(done.providerTaskId) })).status).toBe(200)
    expect((await events(done.id)).length - before).toBeLessThanOrEqual(1)
  })

  it('a callback that echoes its own address leaves no token in the timeline', async () => {
    const done = await song()
    const token = secrets.find((secret) => secret.length > 20 && secret === secrets.at(-1))!
    const echo = { callBackUrl: `https://reprise.example.com${DOOR}?token=${token}`, note: `see https://x.example.com/?token=${token}` }
    expect((await reprise.call('POST', `${DOOR}?token=${token}`, { body: body(done.providerTaskId, echo) })).status).toBe(200)
    const kept = JSON.stringify(await events(done.id))
    expect(kept).toContain('callBackUrl')
    for (const secret of secrets) expect(kept).not.toContain(secret)
  })
})
