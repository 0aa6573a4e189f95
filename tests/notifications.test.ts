import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHarness, type Harness, type TestUser } from './harness.ts'
import { startPictureShop } from './picture-shop.ts'

const song = { provider: 'suno', kind: 'song', prompt: 'a song to be told of' }
const ALL_ON = { started: true, done: true, partly_done: true, failed: true, archive_failed: true, balance_low: true }

describe('notices', () => {
  let reprise: Harness
  let names = 0
  beforeAll(async () => {
    reprise = await startHarness()
  })
  afterAll(() => reprise.close())

  const somebody = (tokens = 1_000) => reprise.user(`told ${names++}`, tokens)
  const sql = async (text: string, values?: unknown[]) => (await reprise.database.db.query(text, values)).rows as any[]
  const told = async (user: TestUser, query = '') => (await reprise.call('GET', `/api/notifications${query}`, { token: user.token })).body
  const set = (user: TestUser, more: object) => reprise.call('PUT', '/api/notification-settings', { token: user.token, body: { kinds: ALL_ON, language: null, lowBalance: 20, ...more } })
  const make = async (user: TestUser, more: object = {}) => {
    const { body } = await reprise.call('POST', '/api/generations', { token: user.token, body: { ...song, ...more } })
    return reprise.settled(body.id, user)
  }
  const notify = (user: TestUser, key: string | null, name = 'Song') =>
    sql('select reprise.notify_all($1) as written', [JSON.stringify([{ userId: user.id, occasion: 'done', key, link: '/x', about: { name } }])])

  it('a song that is ready is told once, with a way to it; that it began is told to who asks for it', async () => {
    const [user, curious] = [await somebody(), await somebody()]
    await set(curious, {})
    const [done] = [await make(user, { title: 'Ноктюрн' }), await make(curious)]
    const { items, unread } = await told(user)
    expect(items).toEqual([{
      id: expect.any(String), kind: 'done', type: 'success', title: 'Готово', message: '«Ноктюрн»: всё сохранено.',
      link: `/generations/${done.id}`, readAt: null, createdAt: expect.any(String),
    }])
    expect(unread).toBe(1)
    expect((await told(curious)).items.map((one: any) => one.kind)).toEqual(['done', 'started'])
    await reprise.call('POST', `/api/generations/${done.id}/recheck`, { token: user.token })
    expect((await told(user)).items).toHaveLength(1)
  })

  it('a failure names the reason and the tokens that came back, in the language of the user', async () => {
    for (const [language, title, message] of [
      [null, 'Не получилось', '«[[fault:sensitive]] bad»: Нарушение правил содержания. Возвращено токенов: 10.'],
      ['en', 'It did not work', '“[[fault:sensitive]] bad”: Content policy violation. Tokens returned: 10.'],
    ] as const) {
      const user = await somebody()
      await set(user, { language })
      const failed = await make(user, { prompt: '[[fault:sensitive]] bad' })
      expect(failed.state).toBe('failed')
      expect(failed.receipt.released).toBe(10)
      const [notice] = (await told(user)).items
      expect(notice).toMatchObject({ kind: 'failed', type: 'error', title, message, link: `/generations/${failed.id}` })
    }
  })

  it('of two songs one is lost: told as partly ready, with the tokens of the lost one', async () => {
    const user = await somebody()
    const half = await make(user, { title: 'Half', prompt: '[[fault:partial-then-fail]] half' })
    expect(half).toMatchObject({ state: 'complete', missing: 1 })
    expect((await told(user)).items).toMatchObject([{ kind: 'partly_done', type: 'warning', title: 'Готово частично', message: '«Half»: сохранено не всё, не хватает: 1. Возвращено токенов: 5.' }])
  })

  it('a name is shown as it is, however long or strange; what nobody has words for is not told in silence', async () => {
    const user = await somebody()
    await set(user, { language: 'en' })
    for (const name of ['{refund} {name}', '100 % \\1 {', `${'a'.repeat(58)} 🎵🎵`, '  \n ']) await notify(user, null, name)
    expect((await told(user)).items.map((one: any) => one.message).reverse()).toEqual(
      ['“{refund} {name}”', '“100 % \\1 {”', `“${'a'.repeat(58)}…”`, '“Untitled”'].map((name) => `${name} is saved and yours.`))
    await expect(sql('select reprise.notify_all($1)', [JSON.stringify([{ userId: user.id, occasion: 'of nothing', about: {} }])])).rejects.toThrow('nobody knows how to tell of of nothing')
  })

  it('every occasion has its words in every language, with the same places', async () => {
    const rows = await sql('select occasion, kind, language, title, message from reprise.sayings()')
    for (const [occasion, its] of Map.groupBy(rows, (row) => row.occasion)) {
      expect([occasion, its.map(({ language }) => language).sort()]).toEqual([occasion, ['en', 'fr', 'ru']])
      expect([occasion, new Set(its.map(({ kind }) => kind)).size]).toEqual([occasion, 1])
      const places = new Set(its.map(({ message }) => (message.match(/\{\w+\}/g) ?? []).sort().join()))
      expect([occasion, places.size]).toEqual([occasion, 1])
    }
    expect([...new Set(rows.map(({ kind }) => kind))].sort()).toEqual(Object.keys(ALL_ON).sort())
  })

  it('what is switched off is not told', async () => {
    const user = await somebody()
    await set(user, { kinds: { ...ALL_ON, done: false, started: false } })
    await make(user)
    expect((await told(user)).items).toEqual([])
  })

  it('the same notice is written once, also by two at once; without a key each time', async () => {
    const user = await somebody()
    const written = await Promise.all([notify(user, 'one'), notify(user, 'one'), notify(user, 'one')])
    expect(written.flat().map((row) => row.written).sort()).toEqual([0, 0, 1])
    await notify(user, null)
    await notify(user, null)
    expect((await told(user)).unread).toBe(3)
  })

  describe('few tokens left', () => {
    const low = async (user: TestUser) => (await told(user)).items.filter((one: any) => one.kind === 'balance_low').map((one: any) => one.message)

    it('are told when they are spent, once until there are more again', async () => {
      const user = await somebody(25)
      await make(user)
      expect(await low(user)).toEqual(['Осталось токенов: 15. Пополните баланс, чтобы продолжать.'])
      await make(user)
      expect(await low(user)).toHaveLength(1)
      await reprise.user(`told ${names - 1}`, 20)
      expect(await low(user)).toHaveLength(1)
      await make(user)
      expect(await low(user)).toHaveLength(2)
    })

    it('are not told for what comes back: tries that fail, one after the other', async () => {
      const user = await somebody(25)
      for (let n = 0; n < 3; n++) expect((await make(user, { prompt: `[[fault:sensitive]] ${n}` })).state).toBe('failed')
      expect(await low(user)).toEqual([])
    })

    it('are told to who never had more, with the first that is spent', async () => {
      const user = await somebody(12)
      expect(await low(user)).toEqual([])
      await set(user, { language: 'fr' })
      await make(user)
      expect(await low(user)).toEqual(['Jetons restants : 2. Rechargez pour continuer.'])
    })

    it('are not told to who does not want it, by the mark or by the kind; a raised mark is told of when something is spent', async () => {
      const [never, off, raised] = [await somebody(25), await somebody(25), await somebody(35)]
      await set(never, { lowBalance: 0 })
      await set(off, { kinds: { ...ALL_ON, balance_low: false } })
      for (const user of [never, off, raised]) await make(user)
      expect([await low(never), await low(off), await low(raised)]).toEqual([[], [], []])
      await set(raised, { lowBalance: 100 })
      expect(await low(raised)).toEqual([])
      await make(raised)
      expect(await low(raised)).toEqual(['Осталось токенов: 15. Пополните баланс, чтобы продолжать.'])
    })
  })

  it('pages go on where they ended, also when many were written at once; unread alone on request', async () => {
    const user = await somebody()
    await sql(`select reprise.notify_all((select jsonb_agg(jsonb_build_object('userId', $1::text, 'occasion', 'done', 'key', n::text, 'about', '{"name":"n"}'::jsonb)) from generate_series(1, 25) n))`, [user.id])
    const ids: string[] = []
    for (let cursor = ''; ;) {
      const page = await told(user, `?limit=10${cursor}`)
      ids.push(...page.items.map((one: any) => one.id))
      expect(page.unread).toBe(25)
      if (!page.nextCursor) break
      cursor = `&cursor=${page.nextCursor}`
    }
    expect(new Set(ids).size).toBe(25)
    const read = await reprise.call('POST', '/api/notifications/read', { token: user.token, body: { ids: ids.slice(0, 5) } })
    expect(read.body).toEqual({ unread: 20 })
    const left = await told(user, '?limit=100&unread=true')
    expect(left.items.map((one: any) => one.id).sort()).toEqual(ids.slice(5).sort())
    expect((await reprise.call('POST', '/api/notifications/read', { token: user.token, body: { all: true } })).body).toEqual({ unread: 0 })
  })

  it('nobody reads or marks what was told to somebody else', async () => {
    const [owner, stranger] = [await somebody(), await somebody()]
    await notify(owner, 'mine')
    const [{ id }] = (await told(owner)).items
    expect((await told(stranger)).items).toEqual([])
    expect((await reprise.call('POST', '/api/notifications/read', { token: stranger.token, body: { ids: [id] } })).status).toBe(200)
    expect((await told(owner)).unread).toBe(1)
  })

  it('settings are kept as they were set; what makes no sense is refused', async () => {
    const user = await somebody()
    const read = async () => (await reprise.call('GET', '/api/notification-settings', { token: user.token })).body
    expect(await read()).toEqual({ kinds: { ...ALL_ON, started: false }, language: null, lowBalance: 20 })
    const wanted = { kinds: { ...ALL_ON, balance_low: false }, language: 'fr', lowBalance: 7 }
    expect((await set(user, wanted)).body).toEqual(wanted)
    expect(await read()).toEqual(wanted)
    for (const wrong of [{ lowBalance: -1 }, { language: 'de' }, { kinds: {} }, { kinds: { ...ALL_ON, other: true } }]) {
      expect((await set(user, wrong)).status).toBe(422)
    }
    expect(await read()).toEqual(wanted)
  })

  it('a new notice is told to the open page of its user, and to no other; a page that was away hears it on resuming', async () => {
    const [user, other] = [await somebody(), await somebody()]
    const [mine, theirs] = await Promise.all([follow(user), follow(other)])
    await notify(user, 'live')
    const { data, id } = await mine.until('notice')
    expect(data).toEqual({ type: 'notice', noticeId: (await told(user)).items[0].id, kind: 'done', at: expect.any(String) })
    await notify(user, 'later')
    await notify(other, 'theirs')
    expect((await theirs.until('notice')).data.noticeId).toBe((await told(other)).items[0].id)
    mine.close()
    const again = await follow(user, id)
    expect((await again.until('notice')).data.noticeId).toBe((await told(user)).items[0].id)
    again.close()
    theirs.close()
  })

  async function follow(user: TestUser, lastEventId?: string) {
    const leaving = new AbortController()
    const response = await fetch(`${reprise.url}/api/events`, {
      signal: leaving.signal, headers: { authorization: `Bearer ${user.token}`, ...(lastEventId ? { 'last-event-id': lastEventId } : {}) },
    })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    return {
      async until(event: string): Promise<{ id: string; data: any }> {
        for (;;) {
          for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
            const lines = Object.fromEntries(text.slice(0, end).split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]))
            text = text.slice(end + 2)
            if (lines.event === event) return { id: lines.id!, data: JSON.parse(lines.data!) }
          }
          const { done, value } = await reader.read()
          if (done) throw new Error('the stream ended')
          text += value
        }
      },
      close: () => leaving.abort(),
    }
  }
})

describe('notices of image jobs', () => {
  let shop: Awaited<ReturnType<typeof startPictureShop>>
  beforeAll(async () => {
    shop = await startPictureShop()
    await shop.reprise.call('PUT', '/api/notification-settings', { token: shop.user.token, body: { kinds: ALL_ON, language: 'en', lowBalance: 0 } })
  })
  afterAll(() => shop.close())

  async function made(productName: string, selectedCards: number[]) {
    const { body } = await shop.create(shop.bodyOf({ productName, selectedCards }))
    await expect.poll(async () => (await shop.notices(body.jobId)).length, { timeout: 15_000 }).toBe(2)
    return shop.notices(body.jobId)
  }

  it('a job is told as one thing: that it began and how it ended, with the tokens that came back', async () => {
    const refusal = { status: 400, json: { error: 'no' } }
    const started = { kind: 'started', type: 'info', title: 'Under way', message: 'The pictures of “Lamp” are being made.' }
    expect(await made('Lamp', [0, 1])).toMatchObject([{ kind: 'done', type: 'success', title: 'Ready', message: 'All pictures of “Lamp” are saved (2).' }, started])
    shop.provider.next(refusal)
    expect(await made('Lamp', [0, 1, 2])).toMatchObject([
      { kind: 'partly_done', type: 'warning', title: 'Partly ready', message: '“Lamp”: 2 of 3 are ready, the others could not be made. Tokens returned: 1.' }, started,
    ])
    shop.provider.next(refusal)
    expect(await made('Lamp', [3])).toMatchObject([{ kind: 'failed', type: 'error', title: 'It did not work', message: '“Lamp”: it could not be made. Tokens returned: 1.' }, started])
    expect((await shop.reprise.call('GET', '/api/notifications?limit=100', { token: shop.user.token })).body.items).toHaveLength(6)
  })
})
