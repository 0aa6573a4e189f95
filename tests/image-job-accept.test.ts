import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sleep } from '../server/src/kernel/clock.ts'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createSyncBytes, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import { startHarness, type Answer, type Harness, type TestUser } from './harness.ts'
import { makeChannel, run } from './seed-001.ts'

const CREATE = '/functions/v1/create-generation-job-banana'
const http = createProviderFetch()
afterAll(() => http.close())

async function upload(reprise: Harness, { token }: TestUser): Promise<string> {
  const bytes = await sharp({ create: { width: 30, height: 20, channels: 3, background: '#3a3' } }).jpeg().toBuffer()
  const response = await fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'image/jpeg' }, body: bytes as BodyInit })
  expect(response.status).toBe(201)
  return ((await response.json()) as { url: string }).url
}

describe('more requests at once than there are database connections', () => {
  const MANY = 20
  let reprise: Harness
  let provider: Awaited<ReturnType<typeof startSyncBytes>>
  let users: TestUser[]

  beforeAll(async () => {
    provider = await startSyncBytes()
    // Nobody has asked for the state of any account yet: everybody who comes now has to look.
    reprise = await startHarness({
      databasePool: 4, workers: false, mureka: true, imageProvider: 'sync-bytes', providerBases: { 'sync-bytes': provider.url, suno: provider.url, mureka: provider.url },
      more: [createSyncBytes({ apiKey: 'a-key-of-many', baseUrl: provider.url, fetch: http.fetch, timeScale: 1 / 200 })],
    })
    users = []
    for (let n = 0; n < MANY; n++) users.push(await reprise.user(`one of many ${n}`))
  })
  afterAll(async () => {
    await reprise.close()
    await provider.close()
  })

  /** All are accepted, and sooner than anybody who waits for a connection gives up. */
  async function allAccepted(ask: (user: TestUser, index: number) => Promise<Answer>): Promise<void> {
    // All come to the database at once: nobody has a connection before everybody waits for one.
    const { pool } = reprise.wired.db
    const taken = await Promise.all(Array.from({ length: 4 }, () => pool.connect()))
    const asked = Promise.all(users.map(ask))
    await sleep(300)
    const begun = performance.now()
    for (const connection of taken) connection.release()
    const answers = await asked
    expect(answers.map(({ status }) => status)).toEqual(users.map(() => 202))
    expect(performance.now() - begun).toBeLessThan(4_500)
  }

  it('image jobs are all accepted', async () => {
    const photos: string[] = []
    for (const user of users) photos.push(await upload(reprise, user))
    await allAccepted(({ token }, index) => reprise.call('POST', CREATE, { token, body: { productName: 'Lamp', productImages: [photos[index]], selectedCards: [0, 1] } }))
  })

  it('songs of the Mureka functions are all accepted', () =>
    allAccepted(({ token }) => reprise.call('POST', '/functions/v1/generate-mureka-track', { token, body: { inputType: 'description', prompt: 'a slow waltz', model: 'auto' } })))

  it('runs of channels are all accepted', async () => {
    const channels: string[] = []
    for (const user of users) channels.push(await makeChannel(reprise, user))
    await allAccepted((user, index) => run(reprise, user, channels[index]!))
  })
})
