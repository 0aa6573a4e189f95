import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createSyncBytes, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import { createDiskStore } from '../server/src/storage/disk/disk-store.ts'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

describe('users’ pictures, and those of their jobs', () => {
  let reprise: Harness
  let provider: Awaited<ReturnType<typeof startSyncBytes>>
  let folder: string
  let user: TestUser
  let picture: Buffer
  const lines: string[] = []
  const http = createProviderFetch()

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-uploads-'))
    provider = await startSyncBytes()
    reprise = await startHarness({
      sunoKey: null, imageProvider: 'sync-bytes', blobs: createDiskStore({ root: folder }), logger: pino({ level: 'warn' }, { write: (line) => void lines.push(line) }),
      providers: [createSyncBytes({ apiKey: 'a-key-of-image-uploads', baseUrl: provider.url, fetch: http.fetch, timeScale: 1 / 200 })], providerBases: { 'sync-bytes': provider.url },
    })
    user = await reprise.user('of uploads')
    picture = await sharp({ create: { width: 300, height: 200, channels: 3, background: '#a33' } }).png().toBuffer()
    provider.usually({ json: { mime: 'image/png', base64: picture.toString('base64') } })
  })
  afterAll(async () => {
    await reprise.close()
    await Promise.all([provider.close(), http.close()])
    await rm(folder, { recursive: true, force: true })
  })

  const query = async <Row>(text: string, values?: unknown[]) => (await reprise.database.db.query<Row>(text, values)).rows
  const send = ({ token }: TestUser) => fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'image/png' }, body: picture as unknown as BodyInit })
  async function upload(by = user): Promise<{ id: string; url: string }> {
    const response = await send(by)
    expect(response.status).toBe(201)
    return (await response.json()) as { id: string; url: string }
  }
  let made = 0
  const create = (url: string, by = user) => reprise.call('POST', '/functions/v1/create-generation-job-banana', { token: by.token, body: { productName: `Cup ${++made}`, productImages: [url], selectedCards: [0, 1] } })
  async function finished(url: string): Promise<string> {
    const { body } = await create(url)
    await expect.poll(async () => (await reprise.call('GET', `/api/image-jobs/${body.jobId}`, { token: user.token })).body.status, { timeout: 20_000 }).toBe('completed')
    return body.jobId
  }

  it('who has kept too many pictures without a job is told so; somebody else is not kept from theirs', async () => {
    const full = await reprise.user('with too many', 100)
    await upload(full)
    await query(
      `insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime)
       select 'image-uploads', $1 || '/' || gen_random_uuid() || '.jpg', 'k', $1::uuid, 's', 1000, 'image/jpeg' from generate_series(1, 199)`, [full.id])
    const refused = await send(full)
    expect([refused.status, await refused.json()]).toMatchObject([422, { code: 'validation_failed', errors: [{ path: 'image', rule: 'too_many_uploads', message: expect.stringContaining('a week') }] }])
    // From outside as from here: it is not even fetched.
    expect(await create('https://pictures.example/cup.png', full)).toMatchObject({ status: 400, body: { errors: [{ path: 'productImages.0', rule: 'too_many_uploads' }] } })
    await upload()
    await query('delete from reprise.files where user_id = $1', [full.id])
  })

  it('a damaged picture breaks the job’s ZIP off, and is on record as damaged; nothing is printed past the log', async () => {
    const job = await finished((await upload()).url)
    const zip = () => fetch(`${reprise.url}/api/image-jobs/${job}/zip`, { headers: { authorization: `Bearer ${user.token}` } })
    expect((await (await zip()).arrayBuffer()).byteLength).toBeGreaterThan(picture.length * 2)
    const [{ key, bytes }] = (await query<{ key: string; bytes: number }>(
      `select f.blob_key as key, f.bytes from generation_tasks t join reprise.files f on f.path = t.storage_path where t.job_id = $1 and t.card_index = 0`, [job])) as [{ key: string; bytes: number }]
    await writeFile(join(folder, key), Buffer.alloc(bytes))
    const printed = vi.spyOn(console, 'error')
    await expect(zip().then((answer) => answer.arrayBuffer())).rejects.toThrow()
    await expect.poll(async () => (await reprise.call('GET', '/api/fixity', { token: SERVICE_KEY })).body.findings).toMatchObject([{ key, kind: 'flipped' }])
    expect(lines.some((line) => line.includes('an answer broke off'))).toBe(true)
    expect(printed.mock.calls).toEqual([])
    printed.mockRestore()
  })
})
