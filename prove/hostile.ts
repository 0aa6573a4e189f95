import { request, Agent } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { CALLBACK_PATHS } from '../server/src/features/generations/callbacks.routes.ts'
import { sleep } from '../server/src/kernel/clock.ts'
import { createGuardedFetch } from '../server/src/storage/guarded-fetch.ts'
import { hostileResolver, hostileUrls, seeded } from '../server/src/storage/hostile-urls.ts'
import { startFleet, type Fleet } from './fleet.ts'

/** Fetches addresses that must never be fetched. Answers those that were not refused, and the hits on this machine's canary. */
export async function hostileAddresses(seed: number, count: number): Promise<{ notRefused: string[]; canaryHits: number }> {
  let canaryHits = 0
  const canary = await listen(() => createServer((socket) => (canaryHits++, socket.destroy())))
  const guardedFetch = createGuardedFetch({ allowHosts: ['127.0.0.1:1'], resolve: hostileResolver as never })
  const notRefused: string[] = []
  try {
    const urls = hostileUrls(seed, count, (canary.address() as AddressInfo).port)
    await parallel(64, urls, async (url) => {
      for (const trust of ['provider-file', 'user'] as const) {
        const answer = await guardedFetch(url, { trust, purpose: 'proof', maxBytes: 1e6, timeoutMs: 5_000 }).catch((error: { code?: string }) => error.code)
        if (answer !== 'unsafe_url') notRefused.push(`${JSON.stringify(url)}: ${typeof answer === 'string' ? answer : 'answered'}`)
      }
    })
    await sleep(100)
  } finally {
    await guardedFetch.close()
    canary.close()
  }
  return { notRefused, canaryHits }
}

async function listen(make: () => Server): Promise<Server> {
  const on = (host: string) => new Promise<Server>((resolve, reject) => {
    const server = make()
    server.once('error', reject).listen(0, host, () => resolve(server))
  })
  // "::" listens on IPv4 too; where IPv6 is switched off, IPv4 alone.
  return on('::').catch(() => on('0.0.0.0'))
}

export interface FuzzReport {
  sent: number
  byStatus: Record<string, number>
  /** The first answers 5xx and broken connections, with what was sent. */
  failures: string[]
  /** What changed in generations, attempts, results, tracks and tokens. */
  effects: string[]
  perSecond: number
  leftovers: string[]
}

/** Sends forged callbacks at a running server that holds songs in every state. Nothing may change, nothing may fail. */
export async function fuzzedCallbacks(options: { seed: number; count: number; say?: (line: string) => void }): Promise<FuzzReport> {
  const { seed, count, say = () => undefined } = options
  const fleet = await startFleet({ speed: 100, deadlineSec: 86_400 })
  const agent = new Agent({ keepAlive: true, maxSockets: 32 })
  let report: Omit<FuzzReport, 'leftovers'>
  let leftovers: string[] = []
  try {
    await fleet.startServer('worker')
    const tags = ['', '[[fault:never-finishes]]', '[[fault:sensitive]]', '[[fault:one-song]]']
    await fleet.ask(12, (place) => tags[place % tags.length]!)
    await quiet(fleet)
    const taskIds = (await fleet.control<{ taskId: string }[]>('GET', '/tasks')).map((task) => task.taskId)
    const before = await snapshot(fleet)
    const byStatus: Record<string, number> = {}
    const failures: string[] = []
    const random = seeded(seed)
    const begun = performance.now()
    let sent = 0
    await Promise.all(Array.from({ length: 32 }, async () => {
      while (sent < count) {
        if (++sent % 20_000 === 0) say(`        ${sent} callbacks sent`)
        const forged = forge(random, taskIds)
        const status = await post(agent, fleet.url, forged).catch((error: Error) => `broken: ${error.message}`)
        byStatus[status] = (byStatus[status] ?? 0) + 1
        if ((typeof status === 'string' || status >= 500) && failures.length < 20) failures.push(`${status} for ${forged.path} ${JSON.stringify(forged.body.toString('latin1').slice(0, 300))}`)
      }
    }))
    const perSecond = Math.round(sent / ((performance.now() - begun) / 1000))
    await sleep(2_000) // whatever a wake set off has been asked by now
    const after = await snapshot(fleet)
    const effects = Object.keys({ ...before, ...after }).filter((key) => before[key] !== after[key]).map((key) => `${key}: ${before[key]} → ${after[key]}`)
    report = { sent, byStatus, failures, effects, perSecond }
  } finally {
    agent.destroy()
    leftovers = await fleet.stop()
  }
  return { ...report, leftovers }
}

/** Until only the songs that never finish are open, and those have been told all that the provider tells. */
async function quiet(fleet: Fleet): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(200)) {
    const [row] = await fleet.rows<{ open: number; told: number; saving: number }>(
      `select count(*) filter (where finished_at is null)::int as open, count(*) filter (where finished_at is null and checks >= 3)::int as told,
         (select count(*)::int from reprise.results where state = 'known') as saving from reprise.generations`,
    )
    if (row!.open === 3 && row!.told === 3 && row!.saving === 0) return
  }
  throw new Error('the songs did not come to rest')
}

/** Everything that a callback could change, except that somebody looked. */
async function snapshot(fleet: Fleet): Promise<Record<string, string>> {
  const rows = await fleet.rows<{ key: string; value: string }>(`
    select 'generation ' || id as key, concat_ws(' ', state, missing, error_code, provider_task_id, finished_at, arrived_late_at, indeterminate_until, dispatch_at) as value from reprise.generations
    union all select 'attempt ' || id, concat_ws(' ', state, task_id, error_code, ended_at, md5(claimed::text)) from reprise.attempts
    union all select 'result ' || id, concat_ws(' ', state, settled, sha256, source_url, preview_url, title, provider_result_id, attempt_id, refused_code) from reprise.results
    union all select 'track ' || id, md5(t::text) from public.tracks t
    union all select 'wallet ' || user_id, concat_ws(' ', available, held) from reprise.wallets
    union all select 'transfers', count(*)::text from reprise.ledger_transfers
    union all select 'account ' || account, concat_ws(' ', breaker_reason, last_valid_callback_at) from reprise.provider_accounts
    union all select 'violation ' || promise, generation_id::text from reprise.ledger_violations`)
  return Object.fromEntries(rows.map((row) => [row.key, row.value]))
}

interface Forged {
  path: string
  headers: Record<string, string>
  body: Buffer
}

function forge(random: () => number, taskIds: string[]): Forged {
  const upTo = (limit: number) => Math.floor(random() * limit)
  const one = <T>(...choices: T[]): T => choices[upTo(choices.length)]!
  const bytes = (length: number) => Buffer.from(Array.from({ length }, () => upTo(256)))
  const text = (): string => one(
    '', ' ', '\0', 'a\0b', '\ud800', '\uffff', '🎵'.repeat(50), 'x'.repeat(upTo(5_000)), "'; drop table reprise.generations; --", '../../etc/passwd',
    '__proto__', 'constructor', '${jndi:ldap://x}', '%00', '<script>', String(upTo(1e9)), bytes(8).toString('latin1'), 'null', '1e999', '-0',
  )
  const taskId = () => one<unknown>(one(...taskIds), one(...taskIds), one(...taskIds), bytes(16).toString('hex'), text(), upTo(1e9), null, [], {}, true)
  const url = () => one('http://127.0.0.1:1/x.mp3', 'https://169.254.169.254/latest/meta-data/', 'file:///etc/passwd', 'https://cdn.example.com/a.mp3', text())
  const song = () => ({
    id: text(), audioUrl: url(), audio_url: url(), source_audio_url: url(), streamAudioUrl: url(), imageUrl: url(), image_url: url(), title: text(),
    tags: text(), prompt: text(), duration: one<unknown>(1, -1, 1e300, NaN, '2', null, text()), modelName: text(), createTime: upTo(2e12),
  })
  const junk = (depth: number): unknown => depth === 0 ? text() : one<() => unknown>(
    () => text(), () => upTo(1e9) - 5e8, () => random() * 1e308, () => null, () => random() < 0.5,
    () => Array.from({ length: upTo(4) }, () => junk(depth - 1)), () => Object.fromEntries(Array.from({ length: upTo(4) }, () => [text(), junk(depth - 1)])),
  )()
  const callback = () => ({
    code: one<unknown>(200, 200, 200, 400, 451, 500, 501, '200', null, text()), msg: text(),
    data: one<unknown>({
      callbackType: one('text', 'first', 'complete', 'error', text()), task_id: taskId(), taskId: taskId(),
      data: one<unknown>([song(), song()], [song()], [], null, text(), Array.from({ length: 50 }, song), junk(3)),
    }, taskId(), junk(3)),
  })
  const body = one<() => Buffer>(
    () => json(callback()), () => json(callback()), () => json(callback()), () => json(callback()),
    () => json(junk(4)),
    () => spoiled(json(callback())),
    () => json(callback()).subarray(0, upTo(80)),
    () => bytes(upTo(300)),
    () => Buffer.from('['.repeat(upTo(20_000))),
    () => Buffer.from(`{"data":{"task_id":"${one(...taskIds)}","task_id":${upTo(9)}}}`),
    () => Buffer.alloc(0),
    () => Buffer.alloc(upTo(60_000), 0x20),
  )()
  const token = one<() => string>(
    () => '', () => '?token=', () => `?token=${bytes(32).toString('base64url')}`, () => `?token=${encodeURIComponent(text().slice(0, 2_000).replaceAll(/[\ud800-\udfff]/g, ''))}`,
    () => `?token=${one('%00', '%ff%fe', '%', '%zz', "'", '[]', '&token=', '+', '%f0%9f%8e%b5')}`, () => `?token[]=a&token[b]=c&token=${upTo(99)}`,
    () => `?${bytes(20).toString('hex')}`, () => `?token=${'A'.repeat(upTo(3_000))}`,
  )()
  const type = one('application/json', 'application/json; charset=utf-16', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', '', 'x'.repeat(200))
  return {
    path: one(...Object.values(CALLBACK_PATHS)) + token, body,
    headers: { 'content-type': type, ...(random() < 0.1 && { authorization: `Bearer ${bytes(20).toString('hex')}` }), ...(random() < 0.05 && { 'content-encoding': one('gzip', 'br', 'x') }) },
  }

  function json(value: unknown): Buffer {
    return Buffer.from(JSON.stringify(value) ?? 'undefined')
  }
  function spoiled(whole: Buffer): Buffer {
    for (let i = 0; i <= upTo(5); i++) whole[upTo(whole.length)] = upTo(256)
    return whole
  }
}

function post(agent: Agent, base: string, { path, headers, body }: Forged): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(base + path, { method: 'POST', agent, headers: { ...headers, 'content-length': body.length }, timeout: 20_000 }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode!))
      response.once('error', reject)
    })
    call.once('timeout', () => call.destroy(new Error('no answer within 20 s')))
    call.once('error', reject)
    call.end(body)
  })
}

async function parallel<T>(lanes: number, items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values()
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (const item of queue) await work(item)
  }))
}
