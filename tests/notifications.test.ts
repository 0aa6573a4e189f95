import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createProviderFetch } from '../server/src/providers/provider-fetch.ts'
import { createSyncBytes, startSyncBytes } from '../server/src/providers/testing/sync-bytes.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

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

  it('few tokens are told once for each time that they fall below the mark, in the transaction that took them', async () => {
    const user = await somebody(25)
    const low = async () => (await told(user)).items.filter((one: any) => one.kind === 'balance_low')
    await make(user)
    expect((await low()).map((one: any) => one.message)).toEqual(['Осталось токенов: 15. Пополните баланс, чтобы продолжать.'])
    await make(user)
    expect(await low()).toHaveLength(1)
    await reprise.user(`told ${names - 1}`, 20)
    await make(user)
    expect(await low()).toHaveLength(2)
    const never = await somebody(25)
    await set(never, { lowBalance: 0 })
    await make(never)
    expect((await told(never)).items.filter((one: any) => one.kind === 'balance_low')).toEqual([])
    // A request that is refused takes nothing and tells nothing.
    const poor = await somebody(25)
    await sql(`update reprise.wallets set low_at = 25 where user_id = $1`, [poor.id])
    await reprise.call('POST', '/api/generations', { token: poor.token, body: { ...song, provider: 'nobody' } })
    expect((await told(poor)).unread).toBe(0)
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
  let reprise: Harness
  let provider: Awaited<ReturnType<typeof startSyncBytes>>
  let user: TestUser
  let photo: string
  const http = createProviderFetch()
  const refusal = { status: 400, json: { error: 'no' } }

  beforeAll(async () => {
    provider = await startSyncBytes()
    reprise = await startHarness({
      sunoKey: null, imageProvider: 'sync-bytes', providers: [createSyncBytes({ apiKey: 'a-key', baseUrl: provider.url, fetch: http.fetch, timeScale: 1 / 200 })],
      providerBases: { 'sync-bytes': provider.url },
    })
    user = await reprise.user('who sells lamps')
    await reprise.call('PUT', '/api/notification-settings', { token: user.token, body: { kinds: ALL_ON, language: 'en', lowBalance: 0 } })
    const bytes = await sharp({ create: { width: 60, height: 80, channels: 3, background: '#a33' } }).png().toBuffer()
    provider.usually({ json: { mime: 'image/png', base64: bytes.toString('base64') } })
    const uploaded = await fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { authorization: `Bearer ${user.token}`, 'content-type': 'image/png' }, body: bytes as BodyInit })
    photo = ((await uploaded.json()) as { url: string }).url
  })
  afterAll(async () => {
    await reprise.close()
    await Promise.all([provider.close(), http.close()])
  })

  async function made(productName: string, selectedCards: number[]) {
    const { body } = await reprise.call('POST', '/functions/v1/create-generation-job-banana', {
      token: user.token, body: { productName, productImages: [{ url: photo, name: 'lamp.png', type: 'product' }], selectedCards },
    })
    const told = async () => (await reprise.call('GET', '/api/notifications', { token: user.token })).body.items.filter((one: any) => one.link === `/images/${body.jobId}`)
    await expect.poll(async () => (await told()).length, { timeout: 15_000 }).toBe(2)
    return told()
  }

  it('a job is told as one thing: that it began and how it ended, with the tokens that came back', async () => {
    const started = { kind: 'started', type: 'info', title: 'Under way', message: 'The pictures of “Lamp” are being made.' }
    expect(await made('Lamp', [0, 1])).toMatchObject([{ kind: 'done', type: 'success', title: 'Ready', message: 'All pictures of “Lamp” are saved (2).' }, started])
    provider.next(refusal)
    expect(await made('Lamp', [0, 1, 2])).toMatchObject([
      { kind: 'partly_done', type: 'warning', title: 'Partly ready', message: '“Lamp”: 2 of 3 are ready, the others could not be made. Tokens returned: 1.' }, started,
    ])
    provider.next(refusal)
    expect(await made('Lamp', [3])).toMatchObject([{ kind: 'failed', type: 'error', title: 'It did not work', message: '“Lamp”: it could not be made. Tokens returned: 1.' }, started])
    expect((await reprise.call('GET', '/api/notifications?limit=100', { token: user.token })).body.items).toHaveLength(6)
  })
})
