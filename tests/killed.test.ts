import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { demoFolder, startDemo, type Demo } from './browser/demo.ts'

/** The whole demo as a user runs it, one command, killed without warning in the middle of a song. */
describe('kill -9 of the one process that npm start is', () => {
  let folder: Awaited<ReturnType<typeof demoFolder>>
  let demo: Demo
  let token = ''
  const speed = { DEMO_SPEED: '30' }

  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(demo.url + path, {
      method, headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), 'content-type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body),
    })
    return response.json() as Promise<any>
  }
  const ends = async (id: string) => {
    for (let tries = 0; tries < 300; tries++) {
      const generation = await call('GET', `/api/generations/${id}`)
      if (['complete', 'failed', 'timed_out', 'cancelled'].includes(generation.state)) return generation
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    throw new Error('it never ended')
  }

  beforeAll(async () => {
    folder = await demoFolder()
    demo = await startDemo(folder.path, speed)
    token = (await call('POST', '/api/session', { token: new URL(demo.ownerLink).searchParams.get('token') })).accessToken
  }, 120_000)
  afterAll(async () => {
    await demo?.stop()
    await folder?.remove()
  }, 60_000)

  it('the next start on the same data finishes every song that was under way, and loses no token', async () => {
    const asked = await Promise.all([0, 1, 2].map((n) => call('POST', '/api/generations', { provider: 'suno', kind: 'song', prompt: `a march for snails, number ${n}` })))
    await new Promise((resolve) => setTimeout(resolve, 700))
    process.kill(demo.pid, 'SIGKILL')
    await demo.ended
    demo = await startDemo(folder.path, speed)
    for (const { id } of asked) expect(await ends(id)).toMatchObject({ state: 'complete', missing: 0, receipt: { captured: 10, held: 0 } })
    expect(await call('GET', '/api/balance')).toEqual({ available: 970, held: 0 })
  }, 120_000)

  it('kill -9 of the database alone is mended while it runs', async () => {
    const postmaster = join(folder.path, 'postgres', 'postmaster.pid')
    const pid = Number((await readFile(postmaster, 'utf8')).split('\n')[0])
    const { id } = await call('POST', '/api/generations', { provider: 'suno', kind: 'song', prompt: 'a lullaby for a database' })
    process.kill(pid, 'SIGKILL')
    await expect.poll(async () => (await fetch(`${demo.url}/readyz`)).status, { timeout: 60_000 }).toBe(200)
    expect(await ends(id)).toMatchObject({ state: 'complete' })
  }, 120_000)
})
