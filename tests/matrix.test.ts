import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signToken } from '../server/src/http-kit/testing.ts'
import { systemClock } from '../server/src/kernel/clock.ts'
import { stableUuid } from '../server/src/kernel/ids.ts'
import { JWT_SECRET, SERVICE_KEY, startHarness, type Harness } from './harness.ts'

const ROLES = ['nobody', 'garbage', 'forged', 'stranger', 'owner', 'operator', 'service'] as const
type Role = (typeof ROLES)[number]

/** What is asked about; made afresh for each role, so that one role's deed does not spoil the next one's. */
interface Things {
  generation: string
  openGeneration: string
  track: string
  channel: string
  job: string
  file: string
  /** Of Mureka, with its first song's address. */
  mureka: string
  murekaUrl: string
  /** A job of product pictures that has ended, and the photo that it was made of. */
  imageJob: string
  upload: string
}
interface Case {
  /** Status for each role, by one of the rules below. */
  expected: Record<Role, number>
  needs?: (keyof Things)[]
  path?: (things: Things) => string
  body?: unknown | ((things: Things) => unknown)
  headers?: (role: Role) => Record<string, string>
}

const everybody = (status: number) => Object.fromEntries(ROLES.map((role) => [role, status])) as Record<Role, number>
const UNKNOWN = { nobody: 401, garbage: 401, forged: 401 }
/** About the caller's own things. */
const mine = (status: number) => ({ ...everybody(status), ...UNKNOWN })
/** One thing of the owner's: a stranger learns nothing, operators see and mend everybody's. */
const owned = (status: number) => ({ ...mine(status), stranger: 404 })
/** One thing of the owner's that even operators leave alone: settings, and what would cost somebody tokens. */
const ownedOnly = (status: number) => ({ ...owned(status), operator: 404, service: 404 })
/** The seeds' functions: for the owner, and for the service role, which names nobody. */
const named = (status: number) => ({ ...owned(status), operator: 404 })
const operators = (status: number) => ({ ...mine(status), stranger: 403, owner: 403 })

const song = { provider: 'suno', kind: 'song', prompt: 'for the matrix' }
const channel = { name: 'of the matrix', musicClipsSettings: { sunoPrompt: 'a calm song' } }
const at = (pattern: string, thing: keyof Things, more: Partial<Case> = {}): Partial<Case> => ({
  needs: [thing], path: (things) => pattern.replace('{id}', things[thing]), ...more,
})

/** Every operation of the served document, and the addresses that are not in it. */
const CASES: Record<string, Case> = {
  'POST /api/session': { expected: everybody(401), body: { token: 'not-a-link' } },
  'GET /api/session': { expected: mine(200) },
  'DELETE /api/session': { expected: everybody(204) },
  'POST /api/generations': { expected: mine(202), body: song },
  'GET /api/generations': { expected: mine(200) },
  'GET /api/generations/{id}': { expected: owned(200), ...at('/api/generations/{id}', 'generation') },
  'GET /api/generations/{id}/events': { expected: owned(200), ...at('/api/generations/{id}/events', 'generation') },
  'POST /api/generations/{id}/cancel': { expected: owned(200), ...at('/api/generations/{id}/cancel', 'openGeneration') },
  'POST /api/generations/{id}/recheck': { expected: owned(200), ...at('/api/generations/{id}/recheck', 'generation') },
  'POST /api/generations/{id}/redownload': { expected: owned(200), ...at('/api/generations/{id}/redownload', 'generation') },
  'POST /api/generations/{id}/regenerate': { expected: ownedOnly(202), ...at('/api/generations/{id}/regenerate', 'generation') },
  'GET /api/tracks': { expected: mine(200) },
  'GET /api/tracks/{id}': { expected: owned(200), ...at('/api/tracks/{id}', 'track') },
  'GET /api/tracks/{id}/audio': { expected: owned(200), ...at('/api/tracks/{id}/audio', 'track') },
  'POST /api/tracks/{id}/retry-download': { expected: owned(200), ...at('/api/tracks/{id}/retry-download', 'track') },
  'DELETE /api/tracks/{id}': { expected: owned(204), ...at('/api/tracks/{id}', 'track') },
  'GET /api/balance': { expected: mine(200) },
  'GET /api/ledger': { expected: mine(200) },
  'GET /api/prices': { expected: everybody(200) },
  'POST /api/ledger/grants': { expected: operators(201), body: { userId: 'somebody', amount: 1, reason: 'test' } },
  // somebody who has nothing: who may ask is told that
  'POST /api/ledger/adjustments': { expected: operators(402), body: { userId: 'a pauper', amount: 1, reason: 'test' } },
  'GET /api/ledger/explorer': { expected: operators(200) },
  'GET /api/ledger/health': { expected: operators(200) },
  'POST /api/ledger/check': { expected: operators(200) },
  'GET /api/receipts/{generationId}': { expected: owned(200), ...at('/api/receipts/{id}', 'generation') },
  'PUT /api/prices/{kind}': { expected: operators(200), path: () => '/api/prices/video', body: { tokensPerResult: 10 } },
  'PUT /api/prices/{kind}/{provider}': { expected: operators(200), path: () => '/api/prices/song/suno', body: { tokensPerResult: 5 } },
  'PUT /api/prices/{kind}/{provider}/{model}': { expected: operators(200), path: () => '/api/prices/song/suno/V5', body: { tokensPerResult: 5 } },
  // a kind's only price stays
  'DELETE /api/prices/{kind}': { expected: operators(409), path: () => '/api/prices/video' },
  'DELETE /api/prices/{kind}/{provider}': { expected: operators(404), path: () => '/api/prices/song/unknown' },
  'DELETE /api/prices/{kind}/{provider}/{model}': { expected: operators(404), path: () => '/api/prices/song/unknown/m1' },
  'GET /api/price-changes': { expected: operators(200) },
  'GET /api/events': { expected: mine(200) },
  'GET /api/channels': { expected: mine(200) },
  'POST /api/channels': { expected: mine(201), body: channel },
  'GET /api/channels/{id}': { expected: ownedOnly(200), ...at('/api/channels/{id}', 'channel') },
  'PUT /api/channels/{id}': { expected: ownedOnly(200), ...at('/api/channels/{id}', 'channel'), body: channel },
  'PATCH /api/channels/{id}': { expected: ownedOnly(200), ...at('/api/channels/{id}', 'channel'), body: { name: 'another' } },
  'DELETE /api/channels/{id}': { expected: ownedOnly(204), ...at('/api/channels/{id}', 'channel') },
  'GET /api/notifications': { expected: mine(200) },
  'POST /api/notifications/read': { expected: mine(200), body: { all: true } },
  'GET /api/notification-settings': { expected: mine(200) },
  'PUT /api/notification-settings': {
    expected: mine(200), body: { kinds: { started: true, done: true, partly_done: true, failed: true, archive_failed: true, balance_low: true }, language: 'en', lowBalance: 0 },
  },
  'GET /api/info': { expected: everybody(200) },

  // Not in the document: the seeds' endpoints, files, and what machines ask.
  'POST /api/music-clips/channels/:channelId/runOnce': {
    expected: { ...owned(202), operator: 404 }, ...at('/api/music-clips/channels/{id}/runOnce', 'channel'),
    headers: (role): Record<string, string> => (role === 'service' ? { 'x-user-id': stableUuid('test user owner') } : {}),
  },
  'GET /api/music-clips/jobs/:jobId': { expected: owned(200), ...at('/api/music-clips/jobs/{id}', 'job') },
  'GET /api/archive': { expected: operators(200) },
  'POST /api/archive/{trackId}': { expected: operators(202), ...at('/api/archive/{id}', 'track') },
  'POST /functions/v1/archive-tracks': { expected: { ...operators(200), operator: 403 }, body: {} },
  'POST /functions/v1/cleanup-stale-jobs': { expected: { ...operators(200), operator: 403 }, body: {} },
  // the service role must say for whom
  'POST /functions/v1/generate-mureka-track': { expected: { ...mine(202), service: 400 }, body: { prompt: 'for the matrix' } },
  'POST /functions/v1/get-mureka-task-status': { expected: named(200), needs: ['mureka'], body: ({ mureka }: Things) => ({ generation_id: mureka }) },
  'POST /functions/v1/save-mureka-generation': { expected: named(200), needs: ['mureka'], body: ({ mureka }: Things) => ({ generationId: mureka, trackData: {} }) },
  'POST /functions/v1/download-and-save-track': {
    expected: named(200), needs: ['mureka'], body: ({ mureka, murekaUrl }: Things) => ({ generation_id: mureka, external_url: murekaUrl }),
  },
  'POST /functions/v1/create-generation-job-banana': { expected: mine(400), body: {} },
  'POST /functions/v1/process-generation-tasks-banana': { expected: named(202), needs: ['imageJob'], body: ({ imageJob }: Things) => ({ jobId: imageJob }) },
  'GET /api/image-jobs': { expected: mine(200) },
  'GET /api/image-jobs/{id}': { expected: owned(200), ...at('/api/image-jobs/{id}', 'imageJob') },
  'GET /api/image-jobs/{id}/zip': { expected: owned(200), ...at('/api/image-jobs/{id}/zip', 'imageJob') },
  // it did not fail: nothing to try again
  'POST /api/image-jobs/{id}/cards/{index}/retry': { expected: ownedOnly(409), ...at('/api/image-jobs/{id}/cards/0/retry', 'imageJob') },
  'POST /api/image-jobs/{id}/cards/{index}/regenerate': { expected: ownedOnly(202), ...at('/api/image-jobs/{id}/cards/0/regenerate', 'imageJob') },
  'POST /api/image-jobs/{id}/cards/{index}/edit': { expected: ownedOnly(202), ...at('/api/image-jobs/{id}/cards/0/edit', 'imageJob'), body: { instruction: 'make it blue' } },
  // without a picture
  'POST /api/uploads/images': { expected: mine(415) },
  'GET /api/uploads/images/:id': { expected: ownedOnly(200), ...at('/api/uploads/images/{id}', 'upload') },
  'POST /api/webhooks/replicate': { expected: everybody(200), body: { id: 'nobodyknows', status: 'succeeded' } },
  'POST /api/webhooks/suno/music': { expected: everybody(200), body: { code: 200, data: { callbackType: 'complete', task_id: 'nobody-knows' } } },
  'GET /storage/v1/object/public/:bucket/:path{.+}': { expected: everybody(200), ...at('{id}', 'file') },
  'GET /storage/v1/object/sign/:bucket/:path{.+}': { expected: everybody(404), needs: ['file'], path: ({ file }) => file.replace('/public/', '/sign/') },
  'GET /livez': { expected: everybody(200) },
  'GET /readyz': { expected: everybody(200) },
  'GET /api/export': { expected: mine(200) },
  'GET /api/fixity': { expected: operators(200) },
  'GET /metrics': { expected: operators(200) },
  'GET /openapi.json': { expected: everybody(200) },
  'GET /docs': { expected: everybody(200) },
}

describe('who may do what, for every route, role and owner', () => {
  let reprise: Harness
  let tokens: Record<Role, string | undefined>
  let served: string[]

  beforeAll(async () => {
    reprise = await startHarness({ mureka: true, google: true })
    const owner = await reprise.user('owner', 100_000)
    const stranger = await reprise.user('stranger', 100_000)
    const sign = (claims: Record<string, unknown>, secret = JWT_SECRET) => signToken(claims, { secret, clock: systemClock })
    const [operator, forged] = await Promise.all([
      sign({ sub: 'operator', app_metadata: { role: 'operator' } }),
      sign({ sub: owner.id, role: 'service_role' }, 'a-secret-that-somebody-else-made-up-0123456789'),
    ])
    for (const userId of ['operator', 'service_role']) {
      await reprise.call('POST', '/api/ledger/grants', { token: SERVICE_KEY, body: { userId, amount: 100_000, reason: 'test' } })
    }
    tokens = { nobody: undefined, garbage: 'garbage', forged, stranger: stranger.token, owner: owner.token, operator, service: SERVICE_KEY }
    const { body } = await reprise.call('GET', '/openapi.json')
    served = Object.entries<Record<string, unknown>>(body.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`))
  })
  afterAll(() => reprise.close())

  it('no operation of the served document, and no other mounted route, is without a case', () => {
    const mounted = reprise.wired.app.routes
      .filter(({ method, path }) => method !== 'ALL' && !path.includes('*'))
      .map(({ method, path }) => `${method} ${path}`)
    const documented = new Set(served.map((name) => name.replace(/\{(\w+)\}/g, ':$1')))
    const known = [...served, ...mounted.filter((name) => !documented.has(name))]
    expect([...new Set(known)].sort()).toEqual(Object.keys(CASES).sort())
  })

  for (const [name, one] of Object.entries(CASES)) {
    it(`${name}: each role gets what the rule says`, async () => {
      const got: Partial<Record<Role, number>> = {}
      for (const role of ROLES) {
        const things = await make(one.needs ?? [])
        const answer = await ask(name, one, role, things)
        got[role] = answer.status
        expect(answer.status, `${role}: ${answer.text}`).toBe(one.expected[role])
        if (answer.status === 404 && one.needs) expect(withoutIds(answer.text, things), role).toBe(await missing(name, one, role))
        if (role === 'stranger' && things.openGeneration) {
          const { body } = await reprise.call('GET', `/api/generations/${things.openGeneration}`, { token: tokens.owner })
          expect(body.state).not.toBe('cancelled')
        }
      }
      expect(got).toEqual(one.expected)
    })
  }

  async function ask(name: string, one: Case, role: Role, things: Things): Promise<{ status: number; text: string }> {
    const [method, pattern] = name.split(' ') as [string, string]
    const leaving = new AbortController()
    const token = tokens[role]
    const body = typeof one.body === 'function' ? one.body(things) : one.body
    const response = await fetch(reprise.url + (one.path?.(things) ?? pattern), {
      method, signal: leaving.signal, body: body === undefined ? undefined : JSON.stringify(body),
      headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body ? { 'content-type': 'application/json' } : {}), ...one.headers?.(role) },
    })
    const text = response.status >= 400 ? await response.text() : ''
    leaving.abort()
    return { status: response.status, text }
  }

  /** What the same role hears about a thing that never was: it must be the very same. */
  async function missing(name: string, one: Case, role: Role): Promise<string> {
    const nothing = '00000000-0000-4000-8000-000000000000'
    const things = { generation: nothing, openGeneration: nothing, track: nothing, channel: nothing, job: nothing, file: '/storage/v1/object/public/tracks-audio/nothing', mureka: nothing, murekaUrl: 'https://cdn.mureka.ai/nothing.mp3', imageJob: nothing, upload: nothing }
    // An unknown id may be imported: what a GET says is what a PUT must say about somebody else's.
    if (name === 'PUT /api/channels/{id}') return withoutIds((await ask('GET /api/channels/{id}', { ...one, body: undefined }, role, things)).text, things)
    return withoutIds((await ask(name, one, role, things)).text, things)
  }

  const withoutIds = (text: string, things: Things): string => {
    let plain = text.replace(/req_\d+_\w+/g, '<request>')
    for (const id of Object.values(things)) if (id) plain = plain.replaceAll(id, '<id>').replaceAll(id.replace('/public/', '/sign/'), '<id>')
    return plain
  }

  let finished: Promise<any> | null = null
  const owner = () => ({ id: stableUuid('test user owner'), token: tokens.owner! })
  async function finishedSong(): Promise<any> {
    const asked = await reprise.call('POST', '/api/generations', { token: tokens.owner, body: song })
    return reprise.settled(asked.body.id, owner(), (generation) => generation.state === 'complete')
  }

  let murekaSong: Promise<Pick<Things, 'mureka' | 'murekaUrl'>> | null = null
  async function finishedMurekaSong() {
    const asked = await reprise.call('POST', '/functions/v1/generate-mureka-track', { token: tokens.owner, body: { prompt: 'kept for the matrix' } })
    const mureka = asked.body.data.generation_id as string
    await reprise.settled(mureka, owner())
    const { rows } = await reprise.database.db.query<{ url: string }>(`select source_url as url from reprise.results where generation_id = $1 and role = 'final' and index = 0`, [mureka])
    return { mureka, murekaUrl: rows[0]!.url }
  }

  let pictures: Promise<Pick<Things, 'imageJob' | 'upload'>> | null = null
  async function finishedPictures() {
    const photo = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#c33' } }).png().toBuffer()
    const authorization = `Bearer ${tokens.owner}`
    const { id, url } = (await (await fetch(`${reprise.url}/api/uploads/images`, { method: 'POST', headers: { authorization, 'content-type': 'image/png' }, body: photo as BodyInit })).json()) as { id: string; url: string }
    const asked = await reprise.call('POST', '/functions/v1/create-generation-job-banana', { token: tokens.owner, body: { productName: 'of the matrix', productImages: [url], selectedCards: [0] } })
    await expect.poll(async () => (await reprise.call('GET', `/api/image-jobs/${asked.body.jobId}`, { token: tokens.owner })).body.status, { timeout: 20_000 }).toBe('completed')
    return { imageJob: asked.body.jobId as string, upload: id }
  }

  async function make(needs: (keyof Things)[]): Promise<Things> {
    const things: Things = { generation: '', openGeneration: '', track: '', channel: '', job: '', file: '', mureka: '', murekaUrl: '', imageJob: '', upload: '' }
    const call = (path: string, body: unknown) => reprise.call('POST', path, { token: tokens.owner, body })
    for (const need of needs) {
      if (need === 'generation') things.generation = (await (finished ??= finishedSong())).id
      if (need === 'file') things.file = new URL((await (finished ??= finishedSong())).tracks[0].audioUrl).pathname
      if (need === 'mureka') Object.assign(things, await (murekaSong ??= finishedMurekaSong()))
      if (need === 'imageJob' || need === 'upload') Object.assign(things, await (pictures ??= finishedPictures()))
      if (need === 'openGeneration') things.openGeneration = (await call('/api/generations', { ...song, prompt: '[[fault:never-finishes]] open' })).body.id
      if (need === 'track') things.track = (await finishedSong()).tracks[0].id
      if (need === 'channel' || need === 'job') things.channel = (await call('/api/channels', channel)).body.id
      if (need === 'job') things.job = (await call(`/api/music-clips/channels/${things.channel}/runOnce`, {})).body.jobId
    }
    return things
  }
})
