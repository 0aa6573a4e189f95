import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createSyncBytes, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import { wire } from '../server/src/wire.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

/** The operator sets another provider for pictures and restarts, while jobs of the old one wait. */
describe('a provider switch', () => {
  let reprise: Harness
  let after: Awaited<ReturnType<typeof wire>>
  let old: Awaited<ReturnType<typeof startSyncBytes>>
  let user: TestUser
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
    after = await wire({ ...reprise.wiredWith, imageProvider: 'google', node: 'after-the-switch' })
  })
  afterAll(async () => {
    await after.close()
    await reprise.close()
    await Promise.all([old.close(), http.close()])
  })

  it('changes only new jobs: what was accepted before goes to the provider that it was accepted for', async () => {
    const headers = { authorization: `Bearer ${user.token}`, 'content-type': 'application/json' }
    const upload = await fetch(`${reprise.url}/api/uploads/images`, {
      method: 'POST', headers: { ...headers, 'content-type': 'image/png' },
      body: (await sharp({ create: { width: 200, height: 200, channels: 3, background: '#3a3' } }).png().toBuffer()) as BodyInit,
    })
    const { url } = (await upload.json()) as { url: string }
    const body = (productName: string) => JSON.stringify({ productName, productImages: [{ url, name: 'lamp.png', type: 'product' }], selectedCards: [0, 1] })
    const path = '/functions/v1/create-generation-job-banana'
    const before = (await reprise.call('POST', path, { token: user.token, body: JSON.parse(body('Lamp before')) })).body.jobId as string
    const created = await after.app.request(path, { method: 'POST', headers, body: body('Lamp after') })
    expect(created.status).toBe(202)
    const { jobId: later } = (await created.json()) as { jobId: string }

    // The old process is gone; the new one finds both jobs waiting.
    await after.engine.start()
    await after.startWorkers()
    const ended = async (id: string) => {
      let job: any
      await expect.poll(async () => (job = (await reprise.call('GET', `/api/image-jobs/${id}`, { token: user.token })).body).status, { timeout: 20_000 }).toBe('completed')
      return job
    }
    expect(await ended(before)).toMatchObject({ completedCards: 2, tokens: { captured: 2, released: 0 } })
    expect(await ended(later)).toMatchObject({ completedCards: 2, tokens: { captured: 2, released: 0 } })

    const { rows } = await reprise.database.db.query<{ job: string; provider: string; attempts: string[] }>(
      `select t.job_id as job, g.provider, array_agg(distinct a.provider) as attempts from generation_tasks t join reprise.generations g on g.id = t.generation_id
       join reprise.attempts a on a.generation_id = g.id group by 1, 2`)
    expect(rows).toHaveLength(2)
    expect(rows).toContainEqual({ job: before, provider: 'sync-bytes', attempts: ['sync-bytes'] })
    expect(rows).toContainEqual({ job: later, provider: 'google', attempts: ['google'] })
    expect(reprise.simulator.control.tasks().filter(({ provider }: any) => provider === 'google')).toHaveLength(2)
  })
})
