import { startBoss } from './kit/boss.ts'
import { ask, INSTANT, load, startHouse, type House } from './kit/house.ts'
import { options, report } from './kit/report.ts'

/** Goal 10: whole lifecycles per second. See bench/README.md. */
const settings = options({ seconds: 12, open: 200, users: 100, clients: 16 })
const { seconds, open, users, clients } = settings
const notes: string[] = []

/** Keeps `open` generations under way; counts those that reach their end in `seconds` after a warm-up of 3 s. */
async function measure(house: House, name: string): Promise<number> {
  const tokens = await house.tokens(users)
  let asked = 0
  let ended = 0
  let asking = true
  const counted = async () => {
    const { rows } = await house.db.query<{ complete: number; ended: number }>(
      `select count(*) filter (where state = 'complete' and missing = 0) as complete, count(*) as ended from reprise.generations where finished_at is not null`)
    ended = rows[0]!.ended
    return rows[0]!
  }
  const watch = setInterval(() => void counted().catch(() => undefined), 100)
  try {
    const askers = Array.from({ length: clients }, async () => {
      while (asking) {
        if (asked - ended >= open) await pause(5)
        else await ask(house, tokens[asked++ % users]!)
      }
    })
    await pause(3_000)
    const from = await counted()
    const [begun, cpu] = [performance.now(), await house.cpu()]
    await pause(seconds * 1000)
    const to = await counted()
    const took = (performance.now() - begun) / 1000
    notes.push(`${name}: processors busy: ${load(cpu, await house.cpu(), took)}`)
    asking = false
    await Promise.all(askers)
    for (const late = performance.now() + 20_000; ended < asked && performance.now() < late; ) await pause(50)
    const { complete } = await counted()
    if (complete !== asked) {
      const { rows: others } = await house.db.query(
        `select state, missing, error_code, error_detail, count(*) from reprise.generations where state <> 'complete' or missing > 0 group by 1, 2, 3, 4 limit 5`)
      throw new Error(`${name}: ${asked} accepted, but ${complete} complete with both songs; the others: ${JSON.stringify(others)}`)
    }
    const { rows: wrong } = await house.db.query('select * from reprise.ledger_violations limit 1')
    if (wrong.length) throw new Error(`${name}: the books do not balance: ${JSON.stringify(wrong[0])}`)
    return (to.ended - from.ended) / took
  } finally {
    clearInterval(watch)
  }
}

/** A job that sends a second one; both fetched, done and completed, each by itself, as fast as pg-boss lets us. */
async function twoSteps(databaseUrl: string): Promise<number> {
  const boss = await startBoss(databaseUrl)
  await boss.createQueue('first')
  await boss.createQueue('second')
  let done = 0
  const end = performance.now() + seconds * 500
  const begun = performance.now()
  let sent = 0
  const each = async (queue: string, work: () => Promise<unknown>) => {
    while (performance.now() < end) {
      const jobs = await boss.fetch(queue)
      for (const job of jobs) {
        await work()
        await boss.complete(queue, job.id)
      }
      if (jobs.length === 0) await pause(2)
    }
  }
  await Promise.all([
    ...Array.from({ length: 8 }, async () => {
      while (performance.now() < end) {
        if (sent - done >= open) await pause(2)
        else await boss.send('first', { song: sent++ })
      }
    }),
    ...Array.from({ length: 8 }, () => each('first', () => boss.send('second', { song: 1 }))),
    ...Array.from({ length: 8 }, () => each('second', async () => void done++)),
  ])
  const perSecond = (done * 1000) / (performance.now() - begun)
  await boss.stop({ graceful: false })
  return perSecond
}

async function stored(house: House): Promise<void> {
  const { rows } = await house.db.query<{ files: number; bytes: number; generations: number }>(
    `select (select count(*) from reprise.files) as files, (select sum(bytes) from reprise.files) as bytes, (select count(*) from reprise.generations) as generations`)
  const { files, bytes, generations } = rows[0]!
  notes.push(`with files: ${files} files (${Math.round(bytes / 1e6)} MB) of ${generations} generations, fsynced`)
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const rates: Record<string, number> = {}
let peer = 0
for (const [name, role] of [['control plane', 'control-plane'], ['with files', 'all']] as const) {
  const house = await startHouse({ roles: [role], provider: INSTANT })
  try {
    if (!peer) peer = await twoSteps(house.databaseUrl)
    rates[name] = await measure(house, name)
    if (role === 'all') await stored(house)
  } finally {
    await house.stop()
  }
}
report(10, 'whole lifecycles', {
  settings, notes,
  figures: [
    { what: 'control plane alone (no file fetched or written)', value: rates['control plane']!, unit: '/s', bar: 300, aim: 500, better: 'more' },
    { what: 'with 2 songs and 2 covers fetched, verified, saved and fsynced', value: rates['with files']!, unit: '/s', bar: 100, aim: 200, better: 'more' },
    { what: 'control plane beside the peer', value: rates['control plane']! / peer, unit: 'times' },
  ],
  peers: [{ what: 'pg-boss, two steps', value: peer, unit: '/s' }],
})
