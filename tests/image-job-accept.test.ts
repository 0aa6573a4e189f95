import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAccept } from '../server/src/features/generations/accept.ts'
import { readJobWish } from '../server/src/features/image-jobs/job-wish.ts'
import { createJobs } from '../server/src/features/image-jobs/jobs.ts'
import { createPictures } from '../server/src/features/image-jobs/pictures.ts'
import { createUploads } from '../server/src/features/image-jobs/uploads.ts'
import { systemIds } from '../server/src/kernel/ids.ts'
import { sleep } from '../server/src/kernel/clock.ts'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createRegistry } from '../server/src/providers/registry.ts'
import { createGuardedFetch, type FetchOptions, type GuardedFetch } from '../server/src/storage/guarded-fetch.ts'
import { createSyncBytes, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import { SERVICE_KEY, startHarness, type Answer, type Harness, type TestUser } from './harness.ts'
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

  async function allAccepted(ask: (user: TestUser, index: number) => Promise<Answer>): Promise<void> {
    // All come to the database at once: nobody has a connection before everybody waits for one.
    const { pool } = reprise.wired.db
    const taken = await Promise.all(Array.from({ length: 4 }, () => pool.connect()))
    const asked = Promise.all(users.map(ask))
    await sleep(300)
    for (const connection of taken) connection.release()
    expect((await asked).map(({ status }) => status)).toEqual(users.map(() => 202))
  }

  it('image jobs are all accepted', async () => {
    const photos: string[] = []
    for (const user of users) photos.push(await upload(reprise, user))
    await allAccepted(({ token }, index) => reprise.call('POST', CREATE, { token, body: { productName: 'Lamp', productImages: [photos[index]], selectedCards: [0, 1] } }))
  })

  it('jobs from outside are all started', async () => {
    const jobs: string[] = []
    for (const user of users) {
      const { rows: [job] } = await reprise.database.db.query<{ id: string }>(
        `insert into generation_jobs (user_id, product_name, product_images, total_cards, tokens_cost) values ($1, 'From outside', $2, 1, 5) returning id`, [user.id, JSON.stringify([await upload(reprise, user)])])
      await reprise.database.db.query(`insert into generation_tasks (job_id, card_index, card_type) values ($1, 0, 'cover')`, [job!.id])
      jobs.push(job!.id)
    }
    await allAccepted(({ token }, index) => reprise.call('POST', '/functions/v1/process-generation-tasks-banana', { token, body: { jobId: jobs[index] } }))
    expect((await reprise.database.db.query('select 1 from generation_tasks where job_id = any ($1) and generation_id is not null', [jobs])).rowCount).toBe(MANY)
  })

  it('songs of the Mureka functions are all accepted', () =>
    allAccepted(({ token }) => reprise.call('POST', '/functions/v1/generate-mureka-track', { token, body: { inputType: 'description', prompt: 'a slow waltz', model: 'auto' } })))

  it('runs of channels are all accepted', async () => {
    const channels: string[] = []
    for (const user of users) channels.push(await makeChannel(reprise, user))
    await allAccepted((user, index) => run(reprise, user, channels[index]!))
  })
})

describe('what an image job is accepted for', () => {
  let reprise: Harness
  let provider: Awaited<ReturnType<typeof startSyncBytes>>
  let user: TestUser
  let photo: string
  let picture: string
  const sync = () => createSyncBytes({ apiKey: 'a-key-of-accepting', baseUrl: provider.url, fetch: http.fetch, timeScale: 1 / 200 })

  beforeAll(async () => {
    provider = await startSyncBytes()
    reprise = await startHarness({ sunoKey: null, imageProvider: 'sync-bytes', providers: [sync()], providerBases: { 'sync-bytes': provider.url } })
    user = await reprise.user('whose jobs are accepted', 10_000)
    picture = (await sharp({ create: { width: 60, height: 80, channels: 3, background: '#a33' } }).png().toBuffer()).toString('base64')
    provider.usually({ json: { mime: 'image/png', base64: picture } })
    photo = await upload(reprise, user)
    for (const [kind, tokensPerResult] of [['image', 5], ['image_regeneration', 1], ['image_edit', 2]] as const) {
      expect((await reprise.call('PUT', `/api/prices/${kind}`, { token: SERVICE_KEY, body: { tokensPerResult } })).status).toBe(200)
    }
  })
  afterAll(async () => {
    expect((await reprise.database.db.query('select * from reprise.ledger_violations')).rows).toEqual([])
    await reprise.close()
    await provider.close()
  })

  let made = 0
  const bodyOf = (more: object = {}) => ({ productName: `Lamp ${++made}`, productImages: [photo], selectedCards: [0], ...more })
  const create = (body: object, key?: string, { token } = user) => reprise.call('POST', CREATE, { token, body, headers: key ? { 'idempotency-key': key } : {} })
  const act = (jobId: string, action: string, body?: object, key?: string, index = 0) =>
    reprise.call('POST', `/api/image-jobs/${jobId}/cards/${index}/${action}`, { token: user.token, body, headers: key ? { 'idempotency-key': key } : {} })
  const read = async (id: string) => (await reprise.call('GET', `/api/image-jobs/${id}`, { token: user.token })).body
  async function ended({ status, body }: Answer, wanted: 'completed' | 'failed' = 'completed'): Promise<any> {
    expect([status, body]).toMatchObject([202, { jobId: expect.any(String) }])
    let job: any
    await expect.poll(async () => (job = await read(body.jobId)).completedAt, { timeout: 20_000 }).not.toBeNull()
    expect(job.status).toBe(wanted)
    return job
  }
  const fails = () => provider.next({ status: 400, json: { error: 'no' } })
  const rows = async (text: string, values: unknown[] = []) => (await reprise.database.db.query<any>(text, values)).rows
  const counts = async () => (await rows(`select (select count(*) from generation_jobs) as jobs, (select count(*) from reprise.generations) as generations,
    (select count(*) from reprise.ledger_transfers) as transfers, (select count(*) from reprise.files where bucket = 'image-uploads') as uploads`))[0]
  const requestOf = async (jobId: string) => (await rows('select g.request from generation_tasks t join reprise.generations g on g.id = t.generation_id where t.job_id = $1', [jobId]))[0].request

  it('what was accepted is answered again, though its picture has gone and its card has moved on', async () => {
    const body = bodyOf({ productImages: [await upload(reprise, user)] })
    const [first, unkeyed] = [await create(body, 'a picture that goes'), await create({ ...body, productName: 'Without a key' })]
    await rows(`delete from reprise.files where path like '%' || $1 || '%'`, [body.productImages[0]!.split('/').at(-1)])
    const before = await counts()
    const again = await create(body, 'a picture that goes')
    expect([again.status, again.body, again.headers.get('idempotent-replayed')]).toEqual([202, first.body, 'true'])
    expect((await create({ ...body, productName: 'Without a key' })).body.jobId).toBe(unkeyed.body.jobId)
    expect(await create({ ...body, productName: 'Another' }, 'a picture that goes')).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } })
    expect(await create({ ...body, productName: 'Another' })).toMatchObject({ status: 400, body: { errors: [{ path: 'productImages.0' }] } })
    expect(await counts()).toEqual(before)

    const done = await ended(await create(bodyOf()))
    const edit = await act(done.id, 'edit', { instruction: 'blue' }, 'an edit')
    await rows('update generation_tasks set storage_path = null where job_id = $1', [done.id])
    expect(await act(done.id, 'edit', { instruction: 'blue' }, 'an edit')).toMatchObject({ status: 202, body: edit.body })
    expect((await act(done.id, 'edit', { instruction: 'red' }, 'another edit')).status).toBe(409)
  })

  it('asked twice at once with the same key it is one job; the other one hears of it or is told to wait', async () => {
    const [before, body] = [await counts(), bodyOf()]
    const answers = await Promise.all([create(body, 'twins'), create(body, 'twins'), create(body, 'twins')])
    for (const { status, body: answer } of answers) expect([[202, undefined], [409, 'REQUEST_IN_PROGRESS']]).toContainEqual([status, answer.code])
    expect(new Set(answers.flatMap(({ body: { jobId } }) => jobId ?? [])).size).toBe(1)
    const after = await counts()
    expect([after.jobs - before.jobs, after.generations - before.generations]).toEqual([1, 1])
  })

  it.each([[[null]], [['']], [[false]], [[true]], [[[]]], [['0x5']], [[' 2 ']], [['1.0']], [[1.5]], [['6']]])('%j is no choice of cards, and nothing is charged for it', async (selectedCards) => {
    const before = await counts()
    const { status, body } = await create(bodyOf({ selectedCards }))
    expect([status, body.errors?.[0]?.path]).toEqual([400, 'selectedCards.0'])
    expect(await counts()).toEqual(before)
  })

  it('a card may be named by its digit', async () => {
    expect((await ended(await create(bodyOf({ selectedCards: ['2', 0, '0'] })))).cards.map(({ type }: any) => type)).toEqual(['cover', 'macro'])
  })

  it('each card says what may be done with it at which price, and that is what is charged', async () => {
    const costOf = async (answer: Answer, wanted?: 'failed') => {
      const job = await ended(answer, wanted)
      return { id: job.id, cost: job.tokensCost, prices: job.cards[0].prices }
    }
    const withPicture = { retry: null, regenerate: 1, edit: 2 }
    const without = (retry: number) => ({ retry, regenerate: null, edit: null })
    fails()
    const failed = await costOf(await create(bodyOf()), 'failed')
    expect(failed).toMatchObject({ cost: 5, prices: without(5) })
    // For the price of a regeneration there is another picture, never the first one.
    expect((await act(failed.id, 'regenerate')).status).toBe(409)
    expect((await act(failed.id, 'edit', { instruction: 'blue' })).status).toBe(409)
    fails()
    const tried = await costOf(await act(failed.id, 'retry'), 'failed')
    expect(tried).toMatchObject({ cost: 5, prices: without(5) })
    const done = await costOf(await act(tried.id, 'retry'))
    expect(done).toMatchObject({ cost: 5, prices: withPicture })
    expect((await act(done.id, 'retry')).status).toBe(409)

    fails()
    const worse = await costOf(await act(done.id, 'regenerate'), 'failed')
    expect(worse).toMatchObject({ cost: 1, prices: without(1) })
    expect(await costOf(await act(worse.id, 'retry'))).toMatchObject({ cost: 1, prices: withPicture })
    fails()
    const blot = await costOf(await act(done.id, 'edit', { instruction: 'blue' }), 'failed')
    expect(blot).toMatchObject({ cost: 2, prices: without(2) })
    expect(await costOf(await act(blot.id, 'retry'))).toMatchObject({ cost: 2, prices: withPicture })

    // In the list too; and by the price of the provider that makes pictures now.
    const special = { token: SERVICE_KEY, body: { tokensPerResult: 9 } }
    expect((await reprise.call('PUT', '/api/prices/image_edit/sync-bytes', special)).status).toBe(200)
    const { body: list } = await reprise.call('GET', '/api/image-jobs?limit=100', { token: user.token })
    expect(list.items.find(({ id }: any) => id === done.id).cards[0].prices).toEqual({ ...withPicture, edit: 9 })
    expect((await read(done.id)).cards[0].again.map(({ prices }: any) => prices)).toEqual([without(1), { ...withPicture, edit: 9 }, without(9), { ...withPicture, edit: 9 }])
    expect((await reprise.call('DELETE', '/api/prices/image_edit/sync-bytes', { token: SERVICE_KEY })).status).toBe(200)
  })

  it('a card that was made elsewhere offers nothing: there is no request to make again', async () => {
    const [job] = await rows(`insert into generation_jobs (user_id, product_name, status, total_cards, completed_cards, completed_at) values ($1, 'Elsewhere', 'completed', 1, 1, now()) returning id`, [user.id])
    await rows(`insert into generation_tasks (job_id, card_index, card_type, status, image_url, storage_path) values ($1, 0, 'cover', 'completed', 'https://team.example/a.png', 'a.png')`, [job.id])
    expect((await read(job.id)).cards[0].prices).toEqual({ retry: null, regenerate: null, edit: null })
    expect((await act(job.id, 'regenerate')).status).toBe(409)
  })

  it('a card’s generation is not made again by itself: its picture would belong to no job', async () => {
    const { cards: [{ generationId }] } = await ended(await create(bodyOf()))
    const before = await counts()
    expect(await reprise.call('POST', `/api/generations/${generationId}/regenerate`, { token: user.token })).toMatchObject({ status: 409, body: { code: 'conflict' } })
    expect(await counts()).toEqual(before)
  })

  it('an edit takes along the photos of the product, whoever made them, and nothing else', async () => {
    const first = await ended(await create(bodyOf()))
    const finished = first.cards[0].imageUrl
    const [second] = [await ended(await create(bodyOf({ productImages: [finished], referenceImageUrl: await upload(reprise, user), unifiedStyling: true })))]
    expect(second.styleDescription).toBeTruthy()
    const of = async (jobId: string) => (await rows('select storage_path from generation_tasks where job_id = $1', [jobId]))[0].storage_path as string
    const path = await of(first.id)
    const once = await ended(await act(second.id, 'edit', { instruction: 'on a blue ground' }))
    const twice = await ended(await act(once.id, 'edit', { instruction: 'on a red ground' }))
    for (const [made, from] of [[once, second], [twice, once]]) {
      const request = await requestOf(made.id)
      expect(request.options.images).toEqual([{ bucket: 'generated-images', path: await of(from.id) }, { bucket: 'generated-images', path }])
      expect(request.prompt).toMatch(/^Image 1: the picture to change.*\nImage 2: the product:/m)
      // The style of the set would speak against what is asked for.
      expect(request.prompt).not.toContain(second.styleDescription)
    }
    // Requests from before the roles were written: photos come first, and a finished picture was what is imitated.
    const old = await ended(await create(bodyOf({ referenceImageUrl: await upload(reprise, user), styleSourceImageUrl: finished })))
    const { options: { images: [product] } } = await requestOf(old.id)
    await rows(`update reprise.generations set request = request - 'pictureRoles' where id = (select generation_id from generation_tasks where job_id = $1)`, [old.id])
    expect((await requestOf((await ended(await act(old.id, 'edit', { instruction: 'blue' }))).id)).options.images).toEqual([{ bucket: 'generated-images', path: await of(old.id) }, product])
  })

  it('pictures that no provider takes are refused before anything is charged, and the largest is named', async () => {
    const done = await ended(await create(bodyOf()))
    await rows(`update reprise.files set bytes = 14 * 1024 * 1024 where bucket = 'generated-images' and path = (select storage_path from generation_tasks where job_id = $1)`, [done.id])
    const before = await counts()
    expect(await create(bodyOf({ styleSourceImageUrl: done.cards[0].imageUrl }))).toMatchObject({ status: 400, body: { errors: [{ path: 'styleSourceImageUrl', rule: 'too_big', message: expect.stringContaining('14 MB') }] } })
    expect(await act(done.id, 'edit', { instruction: 'blue' })).toMatchObject({ status: 422, body: { errors: [{ path: 'picture', rule: 'too_big' }] } })
    expect(await counts()).toEqual(before)
  })

  it('a picture outside is fetched once for a double click, and never for somebody who cannot pay', async () => {
    const asked: string[] = []
    const host = createServer((request, response) => {
      asked.push(request.url!)
      setTimeout(() => response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.from(picture, 'base64')), 200)
    })
    await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve))
    const address = `127.0.0.1:${(host.address() as AddressInfo).port}`
    const real = createGuardedFetch({ allowHosts: [address] })
    // A user's address never reaches loopback, so here it is fetched as a provider's would be.
    const guardedFetch: GuardedFetch = Object.assign((url: string, options: FetchOptions) => real(url, { ...options, trust: 'provider-file' }), { close: () => real.close() })
    try {
      const { db } = reprise.wired
      const uploads = createUploads({ db, schema: 'public', blobs: reprise.blobs, ids: systemIds })
      const jobs = createJobs({
        db, schema: 'public', provider: 'sync-bytes', mostPictureBytes: 1e9, wake: () => undefined, pictures: createPictures({ db, blobs: reprise.blobs, uploads, guardedFetch, base: () => reprise.url }),
        accept: createAccept({ db, registry: createRegistry([sync()]), ids: systemIds, deadlineSec: 60, wakeDispatcher: () => undefined, accountStatus: async () => ({ refusing: null, concurrency: null }) }),
      })
      const ask = (who: TestUser, name: string, key?: string) => {
        const body = bodyOf({ productName: name, productImages: [`http://${address}/${name}`] })
        return jobs.create(who.id, readJobWish(body), body, key, AbortSignal.timeout(20_000))
      }
      const clicks = await Promise.all([ask(user, 'double'), ask(user, 'double'), ask(user, 'double')])
      expect(clicks.map(({ replayed }) => replayed)).toEqual([false, true, true])
      expect(new Set([...clicks, await ask(user, 'double')].map(({ jobId }) => jobId)).size).toBe(1)
      expect(asked).toEqual(['/double'])
      const keyed = await Promise.allSettled([ask(user, 'keyed', 'once'), ask(user, 'keyed', 'once')])
      expect(keyed).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'request_in_progress' } }])
      expect(asked).toEqual(['/double', '/keyed'])
      const poor = await reprise.user('who cannot pay', 4)
      await expect(ask(poor, 'dear')).rejects.toMatchObject({ code: 'insufficient_tokens', params: { required: 5, available: 4 } })
      expect(asked).toEqual(['/double', '/keyed'])
    } finally {
      await real.close()
      host.close()
    }
  })
})

describe('a queue that is full', () => {
  it('is said with the time to come back, and nothing is charged', async () => {
    const provider = await startSyncBytes()
    const slow = createSyncBytes({ apiKey: 'a-key-of-the-slow', baseUrl: provider.url, fetch: http.fetch })
    // One at a time and 400 s each: the third one could not begin within its 600 s.
    const reprise = await startHarness({
      workers: false, sunoKey: null, imageProvider: 'sync-bytes', providerBases: { 'sync-bytes': provider.url },
      providers: [{ ...slow, descriptor: { ...slow.descriptor, concurrency: 1, firstPollMs: 400_000 } }],
    })
    try {
      const user = await reprise.user('who waits in a queue', 10)
      const photo = await upload(reprise, user)
      const create = (n: number) => reprise.call('POST', CREATE, { token: user.token, body: { productName: `Lamp ${n}`, productImages: [photo], selectedCards: [0] } })
      let answer = await create(0)
      let accepted = 0
      for (; answer.status === 202; answer = await create(accepted)) accepted++
      expect(accepted).toBeGreaterThan(0)
      expect([answer.status, answer.body]).toMatchObject([429, { success: false, code: 'QUEUE_FULL', error: expect.any(String), retryAfterSec: expect.any(Number) }])
      expect(Number(answer.headers.get('retry-after'))).toBe(answer.body.retryAfterSec)
      expect((await reprise.call('GET', '/api/balance', { token: user.token })).body).toEqual({ available: 10 - accepted, held: accepted })
      expect((await reprise.database.db.query('select 1 from generation_jobs')).rowCount).toBe(accepted)
    } finally {
      await reprise.close()
      await provider.close()
    }
  })
})
