import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Connect, Plugin } from 'vite'
import { fakeSong } from './fake-song.ts'

/**
 * A stand-in for the server while one looks at the pages: everything in memory, a song takes half a minute.
 * Words in the prompt choose the story: "fail", "timeout", "stuck", "missing". Never part of the build.
 */
export function fakeApi(): Plugin {
  const world = createWorld()
  const use = (server: { middlewares: Connect.Server }) => {
    server.middlewares.use((request, response, next) => {
      const path = new URL(request.url ?? '/', 'http://x').pathname
      if (!/^\/(api|fake|livez)(\/|$)/.test(path)) return next()
      answer(world, request, response).catch((error: unknown) => {
        if (!response.headersSent) send(response, 500, { code: 'internal', detail: String(error) })
      })
    })
  }
  return { name: 'reprise-fake-api', configureServer: use, configurePreviewServer: use }
}

interface Story {
  id: string
  createdAt: number
  body: Record<string, unknown>
  fate: 'complete' | 'failed' | 'timed_out' | 'cancelled' | 'stuck' | 'missing'
  endedAt?: number
  from?: string
}

interface World {
  stories: Story[]
  channels: Record<string, unknown>[]
  jobs: Map<string, { id: string; channelId: string; createdAt: number; fail: boolean }>
  deleted: Set<string>
  granted: number
}

const MINUTE = 60_000

function createWorld(): World {
  const now = Date.now()
  const story = (age: number, fate: Story['fate'], body: Record<string, unknown>): Story => ({
    id: randomUUID(), createdAt: now - age, fate, body: { kind: 'song', provider: 'suno', ...body },
  })
  return {
    granted: 0,
    deleted: new Set(),
    jobs: new Map([['job_1703616000000_abc123', { id: 'job_1703616000000_abc123', channelId: 'ch1', createdAt: now - 90_000, fail: false }]]),
    stories: [
      story(14_000, 'complete', { prompt: 'A slow song about the last tram home, warm upright piano, soft voice' }),
      story(130_000, 'stuck', { prompt: 'Brass band at the bottom of the sea' }),
      story(9 * MINUTE, 'complete', { prompt: 'Late-night lo-fi with rain on the window and a lazy upright bass', title: 'Rain, Platform Two', model: 'V6' }),
      story(40 * MINUTE, 'failed', { prompt: 'A song in the exact voice of a famous singer' }),
      story(26 * 60 * MINUTE, 'missing', { prompt: 'A triumphant folk march for a cat returning home', title: 'The Cat Comes Home' }),
      story(50 * 60 * MINUTE, 'timed_out', { prompt: 'Twelve minutes of silence, but make it funky' }),
    ],
    channels: [
      {
        id: 'ch1', name: 'Rainy Tram Radio', type: 'music_clips', language: 'en', timezone: 'Europe/Paris',
        musicClipsSettings: {
          sunoPrompt: 'Quiet instrumental lo-fi for commuters, vinyl crackle, no drums before the second bar', styleTags: ['lo-fi', 'piano'],
          platforms: { youtube: true, tiktok: true, instagram: false }, promptVariants: [], promptVariantMode: 'cyclic',
          lastJobId: 'job_1703616000000_abc123',
        },
      },
      { id: 'ch2', name: 'Утренний джаз', type: 'music_clips', language: 'ru', timezone: 'Europe/Moscow', musicClipsSettings: { sunoPrompt: '' } },
    ],
  }
}

const STEPS: [string, number][] = [['queued', 2000], ['submitting', 4000], ['generating', 12_000], ['previewing', 20_000], ['saving', 26_000]]

function stateOf(story: Story): string {
  if (story.fate === 'cancelled') return 'cancelled'
  const age = Date.now() - story.createdAt
  if (story.fate === 'stuck') return 'generating'
  for (const [state, until] of STEPS) if (age < until) return state
  return story.fate === 'missing' ? 'complete' : story.fate
}

const COVERS = ['#0d4f43,#f2c25f', '#3b2a6b,#ff9c90', '#7a3b12,#ffe3a8', '#123a6b,#58dcb4']

function tracksOf(world: World, story: Story) {
  const state = stateOf(story)
  const stored = state === 'complete'
  if (!stored) return []
  return (story.fate === 'missing' ? [1] : [1, 2])
    .map((variant) => ({
      id: `${story.id.slice(0, -1)}${variant}`, title: (story.body.title as string) ?? 'Last Tram Home', variant,
      durationMs: 31_000 + variant * 7000, archived: true, sha256: 'ab'.repeat(32), bytes: 682_000, mime: 'audio/wav',
      audioUrl: `/fake/audio/${variant}.wav`,
      coverUrl: `/fake/cover/${(story.body.title as string) ? variant : variant + 2}.svg`,
      generationId: story.id, createdAt: iso(story.createdAt), expiresAt: null,
    }))
    .filter((track) => !world.deleted.has(track.id))
}

const WORDS: Record<string, Record<string, string>> = {
  en: { failed: 'The studio refused these words. Name a style instead of a person and try again.', timed_out: 'The studio did not finish within ten minutes.' },
  ru: { failed: 'Студия не приняла этот текст. Назовите стиль, а не человека, и попробуйте снова.', timed_out: 'Студия не успела за десять минут.' },
  fr: { failed: 'Le studio a refusé ces mots. Nommez un style plutôt qu’une personne.', timed_out: 'Le studio n’a pas fini en dix minutes.' },
}

function view(world: World, story: Story, language: string) {
  const state = stateOf(story)
  const final = ['complete', 'failed', 'timed_out', 'cancelled'].includes(state)
  const lost = final && state !== 'complete'
  const kept = state === 'complete' ? (story.fate === 'missing' ? 5 : 10) : 0
  return {
    id: story.id, provider: 'suno', kind: 'song', title: (story.body.title as string) ?? null, prompt: story.body.prompt, request: story.body, state, cost: 10, createdAt: iso(story.createdAt), deadlineAt: iso(story.createdAt + 10 * MINUTE),
    updatedAt: iso(story.fate === 'stuck' ? story.createdAt + 30_000 : final ? story.createdAt + 83_000 : Date.now()),
    finishedAt: final ? iso(story.createdAt + 83_000) : null, missing: story.fate === 'missing' && final ? 1 : 0,
    providerTaskId: ['queued', 'submitting'].includes(state) ? null : `suno_${story.id.slice(0, 12)}`, regeneratedFrom: story.from ?? null,
    attempts: state === 'queued' ? [] : [{ number: 1, state: final ? 'succeeded' : 'accepted', sentAt: iso(story.createdAt + 2000) }],
    tracks: tracksOf(world, story),
    previews: ['previewing', 'saving'].includes(state) ? [0, 1].map((index) => ({ index, previewUrl: `/fake/audio/${index + 1}.wav` })) : [],
    error: lost ? { code: state, message: WORDS[language]?.[state] ?? 'Cancelled', retryable: true, charged: false } : null,
    receipt: { cost: 10, held: final ? 0 : 10, captured: kept, released: final ? 10 - kept : 0 },
  }
}

function eventsOf(story: Story) {
  const at = (ms: number) => iso(story.createdAt + ms)
  const rows: [number, string, string, Record<string, unknown>?][] = [
    [0, 'accepted_request', 'queued', { cost: 10 }], [1400, 'slot', 'submitting'], [1500, 'sending', 'submitting'],
    [2300, 'accepted', 'generating', { taskId: `suno_${story.id.slice(0, 12)}` }], [9000, 'running', 'generating', { status: 'PENDING' }],
    [12_000, 'partial', 'previewing'], [19_000, 'unreachable', 'previewing', { code: 'transient' }],
    [20_000, 'succeeded', 'saving', { status: 'SUCCESS' }], [23_500, 'stored', 'saving', { bytes: 682_044, ms: 210 }],
    [26_000, 'complete', 'complete', { bytes: 723_144, ms: 190 }], [26_010, 'capture', 'complete', { amount: 10 }],
  ]
  const end = Date.now() - story.createdAt
  const list = story.fate === 'failed' ? [...rows.slice(0, 4), [9000, 'provider_failed', 'failed', { code: 'content_policy' }] as const] : rows
  return list.filter(([ms]) => ms <= end).map(([ms, type, state, data], i) => ({ id: i + 1, at: at(ms), type, state, attempt: 1, cause: 'poll', data: data ?? {} }))
}

async function answer(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://x')
  const method = request.method ?? 'GET'
  const language = String(request.headers['accept-language'] ?? 'en').slice(0, 2)
  const body = method === 'POST' || method === 'PATCH' ? await json(request) : {}
  const [, area, room, id, act] = url.pathname.split('/')
  const find = () => world.stories.find((story) => story.id === id)

  if (area === 'livez') return send(response, 200, { ok: true })
  if (area === 'fake' && room === 'audio') return audio(request, response, Number(id?.[0]))
  if (area === 'fake') return cover(response, Number(id?.[0]))
  if (String(request.headers.cookie).includes('fake=out')) return send(response, 401, { code: 'unauthorized', detail: 'Sign in first.' })
  if (room === 'info') return send(response, 200, { demo: true, version: '0.1.0' })
  if (room === 'session' && method === 'POST') {
    if (body.token === 'used') return send(response, 410, { code: 'gone', detail: 'This link has been used.' })
    return send(response, 200, { accessToken: 'x', user: { id: 'owner', operator: true }, expiresAt: iso(Date.now() + 1e9) })
  }
  if (room === 'session') return send(response, 200, { user: { id: 'c0ffee00-0000-4000-8000-000000000001', operator: true } })
  if (room === 'prices') return send(response, 200, { items: [{ kind: 'song', provider: '*', model: '*', tokensPerResult: 5, results: 2 }] })
  if (room === 'balance') {
    const open = world.stories.filter((story) => STEPS.some(([state]) => state === stateOf(story))).length
    return send(response, 200, { available: 240 - open * 10 + world.granted, held: open * 10 })
  }
  if (room === 'events') return stream(world, response)
  if (room === 'ledger' && method === 'POST') {
    world.granted += Number(body.amount)
    return send(response, 201, { ok: true })
  }
  if (room === 'ledger') {
    const items = world.stories.flatMap((story, i) => {
      const entry = (kind: string, amount: number, n: number) => ({
        id: i * 10 + n, at: iso(story.createdAt + n * 1000), kind, amount, generationId: story.id, reason: (story.body.title as string) ?? '',
      })
      const state = stateOf(story)
      return [...(state === 'complete' ? [entry('capture', 10, 2)] : state === 'failed' ? [entry('release', 10, 2)] : []), entry('hold', 10, 1)]
    })
    return send(response, 200, { items: [...items, { id: 999, at: iso(Date.now() - 4e8), kind: 'signup', amount: 250, reason: '' }], nextCursor: null })
  }
  if (room === 'tracks' && id && method === 'DELETE') return world.deleted.add(id), send(response, 204)
  if (room === 'tracks') {
    const items = world.stories.flatMap((story) => (stateOf(story) === 'complete' ? tracksOf(world, story) : []))
    if (act === 'audio') return audio(request, response, Number(id?.at(-1)))
    return id ? send(response, 200, items.find((track) => track.id === id)) : send(response, 200, { items, nextCursor: null })
  }
  if (room === 'generations' && method === 'POST' && !id) {
    const prompt = String(body.prompt ?? '')
    if (prompt.includes('broke')) return send(response, 402, { code: 'insufficient_tokens', detail: '', required: 10, available: 3 })
    if (body.style && !body.title) {
      return send(response, 422, { code: 'validation_failed', detail: 'x', errors: [{ path: 'title', rule: 'required', message: 'A song with its own style needs a title.' }] })
    }
    const fate = (['fail', 'timeout', 'stuck', 'missing'] as const).find((word) => prompt.includes(word))
    const fates = { fail: 'failed', timeout: 'timed_out', stuck: 'stuck', missing: 'missing' } as const
    const story: Story = { id: randomUUID(), createdAt: Date.now(), fate: fate ? fates[fate] : 'complete', body }
    world.stories.unshift(story)
    return send(response, 202, view(world, story, language))
  }
  if (room === 'generations' && !id) return send(response, 200, { items: world.stories.map((story) => view(world, story, language)), nextCursor: null })
  if (room === 'generations') {
    const story = find()
    if (!story) return send(response, 404, { code: 'not_found', detail: 'Not found.' })
    if (act === 'events') return send(response, 200, { items: eventsOf(story), nextCursor: null })
    if (act === 'cancel') story.fate = 'cancelled'
    if (act === 'regenerate') {
      const made: Story = { id: randomUUID(), createdAt: Date.now(), fate: 'complete', body: story.body, from: story.id }
      world.stories.unshift(made)
      return send(response, 202, view(world, made, language))
    }
    return send(response, 200, view(world, story, language))
  }
  if (room === 'channels') return channels(world, method, id, body, response)
  if (room === 'music-clips') return musicClips(world, method, id, act, url.pathname.endsWith('runOnce'), response)
  send(response, 404, { code: 'not_found', detail: 'Not found.' })
}

function channels(world: World, method: string, id: string | undefined, body: Record<string, unknown>, response: ServerResponse): void {
  if (method === 'GET') return send(response, 200, { items: world.channels, nextCursor: null })
  if (method === 'DELETE') {
    world.channels = world.channels.filter((channel) => channel.id !== id)
    return send(response, 204)
  }
  if (method === 'POST') world.channels.push({ id: `ch${Date.now()}`, ...body })
  else world.channels = world.channels.map((channel) => (channel.id === id ? { ...channel, ...body, musicClipsSettings: { ...Object(channel.musicClipsSettings), ...Object(body.musicClipsSettings) } } : channel))
  send(response, 200, {})
}

const STAGES: [number, string, string][] = [
  [2000, 'STAGE_10_REQUEST_ACCEPTED', 'Запрос принят, отправляем запрос в Suno...'],
  [8000, 'STAGE_30_SUNO_TASK_CREATED', 'Задача создана в Suno, ожидаем генерацию...'],
  [20_000, 'STAGE_40_SUNO_PENDING', 'Генерация музыки в процессе (PENDING/GENERATING)...'],
]

function musicClips(world: World, method: string, id: string | undefined, act: string | undefined, run: boolean, response: ServerResponse): void {
  if (run && method === 'POST') {
    const channel = world.channels.find((one) => one.id === act)
    const settings = channel?.musicClipsSettings as Record<string, unknown>
    const job = { id: `job_${Date.now()}_${Math.random().toString(36).slice(2, 8)}`, channelId: String(act), createdAt: Date.now(), fail: false }
    if (!settings?.sunoPrompt) {
      return send(response, 400, { success: false, ok: false, error: 'SUNO_PROMPT_REQUIRED', message: 'Укажите промпт для Suno в настройках канала.', requestId: 'req_1', jobId: job.id })
    }
    world.jobs.set(job.id, job)
    settings.lastJobId = job.id
    return send(response, 202, { success: true, ok: true, jobId: job.id, channelId: act, stage: STAGES[0]![1], createdAt: iso(job.createdAt), message: 'Генерация запущена' })
  }
  const job = id === 'jobs' ? world.jobs.get(String(act)) : undefined
  if (!job) return send(response, 404, { success: false, ok: false, error: 'JOB_NOT_FOUND', message: `Job ${act} not found` })
  const age = Date.now() - job.createdAt
  const [, stage, progressText] = STAGES.find(([until]) => age < until) ?? [0, 'STAGE_50_SUNO_SUCCESS', 'Музыка сгенерирована успешно!']
  send(response, 200, {
    success: true, ok: true, jobId: job.id, channelId: job.channelId, stage, progressText, sunoTaskId: age > 2000 ? 'suno_task_xyz789' : null,
    audioUrl: stage.startsWith('STAGE_50') ? '/fake/audio/1.wav' : null, error: null, createdAt: iso(job.createdAt),
    updatedAt: iso(Math.min(Date.now(), job.createdAt + 20_000)), heartbeat: { secondsSinceUpdate: 1, isStale: false },
  })
}

/** Tells of every change of state, as the real stream does. */
function stream(world: World, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write('id: 0.0\nevent: ready\ndata: {}\n\n')
  const seen = new Map(world.stories.map((story) => [story.id, stateOf(story)]))
  let n = 0
  const timer = setInterval(() => {
    response.write(': beat\n\n')
    for (const story of world.stories) {
      const state = stateOf(story)
      if (seen.get(story.id) === state) continue
      seen.set(story.id, state)
      response.write(`id: 0.${++n}\nevent: generation\ndata: ${JSON.stringify({ type: 'generation', generationId: story.id, state })}\n\n`)
    }
  }, 1000)
  response.on('close', () => clearInterval(timer))
}

const songs = new Map<number, Buffer>()

function audio(request: IncomingMessage, response: ServerResponse, variant: number): void {
  const file = songs.get(variant) ?? fakeSong(variant, 31 + variant * 7)
  songs.set(variant, file)
  const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '')
  const from = Number(range?.[1] ?? 0)
  const to = range?.[2] ? Number(range[2]) : file.length - 1
  response.writeHead(range ? 206 : 200, {
    'content-type': 'audio/wav', 'accept-ranges': 'bytes', 'content-length': to - from + 1,
    ...(range ? { 'content-range': `bytes ${from}-${to}/${file.length}` } : {}),
  })
  response.end(file.subarray(from, to + 1))
}

function cover(response: ServerResponse, n: number): void {
  const [dark, bright] = (COVERS[(n || 1) - 1] ?? COVERS[0]!).split(',')
  const lines = Array.from({ length: 14 }, (_, i) => `<circle cx="100" cy="${70 + n * 12}" r="${12 + i * 13}" fill="none" stroke="${bright}" stroke-opacity="${0.9 - i * 0.06}" stroke-width="3"/>`)
  response.writeHead(200, { 'content-type': 'image/svg+xml' })
  response.end(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 200"><rect width="200" height="200" fill="${dark}"/>${lines.join('')}</svg>`)
}

const iso = (ms: number) => new Date(ms).toISOString()

function send(response: ServerResponse, status: number, body?: unknown): void {
  response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json', date: new Date().toUTCString() })
  response.end(body === undefined ? '' : JSON.stringify(typeof body === 'object' && status >= 400 ? { status, ...body } : body))
}

async function json(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = ''
  for await (const piece of request) text += String(piece)
  return text ? (JSON.parse(text) as Record<string, unknown>) : {}
}
