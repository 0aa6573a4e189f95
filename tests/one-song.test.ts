import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHarness, type Harness } from './harness.ts'

describe('one song, from the request to a file that plays', () => {
  let reprise: Harness
  beforeAll(async () => {
    reprise = await startHarness()
  })
  afterAll(() => reprise.close())

  it('both variants are stored byte for byte as the provider made them, and paid once', async () => {
    const user = await reprise.user('listener', 100)
    const asked = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: 'a quiet waltz' } })
    expect(asked).toMatchObject({ status: 202, body: { state: 'queued', provider: 'suno', kind: 'song', cost: 10 } })

    const done = await reprise.settled(asked.body.id, user)
    expect(done).toMatchObject({ state: 'complete', missing: 0, error: null, receipt: { cost: 10, held: 0, captured: 10, released: 0 } })
    expect(done.tracks).toHaveLength(2)
    for (const track of done.tracks) {
      const bytes = Buffer.from(await (await fetch(track.audioUrl)).arrayBuffer())
      const truth = await reprise.simulator.control.file(done.providerTaskId, track.variant - 1)
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(truth!.sha256)
      expect(track).toMatchObject({ sha256: truth!.sha256, bytes: truth!.bytes, mime: 'audio/mpeg', archived: true })
    }
    expect((await reprise.call('GET', '/api/balance', { token: user.token })).body).toEqual({ available: 90, held: 0 })
    const { rows } = await reprise.database.db.query('select * from reprise.ledger_violations')
    expect(rows).toEqual([])
  })
})
