import sharp from 'sharp'
import { expect } from 'vitest'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createSyncBytes, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import type { WireOptions } from '../server/src/wire.ts'
import { SERVICE_KEY, startHarness, type TestUser } from './harness.ts'

export const CREATE = '/functions/v1/create-generation-job-banana'
export const PROCESS = '/functions/v1/process-generation-tasks-banana'

/** Reprise with a provider of pictures that answers as it is told, and a user with a photo: for tests of image jobs. */
export async function startPictureShop(options: Partial<WireOptions> & { workers?: boolean } = {}) {
  const http = createProviderFetch()
  const provider = await startSyncBytes()
  const reprise = await startHarness({
    sunoKey: null, imageProvider: 'sync-bytes', providers: [createSyncBytes({ apiKey: 'a-key-of-the-shop', baseUrl: provider.url, fetch: http.fetch, timeScale: 1 / 200 })],
    providerBases: { 'sync-bytes': provider.url }, ...options,
  })
  const picture = (await sharp({ create: { width: 600, height: 800, channels: 3, background: '#a33' } }).png().toBuffer()).toString('base64')
  const answer = { json: { mime: 'image/png', base64: picture } }
  provider.usually(answer)
  const user = await reprise.user('of the shop')

  async function upload({ token }: TestUser = user): Promise<string> {
    const response = await fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'image/png' }, body: Buffer.from(picture, 'base64') as BodyInit })
    expect(response.status).toBe(201)
    return ((await response.json()) as { url: string }).url
  }
  const photo = await upload()
  const sql = async (text: string, values?: unknown[]): Promise<any[]> => (await reprise.database.db.query(text, values)).rows
  const read = async (id: string, { token }: TestUser = user): Promise<any> => (await reprise.call('GET', `/api/image-jobs/${id}`, { token })).body
  let made = 0

  return {
    reprise, provider, user, picture, photo, upload, sql, read,
    bodyOf: (more: object = {}) => ({ productName: `Lamp ${++made}`, productImages: [{ url: photo, name: 'lamp.png', type: 'product' }], selectedCards: [0], ...more }),
    create: (body: object, { token }: TestUser = user, headers: Record<string, string> = {}) => reprise.call('POST', CREATE, { token, body, headers }),
    balance: async ({ token }: TestUser = user): Promise<any> => (await reprise.call('GET', '/api/balance', { token })).body,
    violations: () => sql('select * from reprise.ledger_violations'),
    /** What is told of a job, newest first. */
    notices: async (jobId: string, { token }: TestUser = user): Promise<any[]> =>
      (await reprise.call('GET', '/api/notifications?limit=100', { token })).body.items.filter(({ link }: any) => link === `/images/${jobId}`),
    /** The job when `until` holds: when it has ended. */
    async ended(id: string, until = (job: any): boolean => job.status === 'completed' || job.status === 'failed'): Promise<any> {
      let job: any
      await expect.poll(async () => until((job = await read(id))), { timeout: 20_000, message: `job ${id}` }).toBe(true)
      return job
    },
    /** A job that the team's own app wrote, with these cards. */
    async fromOutside(types: string[], more: { totalCards?: number; cost?: number } = {}): Promise<string> {
      const service = reprise.database.asUser(null, 'service_role')
      const { rows: [job] } = await service.query<{ id: string }>(
        `insert into generation_jobs (user_id, product_name, product_images, total_cards, tokens_cost) values ($1, 'From outside', $2, $3, $4) returning id`,
        [user.id, JSON.stringify([{ url: photo, name: 'a', type: 'product' }]), more.totalCards ?? types.length, more.cost ?? 0])
      for (const [index, type] of types.entries()) await service.query('insert into generation_tasks (job_id, card_index, card_type) values ($1, $2, $3)', [job!.id, index, type])
      return job!.id
    },
    process: (jobId: string) => reprise.call('POST', PROCESS, { token: SERVICE_KEY, body: { jobId } }),
    async close() {
      await reprise.close()
      await Promise.all([provider.close(), http.close()])
    },
  }
}
