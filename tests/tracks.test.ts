import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../server/src/kernel/clock.ts'
import { startHarness, type Harness, type TestUser } from './harness.ts'

const ORIGIN = 'https://app.example'

async function ask(reprise: Harness, user: TestUser, prompt: string): Promise<string> {
  const asked = await reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt } })
  expect(asked.status, JSON.stringify(asked.body)).toBe(202)
  return asked.body.id
}
const make = async (reprise: Harness, user: TestUser, prompt: string) => reprise.settled(await ask(reprise, user, prompt), user)
const read = async (reprise: Harness, user: TestUser, path: string) => (await reprise.call('GET', path, { token: user.token })).body
const balance = (reprise: Harness, user: TestUser) => read(reprise, user, '/api/balance')
const booksAgree = async (reprise: Harness) => expect((await reprise.database.db.query('select * from reprise.ledger_violations')).rows).toEqual([])

describe('tracks and their files', () => {
  let reprise: Harness
  let user: TestUser
  let song: any
  let track: any
  let bytes: Buffer

  beforeAll(async () => {
    reprise = await startHarness()
    user = await reprise.user('collector', 10_000)
    song = await make(reprise, user, 'a song to keep')
    track = song.tracks[0]
    bytes = Buffer.from(await (await fetch(track.audioUrl)).arrayBuffer())
  })
  afterEach(() => booksAgree(reprise))
  afterAll(() => reprise.close())

  const get = (url: string, headers: Record<string, string> = {}, method = 'GET') =>
    fetch(new URL(url, reprise.url), { method, headers: { authorization: `Bearer ${user.token}`, ...headers } })
  const addresses = (): [string, string][] => [['the public address', track.audioUrl], ['the API', `/api/tracks/${track.id}/audio`]]

  it('the two variants are two tracks of one generation, each with its own file', async () => {
    const { items } = await read(reprise, user, '/api/tracks')
    expect(items.map((item: any) => [item.generationId, item.variant]).sort()).toEqual([[song.id, 1], [song.id, 2]])
    for (const field of ['id', 'sha256', 'audioUrl']) expect(new Set(items.map((item: any) => item[field])).size, field).toBe(2)
    const { rows } = await reprise.database.db.query('select storage_audio_url from public.tracks where generation_id = $1', [song.id])
    expect(new Set(rows.map((row) => row.storage_audio_url)).size).toBe(2)
  })

  it.each([
    ['bytes=0-99', 0, 100], ['bytes=100-199', 100, 200], ['bytes=-50', -50, undefined], ['bytes=10-', 10, undefined], ['bytes=0-99999999', 0, undefined], ['bytes=-99999999', 0, undefined],
  ])('Range %s: exactly this part', async (range, start, end) => {
    for (const [name, url] of addresses()) {
      const response = await get(url, { range })
      const part = bytes.subarray(start, end)
      const first = start < 0 ? bytes.length + start : start
      expect(response.status, name).toBe(206)
      expect(response.headers.get('content-range')).toBe(`bytes ${first}-${first + part.length - 1}/${bytes.length}`)
      expect(response.headers.get('content-length')).toBe(String(part.length))
      expect(part.equals(Buffer.from(await response.arrayBuffer()))).toBe(true)
    }
  })

  it('a range behind the end: 416 with the size', async () => {
    for (const [, url] of addresses()) {
      const response = await get(url, { range: `bytes=${bytes.length}-` })
      expect([response.status, response.headers.get('content-range')]).toEqual([416, `bytes */${bytes.length}`])
    }
  })

  it('HEAD tells all headers and sends nothing', async () => {
    for (const [name, url] of addresses()) {
      const response = await get(url, {}, 'HEAD')
      expect(response.status, name).toBe(200)
      expect(response.headers.get('content-length')).toBe(String(bytes.length))
      expect(response.headers.get('content-type')).toBe('audio/mpeg')
      expect(response.headers.get('accept-ranges')).toBe('bytes')
      expect(response.headers.get('etag')).toBe(`"${track.sha256}"`)
      expect((await response.arrayBuffer()).byteLength).toBe(0)
    }
  })

  it('what the client has already is not sent again; If-Range joins only the same file', async () => {
    for (const [, url] of addresses()) {
      expect((await get(url, { 'if-none-match': `"${track.sha256}"` })).status).toBe(304)
      expect((await get(url, { 'if-none-match': '"another"' })).status).toBe(200)
      expect((await get(url, { range: 'bytes=5-9', 'if-range': `"${track.sha256}"` })).status).toBe(206)
      const changed = await get(url, { range: 'bytes=5-9', 'if-range': '"another"' })
      expect([changed.status, (await changed.arrayBuffer()).byteLength]).toEqual([200, bytes.length])
    }
  })

  it('the download has the name of the song, whatever is in it', async () => {
    await reprise.database.db.query(`update public.tracks set title = $2 where id = $1`, [track.id, 'Вальс "дождя"\r\nset-cookie: x/..'])
    const response = await get(`/api/tracks/${track.id}/audio?download=1`)
    const disposition = response.headers.get('content-disposition')!
    expect(disposition).toMatch(/^attachment; filename="[\x20-\x7e]+\.mp3"; filename\*=UTF-8''%D0%92/)
    expect(response.headers.get('set-cookie')).toBeNull()
    expect(decodeURIComponent(disposition.split("UTF-8''")[1]!)).toBe('Вальс "дождя"__set-cookie: x_...mp3')
    expect((await get(`/api/tracks/${track.id}/audio`)).headers.get('content-disposition')).toBeNull()
  })

  it('a page of another origin may play it: CORS, ranges, and a year of caching', async () => {
    const response = await fetch(track.audioUrl, { headers: { origin: ORIGIN, range: 'bytes=0-9' } })
    expect(response.status).toBe(206)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-expose-headers')).toMatch(/content-range/)
    expect(response.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(new URL(track.audioUrl).searchParams.get('v')).toBe(track.sha256.slice(0, 8))
    const preflight = await fetch(track.audioUrl, { method: 'OPTIONS', headers: { origin: ORIGIN, 'access-control-request-method': 'GET', 'access-control-request-headers': 'range' } })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')).toMatch(/\brange\b/)
  })

  it('a deleted track is gone from everywhere, its address too, and its variant stays', async () => {
    const [gone, stays] = (await make(reprise, user, 'a song to delete')).tracks
    expect((await reprise.call('DELETE', `/api/tracks/${gone.id}`, { token: user.token })).status).toBe(204)
    for (const path of [`/api/tracks/${gone.id}`, `/api/tracks/${gone.id}/audio`]) expect((await get(path)).status).toBe(404)
    expect((await reprise.call('DELETE', `/api/tracks/${gone.id}`, { token: user.token })).status).toBe(404)
    expect((await fetch(gone.audioUrl)).status).toBe(404)
    const ids = (await read(reprise, user, '/api/tracks?limit=100')).items.map((item: any) => item.id)
    expect([ids.includes(gone.id), ids.includes(stays.id)]).toEqual([false, true])
    const generation = await read(reprise, user, `/api/generations/${gone.generationId}`)
    expect(generation.tracks.map((item: any) => item.id)).toEqual([stays.id])
    expect(generation.receipt).toMatchObject({ captured: 10, released: 0 })
    expect((await fetch(stays.audioUrl)).status).toBe(200)
  })

  it('nothing brings a deleted track back: not what arrives later, not a re-check, not a re-download', async () => {
    reprise.simulator.control.addFault({ fault: 'file-404', match: 'half of it later', variant: 1, times: 1 })
    const id = await ask(reprise, user, 'half of it later')
    const [gone] = (await reprise.settled(id, user, (one) => one.tracks.length === 1)).tracks
    await reprise.call('DELETE', `/api/tracks/${gone.id}`, { token: user.token })
    const done = await reprise.settled(id, user)
    for (const deed of ['recheck', 'redownload']) await reprise.call('POST', `/api/generations/${id}/${deed}`, { token: user.token })
    await reprise.settled(id, user, (one) => one.tracks.every((item: any) => item.coverUrl))
    const later = await read(reprise, user, `/api/generations/${id}`)
    for (const one of [done, later]) expect(one).toMatchObject({ state: 'complete', missing: 0, receipt: { captured: 10 } })
    expect(later.tracks.map((item: any) => item.id)).not.toContain(gone.id)
    expect(later.tracks).toHaveLength(1)
    expect((await get(`/api/tracks/${gone.id}`)).status).toBe(404)
  })

  it('re-checking and re-downloading what is complete changes nothing and costs nothing', async () => {
    const before = await balance(reprise, user)
    for (const deed of ['recheck', 'redownload']) {
      expect(await reprise.call('POST', `/api/generations/${song.id}/${deed}`, { token: user.token })).toMatchObject({ status: 200, body: { state: 'complete', missing: 0 } })
    }
    expect((await reprise.call('POST', `/api/tracks/${track.id}/retry-download`, { token: user.token })).status).toBe(200)
    expect(await balance(reprise, user)).toEqual(before)
    expect((await read(reprise, user, `/api/generations/${song.id}`)).tracks.map((item: any) => item.sha256)).toEqual(song.tracks.map((item: any) => item.sha256))
  })

  it('re-generating is a new generation at its price that says where it comes from', async () => {
    const before = await balance(reprise, user)
    const asked = await reprise.call('POST', `/api/generations/${song.id}/regenerate`, { token: user.token })
    expect(asked).toMatchObject({ status: 202, body: { cost: 10, state: 'queued' } })
    const again = await reprise.settled(asked.body.id, user)
    expect(again).toMatchObject({ state: 'complete', regeneratedFrom: song.id, prompt: song.prompt, request: song.request })
    expect(again.tracks.map((item: any) => item.id)).not.toContain(track.id)
    expect((await balance(reprise, user)).available).toBe(before.available - 10)
  })

  it('files that could not be fetched: failed and given back; a re-download later adds them and charges nothing', async () => {
    const before = await balance(reprise, user)
    reprise.simulator.control.addFault({ fault: 'file-redirect-private', match: 'behind a wall' })
    const failed = await make(reprise, user, 'behind a wall')
    expect(failed).toMatchObject({ state: 'failed', missing: 2, error: { code: 'unsafe_url', charged: false }, receipt: { captured: 0, released: 10 } })
    reprise.simulator.control.clearFaults()
    expect((await reprise.call('POST', `/api/generations/${failed.id}/redownload`, { token: user.token })).status).toBe(200)
    const later = await reprise.settled(failed.id, user, (one) => one.tracks.length === 2)
    expect(later).toMatchObject({ state: 'failed', missing: 0, error: { code: 'unsafe_url' }, receipt: { captured: 0, released: 10, held: 0 } })
    expect(later.arrivedLateAt).not.toBeNull()
    expect(await balance(reprise, user)).toEqual(before)
  })
})

describe('how a request can end', () => {
  let reprise: Harness
  let user: TestUser
  /** Only grows, so that a test that is tried again finds its time still to come. */
  let offset = 0
  beforeAll(async () => {
    reprise = await startHarness({ graceSec: 1 })
    user = await reprise.user('patient', 10_000)
  })
  afterEach(() => booksAgree(reprise))
  afterAll(() => reprise.close())

  /** What a request of this prompt did to the balance, and how it ended. */
  async function outcome(prompt: string): Promise<{ end: any; spent: number }> {
    const before = await balance(reprise, user)
    const end = await make(reprise, user, prompt)
    const after = await balance(reprise, user)
    expect(after.held).toBe(before.held)
    return { end, spent: before.available - after.available }
  }

  it('the answer to the submit is lost, and callbacks were never seen: failed after the grace, nothing spent, not asked twice', async () => {
    const { end, spent } = await outcome('[[fault:submit-drop]][[fault:callback-never]] never heard of')
    expect(end).toMatchObject({ state: 'failed', error: { code: 'submit_unknown', retryable: true, charged: false }, receipt: { released: 10 } })
    expect(end.attempts).toHaveLength(1)
    expect(spent).toBe(0)
    expect(reprise.simulator.control.tasks().filter((task) => task.prompt.includes('never heard of'))).toHaveLength(1)
  })

  it('the answer to the submit is lost, and a callback names the task: adopted, one attempt, paid once', async () => {
    const { end, spent } = await outcome('[[fault:submit-drop]] adopted')
    expect(end).toMatchObject({ state: 'complete', missing: 0 })
    expect(end.attempts).toHaveLength(1)
    expect(end.tracks).toHaveLength(2)
    expect(spent).toBe(10)
    expect(reprise.simulator.control.tasks().filter((task) => task.prompt.includes('adopted'))).toHaveLength(1)
  })

  it('the answer is lost and no callback comes though callbacks do arrive: a new attempt, and it is on record', async () => {
    const { end, spent } = await outcome('[[fault:submit-drop-before:1]] asked again')
    expect(end).toMatchObject({ state: 'complete', missing: 0 })
    expect(end.attempts.map((attempt: any) => attempt.number)).toEqual([1, 2])
    expect(end.attempts[1].state).toBe('succeeded')
    expect(spent).toBe(10)
    const { items } = await read(reprise, user, `/api/generations/${end.id}/events?limit=100`)
    expect(items.map((item: any) => item.type)).toContain('resubmit')
  })

  it('too fast for the provider: sent again, one generation, paid once', async () => {
    const before = await balance(reprise, user)
    const id = await ask(reprise, user, '[[fault:code-405:1]] too fast')
    await reprise.settled(id, user, (one) => one.attempts[0]?.state === 'rejected')
    // The account is left alone for ten seconds.
    await reprise.wired.db.setClockOffset((offset += 12_000))
    const end = await reprise.settled(id, user)
    expect(end).toMatchObject({ state: 'complete', missing: 0 })
    expect(end.attempts.map((attempt: any) => [attempt.state, attempt.errorCode])).toEqual([['rejected', 'rate_limited'], ['succeeded', null]])
    expect((await balance(reprise, user)).available).toBe(before.available - 10)
  })

  it('words that the provider does not sing: failed and said so, nothing spent', async () => {
    const { end, spent } = await outcome('[[fault:sensitive]] rude')
    expect(end).toMatchObject({ state: 'failed', error: { code: 'content_policy', retryable: false, charged: false } })
    expect(end.error.message).not.toMatch(/Please modify it/)
    expect(spent).toBe(0)
  })

  it('one song instead of two: complete, one missing, half the price', async () => {
    const { end, spent } = await outcome('[[fault:one-song]] a single')
    expect(end).toMatchObject({ state: 'complete', missing: 1, receipt: { captured: 5, released: 5 } })
    expect(end.tracks).toHaveLength(1)
    expect(spent).toBe(5)
  })

  it('the provider’s words and payloads are shown to operators only', async () => {
    const { end } = await outcome('[[fault:audio-failed]] broken')
    const events = JSON.stringify(await read(reprise, user, `/api/generations/${end.id}/events?limit=100`))
    expect(end).toMatchObject({ state: 'failed', error: { code: 'provider_failed' } })
    expect(events + JSON.stringify(end)).not.toMatch(/Internal Error, Please try again later/)
  })

  it('cancelled after it was sent: what arrives is kept and paid, what does not is given back at the deadline', async () => {
    // Of a user of its own, since what is set aside here comes back only with the moved clock.
    const user = await reprise.user(`who cancels ${Date.now()}`)
    const before = await balance(reprise, user)
    const id = await ask(reprise, user, '[[fault:unknown-status=BUSY]][[fault:late=600]][[fault:one-song]] cancelled in the middle')
    await reprise.settled(id, user, (one) => one.providerTaskId !== null)
    expect(await reprise.call('POST', `/api/generations/${id}/cancel`, { token: user.token })).toMatchObject({ status: 200, body: { state: 'cancelled', receipt: { held: 10 } } })
    expect(await reprise.call('POST', `/api/generations/${id}/cancel`, { token: user.token })).toMatchObject({ status: 409, body: { code: 'conflict' } })
    reprise.simulator.control.advance(600_000)
    const arrived = await reprise.settled(id, user, (one) => one.tracks.length === 1 && one.receipt.captured > 0)
    expect(arrived).toMatchObject({ state: 'cancelled', receipt: { captured: 5, held: 5, released: 0 } })
    await reprise.wired.db.setClockOffset((offset += 100_000))
    const over = await reprise.settled(id, user, (one) => one.receipt.held === 0)
    expect(over).toMatchObject({ state: 'cancelled', receipt: { captured: 5, released: 5 }, error: { code: 'cancelled', charged: true } })
    expect((await balance(reprise, user)).available).toBe(before.available - 5)
  })

  it('timed out and then it arrives: the files are added, the state and the tokens stay', async () => {
    const before = await balance(reprise, user)
    // Nothing is heard of it until the deadline, whatever the machine's speed.
    reprise.simulator.control.addFault({ fault: 'poll-http-500', match: 'late bird' })
    const id = await ask(reprise, user, '[[fault:callback-never]] late bird')
    await reprise.settled(id, user, (one) => one.providerTaskId !== null)
    await reprise.wired.db.setClockOffset((offset += 100_000))
    const timedOut = await reprise.settled(id, user)
    expect(timedOut).toMatchObject({ state: 'timed_out', arrivedLateAt: null, error: { code: 'deadline_exceeded', charged: false }, receipt: { released: 10 } })
    expect(await balance(reprise, user)).toEqual(before)
    await reprise.simulator.control.clearFaults()
    await reprise.call('POST', `/api/generations/${id}/recheck`, { token: user.token })
    const late = await reprise.settled(id, user, (one) => one.tracks.length === 2)
    expect(late).toMatchObject({ state: 'timed_out', missing: 0, error: { code: 'deadline_exceeded' }, receipt: { captured: 0, held: 0, released: 10 } })
    expect(late.arrivedLateAt).not.toBeNull()
    for (const one of late.tracks) expect((await fetch(one.audioUrl)).status).toBe(200)
    expect(await balance(reprise, user)).toEqual(before)
  })

  it('out of credits there: failed and given back; the next request is told at the door', async () => {
    const { end, spent } = await outcome('[[fault:code-429]] broke')
    expect(end).toMatchObject({ state: 'failed', error: { code: 'no_credits', charged: false }, receipt: { released: 10 } })
    expect(spent).toBe(0)
    const before = await balance(reprise, user)
    const another = () => reprise.call('POST', '/api/generations', { token: user.token, body: { provider: 'suno', kind: 'song', prompt: '[[fault:code-429]] still broke' } })
    let next = await another()
    // What the door knows of the account may be a few seconds old; what it lets in until then waits unsent.
    for (const end = Date.now() + 15_000; next.status === 202 && Date.now() < end; next = await another()) {
      expect((await reprise.call('POST', `/api/generations/${next.body.id}/cancel`, { token: user.token })).body.receipt.released).toBe(10)
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
    expect(next).toMatchObject({ status: 503, body: { code: 'no_credits', charged: false } })
    expect(next.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(await balance(reprise, user)).toEqual(before)
  })
})

describe('cancelled before anything was sent', () => {
  it('costs nothing, and nothing is sent any more', async () => {
    const reprise = await startHarness({ workers: false })
    try {
      const user = await reprise.user('hesitant', 10)
      const id = await ask(reprise, user, 'perhaps')
      expect(await balance(reprise, user)).toEqual({ available: 0, held: 10 })
      expect(await reprise.call('POST', `/api/generations/${id}/cancel`, { token: user.token }))
        .toMatchObject({ status: 200, body: { state: 'cancelled', attempts: [], error: { code: 'cancelled', charged: false }, receipt: { held: 0, captured: 0, released: 10 } } })
      expect(await balance(reprise, user)).toEqual({ available: 10, held: 0 })
      await reprise.wired.startWorkers()
      // Another request goes its whole way, so the dispatcher had its turn.
      await make(reprise, user, 'surely')
      expect(reprise.simulator.control.tasks().map((task) => task.prompt)).toEqual(['surely'])
      await booksAgree(reprise)
    } finally {
      await reprise.close()
    }
  })
})

describe('with PUBLIC_MEDIA=off', () => {
  let reprise: Harness
  let owner: TestUser
  let stranger: TestUser
  let track: any
  let offset = 0
  beforeAll(async () => {
    reprise = await startHarness({ publicMedia: false, clock: { now: () => systemClock.now() + offset } })
    owner = await reprise.user('owner')
    stranger = await reprise.user('stranger')
    track = (await make(reprise, owner, 'a private song')).tracks[0]
  })
  afterAll(() => reprise.close())

  const publicAddress = () => track.audioUrl.replace('/object/sign/', '/object/public/').split('?')[0]
  const status = async (url: string, token?: string) => (await fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {} })).status

  it('the address that is given out is signed, and a plain player can open it', async () => {
    expect(track.audioUrl).toMatch(/\/storage\/v1\/object\/sign\/tracks-audio\/.+\?expires=\d+&signature=/)
    const response = await fetch(track.audioUrl, { headers: { range: 'bytes=0-9', origin: ORIGIN } })
    expect(response.status).toBe(206)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('cache-control')).toMatch(/^private/)
  })

  it('the public address answers to its owner and operators only; others hear what they hear of nothing', async () => {
    expect(await status(publicAddress())).toBe(404)
    expect(await status(publicAddress(), stranger.token)).toBe(404)
    expect(await status(publicAddress(), owner.token)).toBe(200)
    expect(await status(publicAddress(), 'service-role-key-of-the-test-suite-0123456789')).toBe(200)
    const response = await fetch(publicAddress(), { headers: { authorization: `Bearer ${owner.token}` } })
    expect(response.headers.get('cache-control')).toMatch(/^private/)
  })

  it('a signature opens its own file until its own time, and nothing else', async () => {
    const url = new URL(track.audioUrl)
    const changed = (change: (url: URL) => void) => {
      const other = new URL(url)
      change(other)
      return status(other.href)
    }
    expect(await changed((one) => one.searchParams.set('expires', String(Number(one.searchParams.get('expires')) + 3_600)))).toBe(404)
    expect(await changed((one) => one.searchParams.set('signature', one.searchParams.get('signature')!.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A'))))).toBe(404)
    expect(await changed((one) => one.searchParams.delete('signature'))).toBe(404)
    expect(await changed((one) => (one.search = ''))).toBe(404)
    const other = (await read(reprise, owner, '/api/tracks')).items.find((item: any) => item.id !== track.id)
    expect(await changed((one) => (one.pathname = new URL(other.audioUrl).pathname))).toBe(404)
    expect(await changed((one) => (one.pathname = one.pathname.replace('tracks-audio', 'tracks-covers')))).toBe(404)
  })

  it('an expired address is gone, and asking again gives a new one', async () => {
    offset = 5_500_000
    const response = await fetch(track.audioUrl)
    expect([response.status, (await response.json() as any).code]).toEqual([410, 'gone'])
    offset = 3_500_000 // the test's tokens are good for an hour
    const again = await read(reprise, owner, `/api/tracks/${track.id}`)
    expect(await status(again.audioUrl)).toBe(200)
  })
})
