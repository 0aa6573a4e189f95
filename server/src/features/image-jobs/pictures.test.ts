import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../database/testing/test-database.ts'
import { createHealer } from '../../engine/heal.ts'
import { createObtain } from '../../engine/obtain.ts'
import { systemIds } from '../../kernel/ids.ts'
import { createLogger } from '../../kernel/logger.ts'
import { createDiskStore } from '../../storage/disk/disk-store.ts'
import { createGuardedFetch, type FetchOptions, type GuardedFetch } from '../../storage/guarded-fetch.ts'
import { createPictures, type FindPictures } from './pictures.ts'
import { createUploads, type Uploads } from './uploads.ts'

describe('the pictures that a request names', () => {
  const user = '11111111-1111-4111-8111-111111111111'
  const stranger = '22222222-2222-4222-8222-222222222222'
  const served: Record<string, { type: string; body: Buffer; status?: number }> = {}
  const trusted: FetchOptions['trust'][] = []
  let asked = 0
  let database: TestDatabase
  let folder: string
  let host: Server
  let real: GuardedFetch
  let uploads: Uploads
  let find: FindPictures
  const at = (path: string) => `http://127.0.0.1:${(host.address() as AddressInfo).port}${path}`
  const ask = (...urls: string[]) => find(user, urls.map((url, index) => ({ field: `productImages.${index}`, url })), AbortSignal.timeout(20_000))
  const kept = async () => (await database.db.query(`select 1 from reprise.files`)).rowCount

  beforeAll(async () => {
    database = await createTestDatabase()
    folder = await mkdtemp(join(tmpdir(), 'reprise-pictures-'))
    host = createServer((request, response) => {
      asked++
      const { type, body, status = 200 } = served[request.url!] ?? { type: 'text/plain', body: Buffer.from('none'), status: 404 }
      response.writeHead(status, { 'content-type': type, 'content-length': body.length }).end(body)
    })
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve))
    real = createGuardedFetch({ allowHosts: [at('').slice(7)] })
    // A user's address never reaches loopback, so here it is fetched as a provider's would be; what was asked for is kept.
    const fetchHere: GuardedFetch = Object.assign((url: string, options: FetchOptions) => {
      trusted.push(options.trust)
      return real(url, { ...options, trust: 'provider-file' })
    }, { close: () => real.close() })
    const blobs = createDiskStore({ root: folder })
    uploads = createUploads({ db: database.db, schema: 'public', blobs, ids: systemIds })
    find = createPictures({ db: database.db, blobs, uploads, guardedFetch: fetchHere, base: () => 'https://reprise.example' })
  })
  afterAll(async () => {
    await real.close()
    host.close()
    await database.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('one outside is fetched as a user’s address, made anew and kept in the private bucket', async () => {
    served['/a.png'] = { type: 'image/png', body: await sharp({ create: { width: 80, height: 60, channels: 3, background: '#383' } }).png().toBuffer() }
    const [picture] = await ask(at('/a.png'))
    expect(picture).toEqual({ bucket: 'image-uploads', path: expect.stringMatching(new RegExp(`^${user}/[0-9a-f-]{36}\\.jpg$`)) })
    expect(trusted).toEqual(['user'])
    const { rows } = await database.db.query('select user_id, mime, source_url from reprise.files where path = $1', [picture!.path])
    expect(rows).toEqual([{ user_id: user, mime: 'image/jpeg', source_url: null }])
  })

  it.each([
    ['a page', { type: 'text/html', body: Buffer.from('<html>') }],
    ['a page that calls itself a picture', { type: 'image/png', body: Buffer.from('<html>') }],
    ['nothing', { type: 'image/png', body: Buffer.alloc(0) }],
    ['what is gone', { type: 'image/png', body: Buffer.from('x'), status: 404 }],
    ['what is too large', { type: 'image/png', body: Buffer.alloc(15 * 2 ** 20 + 1) }],
  ])('%s is a wrong field, and nothing of it is kept', async (_what, answer) => {
    served['/wrong'] = answer
    const before = await kept()
    await expect(ask(at('/wrong'))).rejects.toMatchObject({ code: 'validation_failed', fields: [{ path: 'productImages.0' }] })
    expect(await kept()).toBe(before)
  })

  it('one that is damaged later is reported lost: nobody asks its old address, where other bytes are', async () => {
    served['/c.png'] = { type: 'image/png', body: await sharp({ create: { width: 30, height: 30, channels: 3, background: '#822' } }).png().toBuffer() }
    const [picture] = await ask(at('/c.png'))
    const key = `${picture!.bucket}/${picture!.path}`
    await writeFile(join(folder, key), 'damaged')
    const blobs = createDiskStore({ root: folder })
    const heal = createHealer({ db: database.db, blobs, obtain: createObtain({ blobs, guardedFetch: real }), storeIsThere: async () => undefined, ids: systemIds, logger: createLogger({ level: 'silent' }) })
    const before = asked
    expect(await heal(key)).toMatchObject({ health: 'gone', damage: 'truncated', lost: true })
    expect(asked).toBe(before)
  })

  it('uploads and finished pictures of the same user are found by their addresses, whole or relative; nobody else’s', async () => {
    served['/b.png'] = { type: 'image/png', body: await sharp({ create: { width: 10, height: 10, channels: 3, background: '#000' } }).png().toBuffer() }
    const [mine] = await find(user, [{ field: 'x', url: at('/b.png') }], AbortSignal.timeout(20_000))
    const id = mine!.path.slice(37, 73)
    trusted.length = 0
    expect(await ask(`/api/uploads/images/${id}`, `https://reprise.example/api/uploads/images/${id}?x=1`)).toEqual([mine, mine])
    await database.db.query(`insert into reprise.files (bucket, path, blob_key, user_id, sha256, bytes, mime) values ('generated-images', $1, 'k', $2, 's', 1, 'image/png')`, [`${user}/done.png`, user])
    expect(await ask(`https://reprise.example/storage/v1/object/public/generated-images/${user}/done.png?v=1`)).toEqual([{ bucket: 'generated-images', path: `${user}/done.png` }])
    for (const url of [`/api/uploads/images/${id}`, `/storage/v1/object/public/generated-images/${user}/done.png`, `/storage/v1/object/sign/image-uploads/${mine!.path}`, '/etc/passwd']) {
      await expect(find(stranger, [{ field: 'styleSourceImageUrl', url }], AbortSignal.timeout(20_000)), url).rejects.toMatchObject({ fields: [{ path: 'styleSourceImageUrl' }] })
    }
    expect(trusted).toEqual([])
  })
})
