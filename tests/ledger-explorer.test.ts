import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createReplicate } from '../server/src/providers/replicate/replicate.ts'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

const song = { provider: 'suno', kind: 'song', prompt: 'a song that costs' }

describe('tokens for operators', () => {
  let reprise: Harness
  let names = 0
  beforeAll(async () => {
    // one that is there and never asked
    const replicate = createReplicate({ apiKey: 'demo', baseUrl: 'http://127.0.0.1:1', fetch: () => Promise.reject(new Error('nobody asks it')) })
    reprise = await startHarness({ more: [replicate] })
  })
  afterAll(() => reprise.close())

  const somebody = (tokens = 1_000) => reprise.user(`payer ${names++}`, tokens)
  const operator = (method: string, path: string, body?: unknown, headers?: Record<string, string>) => reprise.call(method, path, { token: SERVICE_KEY, body, headers })
  const ask = async (user: TestUser, more: object = {}) => (await reprise.call('POST', '/api/generations', { token: user.token, body: { ...song, ...more } })).body
  const balance = async (user: TestUser) => (await reprise.call('GET', '/api/balance', { token: user.token })).body
  const explore = async (query: string) => (await operator('GET', `/api/ledger/explorer?limit=100&${query}`)).body.items as any[]
  const sql = (text: string, values?: unknown[]) => reprise.database.db.query(text, values)

  describe('prices', () => {
    it('a changed price holds for new requests only: what is accepted is settled at the price of its day', async () => {
      const user = await somebody()
      const before = await ask(user, { prompt: '[[fault:partial-then-fail]] half' })
      expect((await operator('PUT', '/api/prices/song', { tokensPerResult: 9 })).status).toBe(200)
      const after = await ask(user)
      expect([before.cost, after.cost]).toEqual([10, 18])
      expect((await reprise.settled(before.id, user)).receipt).toEqual({ cost: 10, held: 0, captured: 5, released: 5 })
      expect((await reprise.settled(after.id, user)).receipt).toEqual({ cost: 18, held: 0, captured: 18, released: 0 })
      await operator('PUT', '/api/prices/song', { tokensPerResult: 5 })
    })

    it('the most specific price counts, and the general one again when it is removed', async () => {
      const user = await somebody()
      const { models } = (await reprise.call('GET', '/api/info')).body
      const model = encodeURIComponent(models[0])
      expect((await reprise.call('GET', '/api/info')).body.defaultModels).toMatchObject({ suno: models[0] })
      await operator('PUT', '/api/prices/song/suno', { tokensPerResult: 6 })
      await operator('PUT', `/api/prices/song/suno/${model}`, { tokensPerResult: 7 })
      expect((await ask(user, { model: models[0] })).cost).toBe(14)
      expect((await ask(user)).cost).toBe(14)
      expect((await operator('DELETE', `/api/prices/song/suno/${model}`)).status).toBe(200)
      expect((await ask(user, { model: models[0] })).cost).toBe(12)
      const { body } = await operator('DELETE', '/api/prices/song/suno')
      expect(body.items.filter((one: any) => one.kind === 'song')).toMatchObject([{ provider: '*', model: '*', tokensPerResult: 5 }])
      expect((await operator('DELETE', '/api/prices/song')).status).toBe(409)
    })

    it('who changed what and when is written down; what changes nothing is not', async () => {
      await operator('PUT', '/api/prices/song', { tokensPerResult: 11 })
      await operator('PUT', '/api/prices/song', { tokensPerResult: 11 })
      await operator('PUT', '/api/prices/song/replicate/meta%2Fmusicgen', { tokensPerResult: 3 })
      await operator('DELETE', '/api/prices/song/replicate/meta%2Fmusicgen')
      await operator('PUT', '/api/prices/song', { tokensPerResult: 5 })
      const first = (await operator('GET', '/api/price-changes?limit=3')).body
      const second = (await operator('GET', `/api/price-changes?limit=1&cursor=${first.nextCursor}`)).body
      const plain = { id: expect.any(Number), at: expect.any(String), kind: 'song', provider: '*', model: '*', actor: 'service_role' }
      const special = { ...plain, provider: 'replicate', model: 'meta/musicgen' }
      expect([...first.items, ...second.items]).toEqual([
        { ...plain, before: 11, after: 5 }, { ...special, before: 3, after: null }, { ...special, before: null, after: 3 }, { ...plain, before: 5, after: 11 },
      ])
    })

    it('a provider or model that is not here is refused with those that are; what was named so before can be removed', async () => {
      const before = (await operator('GET', '/api/prices')).body
      const refused = async (path: string, field: string, known: string) => expect(await operator('PUT', `/api/prices/${path}`, { tokensPerResult: 7 })).toMatchObject({
        status: 404, body: { code: 'not_found', errors: [{ path: field, rule: 'one_of', message: expect.stringMatching(`There is no such ${field} here; choose \\* or one of .*${known}`) }] },
      })
      await refused('image/gogle', 'provider', 'suno, replicate')
      await refused('song/suno/V99', 'model', 'V5')
      await refused('song/suno/meta%2Fmusicgen', 'model', 'V5')
      await refused('song/*/V99', 'model', 'V5.*meta/musicgen')
      await refused('song/constructor', 'provider', 'suno')
      expect((await operator('GET', '/api/prices')).body).toEqual(before)
      for (const path of ['image/suno', 'song/*/V5', 'song/suno/*']) {
        expect([path, (await operator('PUT', `/api/prices/${path}`, { tokensPerResult: 7 })).status]).toEqual([path, 200])
        await operator('DELETE', `/api/prices/${path}`)
      }
      await sql(`insert into reprise.prices (kind, provider, tokens) values ('image', 'gogle', 7)`)
      expect((await operator('DELETE', '/api/prices/image/gogle')).status).toBe(200)
    })

    it('while prices change, each request pays one of them for all that it asks for, and just that is set aside', async () => {
      const user = await somebody(100_000)
      // of a provider that nobody has: they stay where they are
      const cards = async () => {
        const asked = [1, 3, 2].map((resultCount) => ({
          id: randomUUID(), userId: user.id, provider: 'nobody', account: 'nobody/1', kind: 'image', model: 'a model', origin: 'api', urgency: 'interactive', request: {}, resultCount,
          deadlineSec: 600, watchSec: 600, regeneratedFrom: null, route: 'cards', key: null, bodyHash: '', waitForTwin: false,
        }))
        expect((await sql('select outcome from reprise.accept_together($1)', [JSON.stringify(asked)])).rows).toEqual(asked.map(() => ({ outcome: 'accepted' })))
        return asked.map(({ id }) => id)
      }
      const song = async () => [(await ask(user, { prompt: '[[fault:never-finishes]] while prices change' })).id as string]
      const requests: string[][] = []
      for (let wave = 0; wave < 8; wave++) {
        const changes = ['song', 'image'].flatMap((kind) => [9, 4].map((tokensPerResult) => operator('PUT', `/api/prices/${kind}`, { tokensPerResult })))
        requests.push(...await Promise.all([song(), cards(), song(), cards(), song()]))
        expect((await Promise.all(changes)).map(({ status }) => status)).toEqual([200, 200, 200, 200])
        requests.push(await song(), await cards())
      }
      const { rows } = await sql(
        `select g.id, g.cost, g.result_count as results, (select array_agg(i.amount) from reprise.hold_items i where i.generation_id = g.id) as items,
           (select array_agg(t.amount) from reprise.ledger_transfers t where t.generation_id = g.id) as transfers from reprise.generations g where g.user_id = $1`, [user.id])
      const paid = requests.map((ids) => ids.map((id) => {
        const { cost, results, items, transfers } = rows.find((row) => row.id === id)!
        expect([items, transfers]).toEqual([Array(results).fill(cost / results), [cost]])
        return cost / results
      }))
      for (const prices of paid) expect([[4], [5], [9], [1], [4, 4, 4], [9, 9, 9], [1, 1, 1]]).toContainEqual(prices)
      expect(rows).toHaveLength(requests.flat().length)
      const held = rows.reduce((sum, { cost }) => sum + cost, 0)
      expect(await balance(user)).toEqual({ available: 100_000 - held, held })
      await operator('PUT', '/api/prices/song', { tokensPerResult: 5 })
      await operator('PUT', '/api/prices/image', { tokensPerResult: 1 })
    })

    it('an unknown kind and a price that is none are refused', async () => {
      expect((await operator('PUT', '/api/prices/sonng', { tokensPerResult: 1 })).status).toBe(404)
      for (const tokensPerResult of [-1, 1.5, '5', 10_000_000]) expect((await operator('PUT', '/api/prices/song', { tokensPerResult })).status).toBe(422)
      expect((await operator('DELETE', '/api/prices/song/nobody')).status).toBe(404)
    })
  })

  describe('by hand', () => {
    it('tokens given by mistake are taken back, never more than there are, never twice for one key', async () => {
      const user = await somebody(100)
      const take = (amount: number, key?: string) =>
        operator('POST', '/api/ledger/adjustments', { userId: user.id, amount, reason: 'given twice' }, key ? { 'idempotency-key': key } : {})
      expect((await take(101)).body).toMatchObject({ code: 'insufficient_tokens', required: 101, available: 100 })
      const twice = await Promise.all([take(60, 'once'), take(60, 'once')])
      expect(twice.map(({ status }) => status)).toEqual([201, 201])
      expect(await balance(user)).toEqual({ available: 40, held: 0 })
      expect((await take(50, 'once')).status).toBe(422)
      expect((await operator('POST', '/api/ledger/grants', { userId: user.id, amount: 60, reason: 'given twice' }, { 'idempotency-key': 'once' })).status).toBe(422)
      expect(await balance(user)).toEqual({ available: 40, held: 0 })
    })
  })

  describe('receipts', () => {
    it('say for each result what was set aside and what became of it, and why', async () => {
      const user = await somebody()
      const half = await ask(user, { title: 'Half', prompt: '[[fault:partial-then-fail]] half' })
      await reprise.settled(half.id, user)
      const receipt = async (token: string, query = '') => reprise.call('GET', `/api/receipts/${half.id}${query}`, { token })
      const { body } = await receipt(user.token, '?lang=en')
      expect(body).toMatchObject({ generationId: half.id, provider: 'suno', kind: 'song', title: 'Half', state: 'complete', cost: 10, held: 0, captured: 5, released: 5 })
      const settledAt = expect.stringMatching(/^\d{4}-.*Z$/)
      expect(body.items.toSorted((a: any, b: any) => a.state.localeCompare(b.state))).toEqual([
        { index: expect.any(Number), amount: 5, state: 'captured', settledAt, reason: 'stored', text: null },
        { index: expect.any(Number), amount: 5, state: 'released', settledAt, reason: 'provider_failed', text: 'Generation failed at the provider' },
      ])
      expect((await receipt((await somebody()).token)).status).toBe(404)
      expect((await receipt(SERVICE_KEY)).status).toBe(200)
    })

    it('while it is under way all of it is set aside', async () => {
      const user = await somebody()
      const open = await ask(user, { prompt: '[[fault:never-finishes]] open' })
      const { body } = await reprise.call('GET', `/api/receipts/${open.id}`, { token: user.token })
      expect(body).toMatchObject({ cost: 10, held: 10, captured: 0, released: 0, items: [0, 1].map((index) => ({ index, amount: 5, state: 'open', settledAt: null, reason: null, text: null })) })
    })
  })

  it('a movement says what it was for: the title, or how its words begin', async () => {
    const user = await somebody()
    for (const more of [{}, { title: 'Harbour' }, { prompt: `so long ${'la '.repeat(100)}` }]) await reprise.settled((await ask(user, more)).id, user)
    const { items } = (await reprise.call('GET', '/api/ledger', { token: user.token })).body
    const titles = [...new Set<string | null>(items.map((item: any) => item.title))]
    expect(titles).toEqual([`so long ${'la '.repeat(100)}`.slice(0, 80), 'Harbour', song.prompt, null])
  })

  describe('the explorer', () => {
    it('finds by user, generation, kind and time, each narrowing the others', async () => {
      const [user, other] = [await somebody(), await somebody()]
      const [mine, theirs] = [await ask(user), await ask(other)]
      await reprise.settled(mine.id, user)
      await reprise.settled(theirs.id, other)
      const all = await explore(`userId=${user.id}`)
      expect(all.map((one) => one.kind)).toEqual(['capture', 'capture', 'hold', 'grant'])
      expect(all[2]).toEqual({
        id: expect.any(Number), at: expect.any(String), kind: 'hold', amount: 10, userId: user.id, subject: user.id, fromAccount: 'available', toAccount: 'held',
        generationId: mine.id, imageJobId: null, itemIndex: null, reason: 'generation accepted', text: null, actor: 'reprise',
      })
      expect(await explore(`generationId=${mine.id}`)).toEqual(all.slice(0, 3))
      expect(await explore(`generationId=${mine.id}&kind=capture`)).toEqual(all.slice(0, 2))
      expect(await explore(`generationId=${mine.id}&userId=${other.id}`)).toEqual([])
      expect((await explore('kind=grant')).map((one) => one.userId)).toContain(other.id)
      expect(await explore(`userId=${user.id}&from=${all[2].at}&to=${new Date(Date.parse(all[2].at) + 1).toISOString()}`)).toEqual([all[2]])
      expect(await explore(`userId=${user.id}&to=${all[3].at}`)).toEqual([])
    })

    it('an error is told in the reader’s language, what Reprise notes for itself is not', async () => {
      const user = await somebody()
      const { id } = await ask(user, { prompt: '[[fault:partial-then-fail]] half' })
      await reprise.settled(id, user)
      const told = async (language: string) => (await reprise.call('GET', `/api/ledger/explorer?generationId=${id}&lang=${language}`, { token: SERVICE_KEY })).body.items
        .map((one: any) => [one.kind, one.reason, one.text])
      expect(await told('ru')).toEqual(expect.arrayContaining([['release', 'provider_failed', 'Сбой генерации у провайдера'], ['capture', 'stored', null]]))
    })

    it('pages go on where they ended', async () => {
      const user = await somebody(1)
      for (let n = 0; n < 4; n++) await operator('POST', '/api/ledger/grants', { userId: user.id, amount: 1, reason: `grant ${n}` })
      const seen: string[] = []
      for (let cursor = ''; ;) {
        const { body } = await operator('GET', `/api/ledger/explorer?userId=${user.id}&limit=2${cursor}`)
        seen.push(...body.items.map((one: any) => one.reason))
        if (!body.nextCursor) break
        cursor = `&cursor=${body.nextCursor}`
      }
      expect(seen).toEqual(['grant 3', 'grant 2', 'grant 1', 'grant 0', 'test'])
      expect((await operator('GET', '/api/ledger/explorer?kind=theft')).status).toBe(422)
    })
  })

  describe('the promises of the ledger', () => {
    const health = async () => (await operator('GET', '/api/ledger/health')).body

    it('the last look is shown: when it was, what it found, when the next one is', async () => {
      expect(await health()).toEqual({ last: null, failure: null, nextAt: expect.any(String) })
      const user = await somebody(10)
      const sound = (await operator('POST', '/api/ledger/check')).body
      expect(sound).toMatchObject({ last: { found: 0, violations: [] }, failure: null })
      expect(Date.parse(sound.nextAt)).toBeGreaterThan(Date.now())
      await sql('update reprise.wallets set available = available + 1 where user_id = $1', [user.id])
      const broken = (await operator('POST', '/api/ledger/check')).body
      expect(broken.last).toMatchObject({ found: 1, violations: [{ promise: 'wallet differs from its entries', userId: user.id, generationId: null }] })
      expect(await health()).toEqual(broken)
      await sql('update reprise.wallets set available = available - 1 where user_id = $1', [user.id])
      expect((await operator('POST', '/api/ledger/check')).body.last.found).toBe(0)
    })

    it('a look that could not be made is shown until one can be made again', async () => {
      await sql('alter view reprise.ledger_violations rename to ledger_violations_away')
      expect((await operator('POST', '/api/ledger/check')).status).toBe(500)
      expect((await health()).failure).toEqual({ at: expect.any(String), error: expect.stringContaining('ledger_violations') })
      await sql('alter view reprise.ledger_violations_away rename to ledger_violations')
      expect((await operator('POST', '/api/ledger/check')).body.failure).toBeNull()
    })
  })
})
