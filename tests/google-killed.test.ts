import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sleep } from '../server/src/kernel/clock.ts'
import { startFleet, type Fleet } from '../prove/fleet.ts'

/** Workers are processes of their own, killed at a named place of a picture's life. */
describe('a worker killed in the middle of a picture', () => {
  let fleet: Fleet
  beforeAll(async () => {
    fleet = await startFleet({ speed: 200, leaseMs: 800, graceSec: 30, deadlineSec: 60 })
  }, 60_000)
  afterAll(async () => {
    expect(await fleet?.stop()).toEqual([])
  }, 30_000)

  const made = async (prompt: string) => (await fleet.control<any[]>('GET', '/tasks')).filter((task) => task.provider === 'google' && task.prompt === prompt)

  /** `pictures`: how many Google may have made; where the bytes were lost with the worker, a second one. */
  it.each([['before_post', 1], ['after_post', 2], ['after_answer', 1], ['after_publish', 1], ['before_commit', 2], ['after_commit', 1]] as const)('%s: the picture is there all the same, stored once, paid once, and nobody waits for a grace', async (point, pictures) => {
    const prompt = `a kettle that survives ${point}`
    const { id: userId, token } = await fleet.user(point, 10)
    const victim = await fleet.startServer('worker', { REPRISE_CRASH_AT: `${point}:1` })
    const { status, body } = await fleet.call('POST', '/api/generations', { token, body: { provider: 'google', kind: 'image', prompt } })
    expect(status).toBe(202)
    for (const end = Date.now() + 15_000; victim.ended() === null && Date.now() < end; ) await sleep(20)
    expect(victim.ended(), 'the place was reached').not.toBeNull()
    const begun = Date.now()
    const heir = await fleet.startServer('worker')
    await fleet.settled([{ id: body.id, prompt, userId, provider: 'suno', results: 1 }], 25_000)
    expect(Date.now() - begun).toBeLessThan(20_000)
    const { body: done } = await fleet.call('GET', `/api/generations/${body.id}`, { token })
    expect(done).toMatchObject({ state: 'complete', missing: 0, receipt: { cost: 1, held: 0, captured: 1, released: 0 } })
    expect((await fleet.call('GET', '/api/balance', { token })).body).toEqual({ available: 9, held: 0 })
    expect((await made(prompt)).length).toBeLessThanOrEqual(pictures)
    const [row] = await fleet.rows<{ key: string; sha256: string }>('select blob_key as key, sha256 from reprise.results where generation_id = $1', [body.id])
    expect(createHash('sha256').update(await readFile(join(fleet.files, row!.key))).digest('hex')).toBe(row!.sha256)
    expect(await fleet.rows('select * from reprise.ledger_violations')).toEqual([])
    await heir.kill('SIGTERM')
  }, 60_000)

  it('three workers lost one after the other use up none of Google\'s attempts: its trouble is waited out all the same', async () => {
    const prompt = 'a kettle after three kills [[fault:code-455:4]]'
    const { id: userId, token } = await fleet.user('of patience', 10)
    const { body } = await fleet.call('POST', '/api/generations', { token, body: { provider: 'google', kind: 'image', prompt } })
    // Some come to the place before they are ready: then starting them is what fails.
    const lost = async () => {
      const victim = await fleet.startServer('worker', { REPRISE_CRASH_AT: 'before_post:1' }).catch(() => null)
      for (const end = Date.now() + 15_000; victim?.ended() === null && Date.now() < end; ) await sleep(20)
    }
    for (let kill = 0; kill < 3; kill++) await lost()
    const heir = await fleet.startServer('worker')
    await fleet.settled([{ id: body.id, prompt, userId, provider: 'suno', results: 1 }], 40_000)
    const { body: done } = await fleet.call('GET', `/api/generations/${body.id}`, { token })
    expect(done).toMatchObject({ state: 'complete', receipt: { cost: 1, held: 0, captured: 1, released: 0 } })
    expect(done.attempts.map(({ state }: any) => state)).toEqual(['unknown', 'unknown', 'unknown', 'rejected', 'finished'])
    await heir.kill('SIGTERM')
  }, 90_000)
})
