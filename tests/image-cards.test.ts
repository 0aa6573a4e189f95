import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { SERVICE_KEY } from './harness.ts'
import { startPictureShop } from './picture-shop.ts'

const ALL_ON = { started: true, done: true, partly_done: true, failed: true, archive_failed: true, balance_low: true }

/** What a card says, what it cost, and what its owner is told, in the cases where these could part. */
describe('cards of image jobs', () => {
  let shop: Awaited<ReturnType<typeof startPictureShop>>
  beforeAll(async () => {
    shop = await startPictureShop()
  })
  afterAll(() => shop.close())
  afterEach(async () => expect(await shop.violations()).toEqual([]))

  /** A card whose POST is under way, and how to let its picture come. */
  async function underWay(jobId: () => Promise<string>) {
    const { promise: after, resolve: letItCome } = Promise.withResolvers<void>()
    shop.provider.next({ after, json: { mime: 'image/png', base64: shop.picture } })
    const id = await jobId()
    const { cards: [card] } = await shop.ended(id, ({ cards }) => cards[0].status === 'processing')
    await expect.poll(async () => (await shop.sql('select 1 from reprise.attempts where generation_id = $1 and state = $2', [card.generationId, 'sent'])).length).toBe(1)
    return { id, letItCome, cancel: () => shop.reprise.call('POST', `/api/generations/${card.generationId}/cancel`, { token: shop.user.token }) }
  }
  const ordered = async () => (await shop.create(shop.bodyOf())).body.jobId as string

  it('cancelled while it is made: it has not ended until its picture is there, and is then shown and paid', async () => {
    const before = await shop.balance()
    const { id, letItCome, cancel } = await underWay(ordered)
    expect(await cancel()).toMatchObject({ status: 200, body: { state: 'cancelled' } })
    expect(await shop.read(id)).toMatchObject({ status: 'processing', errorMessage: null, cards: [{ status: 'processing', error: null, tokens: { held: 1 } }] })
    expect((await shop.notices(id)).map(({ kind }) => kind)).toEqual([])
    letItCome()
    expect(await shop.ended(id)).toMatchObject({ status: 'completed', completedCards: 1, errorMessage: null, cards: [{ status: 'completed', imageUrl: expect.any(String), error: null, tokens: { held: 0, captured: 1, released: 0 } }] })
    expect(await shop.balance()).toEqual({ available: before.available - 1, held: 0 })
    expect((await shop.notices(id)).map(({ kind }) => kind)).toEqual(['done'])
  })

  it('cancelled, and nothing came by the deadline: failed, and only then given back', async () => {
    const before = await shop.balance()
    const { id, letItCome, cancel } = await underWay(ordered)
    await cancel()
    let offset = 601_000
    const jumping = setInterval(() => {
      void shop.reprise.wired.db.setClockOffset((offset += 5_000))
      shop.reprise.wired.engine.waker.wake(['attend'])
    }, 100)
    try {
      expect(await shop.ended(id)).toMatchObject({ status: 'failed', cards: [{ status: 'failed', imageUrl: null, tokens: { held: 0, captured: 0, released: 1 } }] })
      expect(await shop.balance()).toEqual(before)
      expect((await shop.notices(id))).toMatchObject([{ kind: 'failed', message: expect.stringContaining('Возвращено токенов: 1.') }])
    } finally {
      clearInterval(jumping)
      letItCome()
      await shop.reprise.wired.db.setClockOffset(0)
    }
  })

  it('of a job from outside: who cancels gets the picture or the refund, never both', async () => {
    const before = await shop.balance()
    const { id, letItCome, cancel } = await underWay(async () => {
      const job = await shop.fromOutside(['cover'], { cost: 14 })
      await shop.process(job)
      return job
    })
    await cancel()
    letItCome()
    expect(await shop.ended(id)).toMatchObject({ status: 'completed', cards: [{ status: 'completed', imageUrl: expect.any(String) }] })
    expect(await shop.balance()).toEqual(before)
  })

  it('of a job from outside that never got a row: given back when the others have ended, named in the note, counted in the notice', async () => {
    const before = await shop.balance()
    const good = await shop.fromOutside(['cover', 'macro', 'bundle', 'guarantee'], { totalCards: 6, cost: 12 })
    await shop.process(good)
    expect(await shop.ended(good)).toMatchObject({ status: 'completed', completedCards: 4, errorMessage: '2 of 6 cards failed, their tokens were returned: never begun (2)' })
    expect((await shop.balance()).available - before.available).toBe(4)
    expect(await shop.notices(good)).toMatchObject([{ kind: 'partly_done', message: expect.stringMatching(/готово 4 из 6.*Возвращено токенов: 4\./) }])

    shop.provider.next({ status: 400, json: { error: 'no' } })
    const worse = await shop.fromOutside(['cover', 'macro'], { totalCards: 3, cost: 9 })
    await shop.process(worse)
    const { errorMessage } = await shop.ended(worse)
    expect(errorMessage).toMatch(/^2 of 3 cards failed, their tokens were returned: .*never begun/)
    expect((await shop.balance()).available - before.available).toBe(4 + 6)
  })

  it('of a job from outside that the team’s app ended while it was made: its share is given back when it fails, once', async () => {
    const before = await shop.balance()
    const { promise: after, resolve: letItFail } = Promise.withResolvers<void>()
    shop.provider.next({ after, status: 400, json: { error: 'no' } })
    const id = await shop.fromOutside(['cover', 'macro'], { cost: 8 })
    await shop.process(id)
    await shop.ended(id, ({ cards }) => cards.some((card: any) => card.status === 'processing') && cards.some((card: any) => card.status === 'completed'))
    await shop.sql(`update generation_jobs set status = 'failed' where id = $1`, [id])
    letItFail()
    await shop.ended(id, ({ cards }) => cards.every((card: any) => ['completed', 'failed'].includes(card.status)))
    expect((await shop.balance()).available - before.available).toBe(4)
    await shop.reprise.call('POST', '/functions/v1/cleanup-stale-jobs', { token: SERVICE_KEY, body: {} })
    expect((await shop.balance()).available - before.available).toBe(4)
  })

  it('tells the owner of a job from outside that it began, too', async () => {
    await shop.reprise.call('PUT', '/api/notification-settings', { token: shop.user.token, body: { kinds: ALL_ON, language: 'fr', lowBalance: 0 } })
    const id = await shop.fromOutside(['cover'])
    await shop.process(id)
    await shop.ended(id)
    expect((await shop.notices(id)).map(({ title, message }) => [title, message])).toEqual([
      ['Prêt', 'Toutes les images de « From outside » sont enregistrées (1).'], ['En cours', 'Les images de « From outside » sont en préparation.']])
    await shop.reprise.call('PUT', '/api/notification-settings', { token: shop.user.token, body: { kinds: { ...ALL_ON, done: false, started: false }, language: null, lowBalance: 0 } })
    const silent = await shop.fromOutside(['cover'])
    await shop.process(silent)
    await shop.ended(silent)
    expect(await shop.notices(silent)).toEqual([])
  })

  it('counts how often it was tried again: not at all when it was refused at once', async () => {
    shop.provider.next({ status: 400, json: { error: 'no' } })
    const refused = await shop.ended((await shop.create(shop.bodyOf())).body.jobId)
    expect(refused.cards[0]).toMatchObject({ status: 'failed', retryCount: 0 })
    shop.provider.next({ status: 503, json: { error: 'busy' } })
    const second = await shop.ended((await shop.create(shop.bodyOf())).body.jobId)
    expect(second.cards[0]).toMatchObject({ status: 'completed', retryCount: 1 })
  })
})
