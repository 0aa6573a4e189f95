import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createSyncBytes, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

const CREATE = '/functions/v1/create-generation-job-banana'
const PROCESS = '/functions/v1/process-generation-tasks-banana'

/** Seed 004's jobs from the front door to the gallery, at a provider whose answer is the picture. */
describe('image jobs', () => {
  let reprise: Harness
  let provider: Awaited<ReturnType<typeof startSyncBytes>>
  let user: TestUser
  let photo: string
  let picture: string
  const http = createProviderFetch()

  beforeAll(async () => {
    provider = await startSyncBytes()
    reprise = await startHarness({
      sunoKey: null, imageProvider: 'sync-bytes', providers: [createSyncBytes({ apiKey: 'a-key-of-image-jobs', baseUrl: provider.url, fetch: http.fetch, timeScale: 1 / 200 })],
      providerBases: { 'sync-bytes': provider.url },
    })
    user = await reprise.user('of image jobs')
    picture = (await sharp({ create: { width: 600, height: 800, channels: 3, background: '#a33' } }).png().toBuffer()).toString('base64')
    provider.usually({ json: { mime: 'image/png', base64: picture } })
    photo = await upload(user, await sharp({ create: { width: 300, height: 200, channels: 3, background: '#3a3' } }).jpeg().toBuffer())
  })
  afterAll(async () => {
    await reprise.close()
    await Promise.all([provider.close(), http.close()])
  })

  async function upload({ token }: TestUser, bytes: Uint8Array): Promise<string> {
    const response = await fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'image/jpeg' }, body: bytes as BodyInit })
    expect(response.status).toBe(201)
    return ((await response.json()) as { url: string }).url
  }
  let made = 0
  const bodyOf = (more: object = {}) => ({ productName: `Lamp ${++made}`, productImages: [{ url: photo, name: 'lamp.jpg', type: 'product' }], selectedCards: [0, 1, 2], ...more })
  const create = (body: object, { token } = user, headers: Record<string, string> = {}) => reprise.call('POST', CREATE, { token, body, headers })
  const read = async (id: string, { token } = user) => (await reprise.call('GET', `/api/image-jobs/${id}`, { token })).body
  const balance = async ({ token } = user) => (await reprise.call('GET', '/api/balance', { token })).body
  async function ended(id: string, until = (job: any) => job.status === 'completed' || job.status === 'failed'): Promise<any> {
    let job: any
    await expect.poll(async () => until((job = await read(id))), { timeout: 20_000, message: `job ${id}` }).toBe(true)
    return job
  }
  const counts = async () => (await reprise.database.db.query<Record<string, number>>(
    'select (select count(*) from generation_jobs) as jobs, (select count(*) from generation_tasks) as tasks, (select count(*) from reprise.generations) as generations, (select count(*) from reprise.ledger_transfers) as transfers')).rows[0]
  const violations = async () => (await reprise.database.db.query('select * from reprise.ledger_violations')).rows

  it('what was paid for a card leads to its job: wallet, receipt, explorer and the generation all name it', async () => {
    const jobId = (await create(bodyOf({ selectedCards: [0], productName: 'Desk lamp' }))).body.jobId
    await ended(jobId)
    const [entry] = (await reprise.call('GET', '/api/ledger?limit=1', { token: user.token })).body.items
    const told = async (path: string, token = user.token) => (await reprise.call('GET', path, { token })).body
    const explored = await told(`/api/ledger/explorer?generationId=${entry.generationId}`, SERVICE_KEY)
    const views = [entry, await told(`/api/receipts/${entry.generationId}`), await told(`/api/generations/${entry.generationId}`), ...explored.items]
    expect(views.map((view) => view.imageJobId)).toEqual(views.map(() => jobId))
    expect(entry.title).toBe('Desk lamp')
  })

  it('every card of a job is stored, shown under a public address, and charged once', async () => {
    const before = await balance()
    const { status, body } = await create(bodyOf({ aspectRatio: '9:16', unifiedStyling: true, category: 'Home' }))
    expect([status, body]).toEqual([202, { success: true, jobId: expect.any(String), message: expect.any(String) }])
    const job = await ended(body.jobId)
    expect(job).toMatchObject({ status: 'completed', totalCards: 3, completedCards: 3, failedCards: 0, tokensCost: 3, aspectRatio: '9:16', errorMessage: null, tokens: { cost: 3, held: 0, captured: 3, released: 0 } })
    expect(job.startedAt).not.toBeNull()
    expect(job.cards.map((card: any) => [card.index, card.type, card.status])).toEqual([[0, 'cover', 'completed'], [1, 'lifestyle', 'completed'], [2, 'macro', 'completed']])
    expect(await balance()).toEqual({ available: before.available - 3, held: 0 })
    for (const { imageUrl } of job.cards) {
      expect(imageUrl).toMatch(/\/storage\/v1\/object\/public\/generated-images\//)
      const image = await fetch(imageUrl)
      expect([image.status, image.headers.get('content-type'), Buffer.from(await image.arrayBuffer()).toString('base64')]).toEqual([200, 'image/png', picture])
    }
    expect(new Set(job.cards.map((card: any) => card.imageUrl)).size).toBe(3)
    const { rows } = await reprise.database.db.query<any>(
      `select g.request, extract(epoch from g.deadline_at - g.created_at)::int as patience, t.image_url is not null and t.storage_path is not null as kept from generation_tasks t join reprise.generations g on g.id = t.generation_id where t.job_id = $1 order by t.card_index`, [body.jobId])
    expect(rows.map(({ request }) => request.options.aspectRatio)).toEqual(['9:16', '9:16', '9:16'])
    expect(rows.map(({ request }) => request.options.images.length)).toEqual([1, 1, 1])
    expect(rows.every(({ kept }) => kept)).toBe(true)
    expect(rows.map(({ patience }) => patience)).toEqual([600, 720, 840])
    // one style for all of them, and a scene of its own for each
    expect(job.styleDescription).toBeTruthy()
    expect(rows.every(({ request }) => request.prompt.includes(job.styleDescription))).toBe(true)
    expect(new Set(rows.map(({ request }) => request.prompt)).size).toBe(3)
    expect(await violations()).toEqual([])
  })

  it('lists show small copies, made after the pictures', async () => {
    const { body } = await create(bodyOf({ selectedCards: [0] }))
    const job = await ended(body.jobId, ({ cards }) => cards[0].thumbnailUrl !== null)
    const small = await sharp(Buffer.from(await (await fetch(job.cards[0].thumbnailUrl)).arrayBuffer())).metadata()
    expect(small).toMatchObject({ format: 'webp', width: 480, height: 640 })
    const { body: listed } = await reprise.call('GET', '/api/image-jobs?limit=1', { token: user.token })
    expect(listed.items).toMatchObject([{ id: body.jobId, cards: [{ thumbnailUrl: job.cards[0].thumbnailUrl }] }])
    const next = await reprise.call('GET', `/api/image-jobs?limit=1&cursor=${listed.nextCursor}`, { token: user.token })
    expect(next.body.items[0].id).not.toBe(body.jobId)
  })

  it('when some cards fail the job is completed with a note, and exactly these are given back', async () => {
    const before = await balance()
    provider.next({ status: 400, json: { error: 'no' } })
    const { body } = await create(bodyOf({ selectedCards: [0, 1] }))
    const job = await ended(body.jobId)
    expect(job).toMatchObject({ status: 'completed', completedCards: 1, failedCards: 1, tokens: { cost: 2, held: 0, captured: 1, released: 1 } })
    expect(job.errorMessage).toMatch(/^1 of 2 cards failed, their tokens were returned: ./)
    const failed = job.cards.find((card: any) => card.status === 'failed')
    expect(failed).toMatchObject({ imageUrl: null, error: { code: expect.any(String), message: expect.any(String) }, tokens: { released: 1 } })
    expect(await balance()).toEqual({ available: before.available - 1, held: 0 })

    // tried again: a job of its own, shown with the card that it came from
    const again = await reprise.call('POST', `/api/image-jobs/${job.id}/cards/${failed.index}/retry`, { token: user.token })
    expect(again.status).toBe(202)
    const second = await ended(again.body.jobId)
    expect(second).toMatchObject({ status: 'completed', sourceJobId: job.id, tokensCost: 1, cards: [{ type: failed.type, status: 'completed' }] })
    const family = await read(job.id)
    expect(family.cards[failed.index]).toMatchObject({ status: 'failed', again: [{ jobId: again.body.jobId, status: 'completed' }] })
    expect(await violations()).toEqual([])
  })

  it('when all cards fail the job is failed, and all is given back', async () => {
    const before = await balance()
    provider.usually({ status: 400, json: { error: 'no' } })
    const { body } = await create(bodyOf())
    const job = await ended(body.jobId)
    provider.usually({ json: { mime: 'image/png', base64: picture } })
    expect(job).toMatchObject({ status: 'failed', completedCards: 0, failedCards: 3, tokens: { captured: 0, released: 3, held: 0 } })
    expect(job.errorMessage).toContain('3 of 3')
    expect(job.startedAt).not.toBeNull()
    expect(await balance()).toEqual(before)
  })

  it('a double click is one job and one charge; a key keeps it so for a day', async () => {
    const body = bodyOf()
    const before = await counts()
    const answers = await Promise.all([create(body), create(body), create({ ...body })])
    expect(new Set(answers.map((answer) => answer.body.jobId)).size).toBe(1)
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202])
    const after = await counts()
    expect([after!.jobs! - before!.jobs!, after!.tasks! - before!.tasks!, after!.generations! - before!.generations!]).toEqual([1, 3, 3])
    const keyed = bodyOf()
    const first = await create(keyed, user, { 'idempotency-key': 'one-job' })
    const second = await create(keyed, user, { 'idempotency-key': 'one-job' })
    expect(second.body.jobId).toBe(first.body.jobId)
    expect((await create(bodyOf(), user, { 'idempotency-key': 'one-job' })).status).toBe(422)
    await ended(first.body.jobId)
  })

  it('too few tokens: 402 with what is needed and what is there, and not one card of it', async () => {
    const poor = await reprise.user('poor', 2)
    const body = { ...bodyOf(), productImages: [{ url: await upload(poor, Buffer.from(picture, 'base64')), type: 'product' }] }
    const before = await counts()
    const answer = await create(body, poor)
    expect([answer.status, answer.body]).toMatchObject([402, { success: false, code: 'INSUFFICIENT_TOKENS', required: 3, available: 2, error: expect.any(String) }])
    expect(await counts()).toEqual(before)
    expect(await balance(poor)).toEqual({ available: 2, held: 0 })
  })

  it.each([
    ['no name', { productName: undefined }, 'productName'],
    ['an empty name', { productName: ' ' }, 'productName'],
    ['no cards', { selectedCards: [] }, 'selectedCards'],
    ['a card that there is not', { selectedCards: [6] }, 'selectedCards.0'],
    ['no photo', { productImages: [] }, 'productImages'],
    ['a reference alone', { productImages: [{ url: 'https://example.org/a.png', type: 'reference' }] }, 'productImages'],
    ['an unknown ratio', { aspectRatio: '5:7' }, 'aspectRatio'],
    ['a private address', { productImages: ['https://127.0.0.1/a.png'] }, 'productImages.0'],
    ['the address of a cloud’s secrets', { productImages: ['http://169.254.169.254/latest/meta-data'] }, 'productImages.0'],
    ['an inner name', { referenceImageUrl: 'https://localhost/a.png' }, 'referenceImageUrl'],
    ['a file of the house', { styleSourceImageUrl: 'file:///etc/passwd' }, 'styleSourceImageUrl'],
    ['an upload that there is not', { productImages: ['/api/uploads/images/00000000-0000-4000-8000-000000000000'] }, 'productImages.0'],
  ])('%s is refused, and nothing is written or spent', async (_what, wrong, field) => {
    const before = await counts()
    const { status, body } = await create({ ...bodyOf(), ...wrong })
    expect([status, body.success, body.code]).toEqual([400, false, 'VALIDATION_FAILED'])
    expect(body.errors.map((error: any) => error.path)).toContain(field)
    expect(await counts()).toEqual(before)
  })

  it('an upload is a picture, made anew; anything else is refused and leaves nothing', async () => {
    const send = async (bytes: Uint8Array | string, type = 'image/png') => {
      const response = await fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { authorization: `Bearer ${user.token}`, 'content-type': type }, body: bytes as BodyInit })
      return { status: response.status, body: (await response.json()) as any }
    }
    const kept = async () => (await reprise.database.db.query(`select 1 from reprise.files where bucket = 'image-uploads'`)).rowCount
    const before = await kept()
    const taken = await sharp({ create: { width: 90, height: 60, channels: 3, background: '#33a' } }).withMetadata({ orientation: 6, exif: { IFD3: { GPSLatitudeRef: 'N' } } }).jpeg().toBuffer()
    const { status, body } = await send(taken, 'application/octet-stream')
    expect([status, body]).toMatchObject([201, { mime: 'image/jpeg', width: 60, height: 90 }])
    const preview = await fetch(body.previewUrl)
    expect((await sharp(Buffer.from(await preview.arrayBuffer())).metadata()).exif).toBeUndefined()
    for (const other of [body.previewUrl.replace(user.id, '00000000-0000-4000-8000-00000000000a'), body.previewUrl.replace(/signature=.{4}/, 'signature=AAAA'), body.url]) expect((await fetch(other)).status).toBe(401)

    expect((await send('<svg xmlns="http://www.w3.org/2000/svg"/>', 'image/svg+xml')).status).toBe(415)
    expect((await send('{}', 'application/json')).status).toBe(415)
    expect((await send('<html>', 'image/png')).status).toBe(415)
    expect((await send(taken.subarray(0, 200), 'image/jpeg')).status).toBe(422)
    expect((await send(new Uint8Array(15 * 2 ** 20 + 1))).status).toBe(413)
    expect((await fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { 'content-type': 'image/png' }, body: taken as BodyInit })).status).toBe(401)
    expect(await kept()).toBe(before + 1)
  })

  it('another user sees neither job, nor cards, nor uploads, and cannot use them', async () => {
    const stranger = await reprise.user('stranger to image jobs')
    const { body } = await create(bodyOf({ selectedCards: [0] }))
    await ended(body.jobId)
    for (const [method, path] of [['GET', ''], ['GET', '/zip'], ['POST', '/cards/0/retry'], ['POST', '/cards/0/regenerate']] as const) {
      expect((await reprise.call(method, `/api/image-jobs/${body.jobId}${path}`, { token: stranger.token })).status).toBe(404)
    }
    expect((await reprise.call('POST', PROCESS, { token: stranger.token, body: { jobId: body.jobId } })).status).toBe(404)
    expect((await fetch(photo, { headers: { authorization: `Bearer ${stranger.token}` } })).status).toBe(404)
    expect((await fetch(photo)).status).toBe(401)
    // Whoever sees the job (an operator, too) sees its photos, by an address that needs no cookie.
    const seen = (await reprise.call('GET', `/api/image-jobs/${body.jobId}`, { token: SERVICE_KEY })).body.productImages[0]
    expect(seen.url).toBe(photo)
    expect((await fetch(seen.previewUrl)).headers.get('content-type')).toBe('image/jpeg')
    expect((await create(bodyOf(), stranger)).status).toBe(400)
    expect((await create(bodyOf({ userId: user.id }), stranger)).status).toBe(403)
    const as = (id: string | null) => reprise.database.asUser(id)
    for (const table of ['generation_jobs', 'generation_tasks']) {
      expect((await as(user.id).query(`select 1 from ${table}`)).rowCount).toBeGreaterThan(0)
      expect((await as(stranger.id).query(`select 1 from ${table}`)).rowCount).toBe(0)
      await expect(as(null).query(`select 1 from ${table}`)).rejects.toThrow(/permission denied/)
      await expect(as(user.id).query(`update ${table} set status = 'failed'`)).rejects.toThrow(/permission denied/)
    }
  })

  it('a regeneration costs what the table says, an edit too, and its picture goes along; the ratio stays', async () => {
    const { body } = await create(bodyOf({ selectedCards: [0], aspectRatio: '16:9' }))
    const job = await ended(body.jobId)
    const act = (action: string, json?: object) => reprise.call('POST', `/api/image-jobs/${body.jobId}/cards/0/${action}`, { token: user.token, body: json })
    expect((await act('retry')).status).toBe(409)
    expect((await act('edit', { instruction: '' })).status).toBe(422)
    const [another, changed] = [await act('regenerate'), await act('edit', { instruction: 'make the background blue' })]
    expect([another.status, changed.status]).toEqual([202, 202])
    expect(await ended(another.body.jobId)).toMatchObject({ tokensCost: 1, aspectRatio: '16:9', cards: [{ type: 'cover', status: 'completed' }] })
    expect(await ended(changed.body.jobId)).toMatchObject({ tokensCost: 2, aspectRatio: '16:9', cards: [{ type: 'mainEdit', status: 'completed', tokens: { captured: 2 } }] })
    const { rows: [edit] } = await reprise.database.db.query<any>('select g.request from generation_tasks t join reprise.generations g on g.id = t.generation_id where t.job_id = $1', [changed.body.jobId])
    expect(edit!.request.prompt).toContain('make the background blue')
    expect(edit!.request.options).toMatchObject({ aspectRatio: '16:9', images: [{ bucket: 'generated-images' }, { bucket: 'image-uploads' }] })
    expect((await read(body.jobId)).cards[0].again.map((card: any) => card.type)).toEqual(['cover', 'mainEdit'])

    // "same style as this", by the address of a finished picture
    const styled = await create(bodyOf({ selectedCards: [1], styleSourceImageUrl: job.cards[0].imageUrl, sourceJobId: body.jobId }))
    expect(await ended(styled.body.jobId)).toMatchObject({ status: 'completed', styleSourceImageUrl: job.cards[0].imageUrl, sourceJobId: body.jobId })

    // Trying again costs what that kind of card costs now: a new card in that style is no regeneration.
    const price = (tokensPerResult: number) => reprise.call('PUT', '/api/prices/image_regeneration', { token: SERVICE_KEY, body: { tokensPerResult } })
    expect((await price(7)).status).toBe(200)
    try {
      provider.next({ status: 400, json: { error: 'no' } })
      const unlucky = await create(bodyOf({ selectedCards: [2], styleSourceImageUrl: job.cards[0].imageUrl, sourceJobId: body.jobId }))
      expect(await ended(unlucky.body.jobId)).toMatchObject({ status: 'failed', tokensCost: 1 })
      const tried = await reprise.call('POST', `/api/image-jobs/${unlucky.body.jobId}/cards/2/retry`, { token: user.token })
      expect(await ended(tried.body.jobId)).toMatchObject({ status: 'completed', tokensCost: 1 })
      const dear = await reprise.call('POST', `/api/image-jobs/${body.jobId}/cards/0/regenerate`, { token: user.token, headers: { 'idempotency-key': 'not the click before' } })
      expect(await ended(dear.body.jobId)).toMatchObject({ tokensCost: 7 })
    } finally {
      await price(1)
    }

    const zip = await fetch(`${reprise.url}/api/image-jobs/${body.jobId}/zip`, { headers: { authorization: `Bearer ${user.token}` } })
    const bytes = Buffer.from(await zip.arrayBuffer())
    expect([zip.status, zip.headers.get('content-length')]).toEqual([200, String(bytes.length)])
    for (const name of ['01-cover.png', '01-cover-2.png', '01-mainEdit.png']) expect(bytes.includes(name), name).toBe(true)
  })

  it('a job from outside runs when it is asked for, once, and costs nothing here', async () => {
    const before = await balance()
    const db = reprise.database.asUser(null, 'service_role')
    const { rows: [job] } = await db.query<{ id: string }>(
      `insert into generation_jobs (user_id, product_name, product_images, total_cards, tokens_cost, status) values ($1, 'From outside', $2, 2, 14, 'pending') returning id`,
      [user.id, JSON.stringify([{ url: photo, name: 'a', type: 'product' }])])
    await db.query(`insert into generation_tasks (job_id, card_index, card_type, prompt) values ($1, 0, 'cover', 'as the team wrote it'), ($1, 1, 'infographic', null)`, [job!.id])
    expect(await read(job!.id)).toMatchObject({ status: 'pending', totalCards: 2, cards: [{ status: 'pending' }, { status: 'pending' }] })
    const answers = await Promise.all([SERVICE_KEY, user.token].map((token) => reprise.call('POST', PROCESS, { token, body: { jobId: job!.id } })))
    expect(answers.map(({ status, body }) => [status, body])).toEqual([[202, { success: true, jobId: job!.id }], [202, { success: true, jobId: job!.id }]])
    expect(await ended(job!.id)).toMatchObject({ status: 'completed', completedCards: 2, tokensCost: 14, tokens: { cost: 0 } })
    expect((await reprise.database.db.query('select 1 from reprise.generations g join generation_tasks t on t.generation_id = g.id where t.job_id = $1', [job!.id])).rowCount).toBe(2)
    expect(await balance()).toEqual(before)
    expect((await reprise.call('POST', PROCESS, { token: user.token, body: {} })).status).toBe(400)
    expect((await reprise.call('POST', PROCESS, { body: { jobId: job!.id } })).status).toBe(401)
  })

  it('the cards of a job from outside that fail give back their exact part of its cost, once', async () => {
    const before = await balance()
    const db = reprise.database.asUser(null, 'service_role')
    const { rows: [job] } = await db.query<{ id: string }>(
      `insert into generation_jobs (user_id, product_name, product_images, total_cards, tokens_cost) values ($1, 'From outside', $2, 3, 14) returning id`,
      [user.id, JSON.stringify([{ url: photo, name: 'a', type: 'product' }])])
    await db.query(`insert into generation_tasks (job_id, card_index, card_type) values ($1, 0, 'cover'), ($1, 1, 'macro'), ($1, 2, 'bundle')`, [job!.id])
    provider.next({ status: 400, json: { error: 'no' } })
    await reprise.call('POST', PROCESS, { token: SERVICE_KEY, body: { jobId: job!.id } })
    const done = await ended(job!.id)
    expect(done).toMatchObject({ status: 'completed', completedCards: 2 })
    const failed = done.cards.find((card: any) => card.status === 'failed').index
    expect((await balance()).available - before.available).toBe([5, 5, 4][failed])
    expect(await violations()).toEqual([])
  })

  it('a finished card of the team’s own keeps its address, which looks like ours and is not', async () => {
    const theirs = 'https://team.supabase.co/storage/v1/object/public/generated-images/user/card.png'
    const { rows: [job] } = await reprise.database.db.query<{ id: string }>(
      `insert into generation_jobs (user_id, product_name, status, total_cards, completed_cards, completed_at) values ($1, 'Done elsewhere', 'completed', 1, 1, now()) returning id`, [user.id])
    await reprise.database.db.query(`insert into generation_tasks (job_id, card_index, card_type, status, image_url) values ($1, 0, 'cover', 'completed', $2)`, [job!.id, theirs])
    expect((await ended(job!.id)).cards[0].imageUrl).toBe(theirs)
  })

  it('when Reprise moves to another address, pictures in columns move along', async () => {
    const { body } = await create(bodyOf({ selectedCards: [0] }))
    await ended(body.jobId, ({ cards }) => cards[0].thumbnailUrl !== null)
    const urls = async () => (await reprise.database.db.query<any>('select image_url, thumbnail_url from generation_tasks where job_id = $1', [body.jobId])).rows[0]
    const before = await urls()
    await reprise.wired.rememberBase('https://pictures.example')
    const moved = await urls()
    expect([moved.image_url, moved.thumbnail_url]).toEqual([before.image_url, before.thumbnail_url].map((url) => url.replace(reprise.url, 'https://pictures.example')))
    await reprise.wired.rememberBase(reprise.url)
    expect(await urls()).toEqual(before)
  })

  it('a picture that comes after its deadline is a gift: shown, and its card and job stay as they ended', async () => {
    const before = await balance()
    const { promise: after, resolve: letItCome } = Promise.withResolvers<void>()
    provider.next({ after, json: { mime: 'image/png', base64: picture } })
    const { body } = await create(bodyOf({ selectedCards: [5] }))
    await ended(body.jobId, ({ cards }) => cards[0].status === 'processing')
    let offset = 601_000
    // Who holds it may renew the lease between two jumps: then nobody else looks at it yet.
    const jumping = setInterval(() => {
      void reprise.wired.db.setClockOffset((offset += 5_000))
      reprise.wired.engine.waker.wake(['attend'])
    }, 100)
    try {
      const late = await ended(body.jobId)
      clearInterval(jumping)
      expect(late).toMatchObject({ status: 'failed', cards: [{ status: 'failed', imageUrl: null, tokens: { released: 1 } }] })
      letItCome()
      const gift = await ended(body.jobId, ({ cards }) => cards[0].imageUrl !== null)
      expect(gift).toMatchObject({ status: 'failed', completedCards: 0, cards: [{ status: 'failed', arrivedLate: true, tokens: { captured: 0, released: 1 } }] })
      expect((await fetch(gift.cards[0].imageUrl)).status).toBe(200)
      // what is there need not be tried again
      expect((await reprise.call('POST', `/api/image-jobs/${body.jobId}/cards/5/retry`, { token: user.token })).status).toBe(409)
      expect(await balance()).toEqual(before)
      expect(await violations()).toEqual([])
    } finally {
      clearInterval(jumping)
      await reprise.wired.db.setClockOffset(0)
    }
  })

  it('many jobs with trouble of every kind: none is stuck, each says what its cards are, and the ledger is exact', { timeout: 60_000 }, async () => {
    const rich = await reprise.user('with many jobs', 10_000)
    const mine = await upload(rich, Buffer.from(picture, 'base64'))
    let asked = 0
    provider.usually(() => {
      const turn = ++asked % 40
      if (turn === 3) return { status: 400, json: { error: 'no' } }
      if (turn === 11) return { status: 503, json: { error: 'busy' } }
      if (turn === 19) return { reset: true }
      if (turn === 27) return { json: { mime: 'image/png', base64: Buffer.from('<html>').toString('base64') } }
      if (turn === 35) return { json: {} }
      return { json: { mime: 'image/png', base64: picture } }
    })
    const ids = await Promise.all(Array.from({ length: 40 }, async (_, index) =>
      (await create({ productName: `Many ${index}`, productImages: [mine], selectedCards: [0, 1, 2, 3, 4, 5] }, rich)).body.jobId as string))
    expect(new Set(ids).size).toBe(40)
    const openOnes = async () => (await reprise.database.db.query(`select 1 from generation_jobs where id = any ($1) and status in ('pending', 'processing')`, [ids])).rowCount
    await expect.poll(openOnes, { timeout: 50_000, interval: 250 }).toBe(0)
    provider.usually({ json: { mime: 'image/png', base64: picture } })
    const { rows: wrong } = await reprise.database.db.query(
      `select j.id, j.status from generation_jobs j join (
         select t.job_id, count(*) as cards, count(*) filter (where t.status = 'completed') as done, count(*) filter (where t.status = 'failed') as failed,
           count(*) filter (where (t.status = 'completed') <> (g.state = 'complete') or (t.status = 'completed') <> (t.image_url is not null) or t.started_at is null) as odd
         from generation_tasks t join reprise.generations g on g.id = t.generation_id group by 1) c on c.job_id = j.id
       where j.id = any ($1) and (c.cards <> 6 or c.done + c.failed <> 6 or c.odd > 0 or j.completed_cards <> c.done or j.started_at is null or j.completed_at is null
         or j.status <> case when c.done > 0 then 'completed' else 'failed' end or (c.failed > 0) <> (j.error_message is not null))`, [ids])
    expect(wrong).toEqual([])
    const { rows: [sums] } = await reprise.database.db.query<{ done: number; all: number }>(`select count(*) filter (where status = 'completed') as done, count(*) as all from generation_tasks where job_id = any ($1)`, [ids])
    expect(sums!.all).toBe(240)
    expect(sums!.done).toBeLessThan(240)
    expect(await balance(rich)).toEqual({ available: 10_000 - sums!.done, held: 0 })
    expect(await violations()).toEqual([])
  })

  it('nobody names another one’s picture in a request of their own', async () => {
    const stranger = await reprise.user('who guesses names')
    const { rows: [file] } = await reprise.database.db.query<any>(`select path from reprise.files where bucket = 'image-uploads' and user_id = $1 limit 1`, [user.id])
    for (const ref of [{ bucket: 'image-uploads', path: file.path }, { key: `image-uploads/${file.path}` }]) {
      const { status, body } = await reprise.call('POST', '/api/generations', { token: stranger.token, body: { provider: 'sync-bytes', kind: 'image', prompt: 'a lamp', options: { images: [ref] } } })
      expect([status, body.errors?.[0]?.path]).toEqual([422, 'options.images.0'])
    }
  })

  it('between attempts a card says that it is tried again, and when', async () => {
    provider.next({ status: 503, json: { error: 'busy' } })
    const { body } = await create(bodyOf({ selectedCards: [4] }))
    const waiting = await ended(body.jobId, ({ cards }) => cards[0].status === 'retrying' || cards[0].status === 'completed')
    expect(waiting).toMatchObject({ status: 'processing', cards: [{ status: 'retrying', retryCount: 1, retryAfter: expect.any(String), error: { code: 'unavailable' } }] })
    expect(await ended(body.jobId)).toMatchObject({ status: 'completed', cards: [{ status: 'completed', retryCount: 1, retryAfter: null, error: null }] })
  })
})

describe('image jobs at Google', () => {
  it('the ratio that was chosen and the photos that were given arrive at the provider, and the picture has that shape', async () => {
    const reprise = await startHarness({ sunoKey: null, google: true })
    try {
      const user = await reprise.user('of ratios')
      const authorization = `Bearer ${user.token}`
      const bytes = await sharp({ create: { width: 200, height: 200, channels: 3, background: '#3a3' } }).png().toBuffer()
      const { url } = (await (await fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { authorization, 'content-type': 'image/png' }, body: bytes as BodyInit })).json()) as { url: string }
      const jobOf = async (path: string, body: object): Promise<any> => {
        const started = await reprise.call('POST', path, { token: user.token, body })
        expect(started.status).toBe(202)
        let job: any
        await expect.poll(async () => (job = (await reprise.call('GET', `/api/image-jobs/${started.body.jobId}`, { token: user.token })).body).completedAt, { timeout: 20_000 }).not.toBeNull()
        return job
      }
      const shapeOf = async ({ cards: [{ imageUrl }] }: any) => {
        const { width, height } = await sharp(Buffer.from(await (await fetch(imageUrl)).arrayBuffer())).metadata()
        return width / height
      }
      const wide = await jobOf('/functions/v1/create-generation-job-banana', { productName: 'Wide lamp', productImages: [url], selectedCards: [3], aspectRatio: '16:9' })
      expect(wide).toMatchObject({ status: 'completed', aspectRatio: '16:9' })
      expect(await shapeOf(wide)).toBeCloseTo(16 / 9, 1)
      for (const [action, body] of [['regenerate', {}], ['edit', { instruction: 'brighter' }]] as const) {
        expect(await shapeOf(await jobOf(`/api/image-jobs/${wide.id}/cards/3/${action}`, body)), action).toBeCloseTo(16 / 9, 1)
      }
      const refused = await jobOf('/functions/v1/create-generation-job-banana', { productName: 'Lamp [[fault:blocked]]', productImages: [url], selectedCards: [0] })
      expect(refused).toMatchObject({ status: 'failed', cards: [{ error: { code: 'content_policy', reason: 'PROHIBITED_CONTENT' }, tokens: { released: 1, captured: 0 } }] })
      // What the seed's front end reads says it too, and nothing else of the provider's words.
      const { rows: [row] } = await reprise.database.db.query('select t.last_error, j.error_message from generation_tasks t join generation_jobs j on j.id = t.job_id where j.id = $1', [refused.id])
      expect(row).toEqual({ last_error: 'Content policy violation: PROHIBITED_CONTENT', error_message: '1 of 1 cards failed, their tokens were returned: Content policy violation: PROHIBITED_CONTENT' })
    } finally {
      await reprise.close()
    }
  })
})
