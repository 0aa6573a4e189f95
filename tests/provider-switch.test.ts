import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createSyncBytes, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import { wire } from '../server/src/wire.ts'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

/** The operator sets another provider for pictures and restarts, while jobs of the old one wait. */
describe('a provider switch', () => {
  let reprise: Harness
  let after: Awaited<ReturnType<typeof wire>>
  let old: Awaited<ReturnType<typeof startSyncBytes>>
  let user: TestUser
  let photo: string
  const path = '/functions/v1/create-generation-job-banana'
  const http = createProviderFetch()

  beforeAll(async () => {
    old = await startSyncBytes()
    const base64 = (await sharp({ create: { width: 300, height: 400, channels: 3, background: '#33a' } }).png().toBuffer()).toString('base64')
    old.usually({ json: { mime: 'image/png', base64 } })
    reprise = await startHarness({
      workers: false, sunoKey: null, google: true, imageProvider: 'sync-bytes',
      providerBases: { 'sync-bytes': old.url, google: 'http://127.0.0.1:9' }, // no callbacks are told to either
      more: [createSyncBytes({ apiKey: 'a-key-of-the-old-provider', baseUrl: old.url, fetch: http.fetch, timeScale: 1 / 200 })],
    })
    user = await reprise.user('who waits through a switch')
    photo = await upload()
    after = await wire({ ...reprise.wiredWith, imageProvider: 'google', node: 'after-the-switch' })
  })
  afterAll(async () => {
    await after.close()
    await reprise.close()
    await Promise.all([old.close(), http.close()])
  })

  async function upload(): Promise<string> {
    const response = await fetch(`${reprise.url}/api/uploads/images`, {
      method: 'POST', headers: { authorization: `Bearer ${user.token}`, 'content-type': 'image/png' },
      body: (await sharp({ create: { width: 200, height: 200, channels: 3, background: '#3a3' } }).png().toBuffer()) as BodyInit,
    })
    return ((await response.json()) as { url: string }).url
  }
  const bodyOf = (productName: string, selectedCards: number[]) => ({ productName, productImages: [{ url: photo, name: 'lamp.png', type: 'product' }], selectedCards })
  /** As the process after the switch answers it. */
  async function askAfter(method: string, at: string, body?: object): Promise<any> {
    const headers = { authorization: `Bearer ${user.token}`, 'content-type': 'application/json' }
    return (await after.app.request(at, { method, headers, ...(body && { body: JSON.stringify(body) }) })).json()
  }
  async function ended(jobId: string, status: 'completed' | 'failed' = 'completed'): Promise<any> {
    let job: any
    await expect.poll(async () => (job = await askAfter('GET', `/api/image-jobs/${jobId}`)).status, { timeout: 20_000 }).toBe(status)
    return job
  }
  const providersOf = async (jobId: string) => (await reprise.database.db.query<{ provider: string; attempts: string[] }>(
    `select g.provider, array_agg(distinct a.provider) as attempts from generation_tasks t join reprise.generations g on g.id = t.generation_id
     join reprise.attempts a on a.generation_id = g.id where t.job_id = $1 group by 1`, [jobId])).rows

  it('changes only new jobs: what was accepted before goes to the provider that it was accepted for', async () => {
    const { body: { jobId: before } } = await reprise.call('POST', path, { token: user.token, body: bodyOf('Lamp before', [0, 1]) })
    const { jobId: later } = await askAfter('POST', path, bodyOf('Lamp after', [0, 1]))

    // The old process is gone; the new one finds both jobs waiting.
    await after.engine.start()
    await after.startWorkers()
    expect(await ended(before)).toMatchObject({ completedCards: 2, tokens: { captured: 2, released: 0 } })
    expect(await ended(later)).toMatchObject({ completedCards: 2, tokens: { captured: 2, released: 0 } })

    expect(await providersOf(before)).toEqual([{ provider: 'sync-bytes', attempts: ['sync-bytes'] }])
    expect(await providersOf(later)).toEqual([{ provider: 'google', attempts: ['google'] }])
    expect(reprise.simulator.control.tasks().filter(({ provider }: any) => provider === 'google')).toHaveLength(2)
  })

  it('an old card that is tried again is a new job: made at the new provider, and at its price', async () => {
    const price = { token: SERVICE_KEY, body: { tokensPerResult: 3 } }
    expect((await reprise.call('PUT', '/api/prices/image/google', price)).status).toBe(200)
    old.next({ status: 400, json: { error: 'no' } })
    const { body: { jobId } } = await reprise.call('POST', path, { token: user.token, body: bodyOf('Unlucky lamp', [0]) })
    expect(await ended(jobId, 'failed')).toMatchObject({ tokensCost: 1, cards: [{ prices: { retry: 3, regenerate: null, edit: null } }] })
    const { jobId: again } = await askAfter('POST', `/api/image-jobs/${jobId}/cards/0/retry`)
    expect(await ended(again)).toMatchObject({ tokensCost: 3, tokens: { captured: 3 } })
    expect(await providersOf(jobId)).toEqual([{ provider: 'sync-bytes', attempts: ['sync-bytes'] }])
    expect(await providersOf(again)).toEqual([{ provider: 'google', attempts: ['google'] }])
  })

  it('to a provider that makes no pictures, or that there is none of, is refused at start', async () => {
    for (const imageProvider of ['suno', 'nobody']) await expect(wire({ ...reprise.wiredWith, imageProvider })).rejects.toThrow(/IMAGE_PROVIDER: .*pictures can be made by google, sync-bytes/)
  })
})
