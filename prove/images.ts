import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '../server/src/kernel/clock.ts'
import { seeded } from '../server/src/storage/hostile-urls.ts'
import { startFleet, type Fleet } from './fleet.ts'
import type { Child } from './processes.ts'

export interface ImagesReport {
  jobs: number
  cards: number
  completed: number
  refunded: number
  workersKilled: number
  pictures: number
  seconds: number
  broken: string[]
  leftovers: string[]
}

const CARDS = 6
/** Asked for as earlier ones end: each card has its chance before its deadline, and a crowd waits all the time. */
const OPEN_JOBS = 60
const SAY_EVERY_MS = 60_000
/** What befalls one card in twenty, and how often in a row: some are got over, some are not. */
const TROUBLES: [fault: string, times: number][] = [['code-455', 2], ['code-455', 12], ['code-400', 1], ['code-429', 1], ['submit-timeout', 1], ['submit-drop', 2], ['blocked', 1], ['finish-reason', 1], ['no-image', 3], ['code-500', 4]]

/**
 * Jobs of six cards each while Google refuses, fails and stays silent for one card in twenty and workers are killed at
 * random. Every job must end, keep the cards that were made, and give back exactly what the others held.
 */
export async function imagesUnderKills({ seed, jobs, withinMs = 600_000, say = () => undefined }: { seed: number; jobs: number; withinMs?: number; say?: (line: string) => void }): Promise<ImagesReport> {
  const random = seeded(seed)
  const fleet = await startFleet({ speed: 100, leaseMs: 2_000, graceSec: 8, deadlineSec: 600 })
  const broken: string[] = []
  const begun = Date.now()
  let figures: Omit<ImagesReport, 'jobs' | 'cards' | 'seconds' | 'broken' | 'leftovers'> = { completed: 0, refunded: 0, workersKilled: 0, pictures: 0 }
  let leftovers: string[] = []
  try {
    const env = { GEMINI_TIMEOUT_SEC: '5' }
    const workers: Child[] = await Promise.all([fleet.startServer('worker', env), fleet.startServer('worker', env)])
    const users = await Promise.all(Array.from({ length: Math.min(10, jobs) }, (_, n) => buyer(fleet, n, jobs * CARDS)))
    const ask = async (n: number) => {
      for (let card = 0; card < CARDS; card++) {
        if (random() >= 0.05) continue
        const [fault, times] = TROUBLES[Math.floor(random() * TROUBLES.length)]!
        await fleet.control('POST', '/faults', { fault, match: `Kettle no. ${n}.`, times })
      }
      const { token, photo } = users[n % users.length]!
      const { status, body } = await fleet.call('POST', '/functions/v1/create-generation-job-banana', { token, body: { productName: `Kettle no. ${n}`, productImages: [{ url: photo, name: 'kettle.jpg', type: 'product' }], selectedCards: [0, 1, 2, 3, 4, 5] } })
      if (status !== 202) throw new Error(`job ${n} was not accepted: ${status} ${JSON.stringify(body)}`)
    }
    let asked = 0
    let over = false
    let killed = 0
    const killing = (async () => {
      while (!over) {
        await sleep(500 + random() * 6_000)
        const place = Math.floor(random() * workers.length)
        await workers[place]!.kill('SIGKILL')
        killed++
        workers[place] = await fleet.startServer('worker', env)
      }
    })()
    for (let end = Date.now() + withinMs, told = Date.now(); ; await sleep(250)) {
      const [open] = await fleet.rows<{ jobs: number }>(`select count(*)::int as jobs from public.generation_jobs where status in ('pending', 'processing')`)
      if (open!.jobs === 0 && asked === jobs) break
      for (let room = OPEN_JOBS - open!.jobs; room > 0 && asked < jobs; room--) await ask(asked++)
      if (Date.now() > end) {
        broken.push(`${open!.jobs} jobs are still open, ${jobs - asked} were not asked for`)
        break
      }
      if (Date.now() - told > SAY_EVERY_MS) {
        told = Date.now()
        say(`    ${asked} jobs asked for, ${open!.jobs} open, ${killed} workers killed`)
      }
    }
    over = true
    await killing
    figures = { workersKilled: killed, ...(await judge(fleet, broken)) }
    for (const { id, token } of users) {
      const { body } = await fleet.call('GET', '/api/balance', { token })
      const [kept] = await fleet.rows<{ cards: number }>(`select count(*)::int as cards from public.generation_tasks t join public.generation_jobs j on j.id = t.job_id where j.user_id = $1 and t.status = 'completed'`, [id])
      if (body.held !== 0 || body.available !== jobs * CARDS - kept!.cards) broken.push(`${id} has ${JSON.stringify(body)} after ${kept!.cards} cards`)
    }
  } finally {
    leftovers = await fleet.stop()
  }
  return { jobs, cards: jobs * CARDS, ...figures, seconds: Math.round((Date.now() - begun) / 1000), broken, leftovers }
}

async function buyer(fleet: Fleet, n: number, tokens: number) {
  const { id, token } = await fleet.user(`buyer ${n}`, tokens)
  const answer = await fetch(`${fleet.url}/api/uploads/images`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'image/jpeg' }, body: PHOTO })
  if (answer.status !== 201) throw new Error(`the photo was not taken: ${answer.status} ${await answer.text()}`)
  return { id, token, photo: ((await answer.json()) as { url: string }).url }
}

/** What must hold of every job and card, whatever befell them. */
async function judge(fleet: Fleet, broken: string[]) {
  const cards = await fleet.rows<{ job: string; jobStatus: string; note: string | null; card: number; status: string; imageUrl: string | null; state: string; captured: number; released: number; held: number; blobKey: string | null; sha256: string | null }>(
    `select j.id as job, j.status as "jobStatus", j.error_message as note, t.card_index as card, t.status, t.image_url as "imageUrl", g.state, r.blob_key as "blobKey", r.sha256,
       (select coalesce(sum(amount) filter (where state = 'captured'), 0)::int from reprise.hold_items i where i.generation_id = g.id) as captured,
       (select coalesce(sum(amount) filter (where state = 'released'), 0)::int from reprise.hold_items i where i.generation_id = g.id) as released,
       (select coalesce(sum(amount) filter (where state = 'open'), 0)::int from reprise.hold_items i where i.generation_id = g.id) as held
     from public.generation_jobs j join public.generation_tasks t on t.job_id = j.id left join reprise.generations g on g.id = t.generation_id
     left join reprise.results r on r.generation_id = g.id and r.role = 'final' order by j.created_at, t.card_index`)
  for (const card of cards) {
    const say = (text: string) => broken.push(`job ${card.job}, card ${card.card}: ${text}`)
    const done = card.status === 'completed'
    if (!done && card.status !== 'failed') say(`is ${card.status}`)
    if (done !== (card.state === 'complete')) say(`is ${card.status}, its generation ${card.state}`)
    if (card.captured !== (done ? 1 : 0) || card.released !== (done ? 0 : 1) || card.held !== 0) say(`${card.status}: ${card.captured} captured, ${card.released} released, ${card.held} held`)
    if (!done) continue
    const bytes = card.blobKey && (await readFile(join(fleet.files, card.blobKey)).catch(() => null))
    if (!card.imageUrl || !bytes || createHash('sha256').update(bytes).digest('hex') !== card.sha256) say('has no picture')
  }
  for (const [job, its] of Map.groupBy(cards, (card) => card.job)) {
    const done = its.filter(({ status }) => status === 'completed').length
    const { jobStatus, note } = its[0]!
    if (jobStatus !== (done ? 'completed' : 'failed')) broken.push(`job ${job} is ${jobStatus} with ${done} cards`)
    if (done < its.length && !note) broken.push(`job ${job} does not say that cards are missing`)
  }
  const violations = await fleet.rows('select * from reprise.ledger_violations')
  if (violations.length) broken.push(`${violations.length} rows of the ledger break a promise`)
  const completed = cards.filter(({ status }) => status === 'completed').length
  const pictures = (await fleet.control<{ provider: string }[]>('GET', '/tasks')).filter(({ provider }) => provider === 'google').length
  return { completed, refunded: cards.length - completed, pictures }
}

/** 16 × 16 pixels of red. */
const PHOTO = Buffer.from('/9j/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wAARCAAQABADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAb/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFQEBAQAAAAAAAAAAAAAAAAAABQf/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwCWAAqu/9k=', 'base64')
