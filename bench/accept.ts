import { randomUUID } from 'node:crypto'
import autocannon, { type Result } from 'autocannon'
import { hammer, startBoss } from './kit/boss.ts'
import { ASK, load, startHouse } from './kit/house.ts'
import { options, percentile, report } from './kit/report.ts'

/** Goal 9: durable HTTP accepts per second. See bench/README.md. */
const settings = options({ seconds: 10, clients: 64, users: 1_000, rounds: 2 })
const { seconds, clients, users, rounds } = settings

const house = await startHouse({ roles: ['api'], provider: { SIMULATOR_SPEED: 'instant' } })
const notes: string[] = []
try {
  const tokens = await house.tokens(users)
  const boss = await startBoss(house.databaseUrl)
  await boss.createQueue('peer')

  let turn = 0
  const ask = (bearers: string[]) => {
    const heads = bearers.map((token) => `Bearer ${token}`)
    return {
      method: 'POST' as const, path: '/api/generations', body: ASK,
      setupRequest: (request: object) => ({
        ...request, headers: { authorization: heads[turn++ % heads.length]!, 'content-type': 'application/json', 'idempotency-key': randomUUID() },
      }),
    }
  }
  const run = (bearers: string[], limit: { duration: number } | { amount: number }) => autocannon({ url: house.url, connections: clients, requests: [ask(bearers)], ...limit })
  const stored = async () => (await house.db.query<{ n: number }>('select count(*) as n from reprise.generations')).rows[0]!.n

  // Every user has an account, every connection its plans, before anything is measured.
  await run(tokens, { amount: users * 2 })
  await hammer(clients, 1, () => boss.send('peer', { prompt: 'a quiet piano waltz' }))

  const many: Result[] = []
  const peer: { perSecond: number; ms: number[] }[] = []
  const before = await stored()
  for (let round = 0; round < rounds; round++) {
    peer.push(await hammer(clients, seconds / 2, () => boss.send('peer', { prompt: 'a quiet piano waltz about the sea', user: round })))
    const cpu = await house.cpu()
    const result = await run(tokens, { duration: seconds })
    notes.push(`round ${round + 1}: ${Math.round(result['2xx'] / result.duration)}/s; processors busy: ${load(cpu, await house.cpu(), result.duration)}`)
    many.push(result)
  }
  const answered = many.reduce((sum, result) => sum + result['2xx'], 0)
  const refused = many.reduce((sum, result) => sum + result.non2xx + result.errors + result.timeouts, 0)
  // autocannon cuts the requests under way at the end of a run: their rows may be there, their answers were not read.
  const kept = (await stored()) - before
  if (refused > 0 || kept < answered) throw new Error(`${refused} refused, ${answered} answered, but ${kept} rows`)
  const one = await run(tokens.slice(0, 1), { duration: Math.max(3, seconds / 2) })

  const perSecond = answered / many.reduce((sum, result) => sum + result.duration, 0)
  const peerMs = peer.flatMap(({ ms }) => ms)
  const peerRate = peer.reduce((sum, { perSecond: rate }) => sum + rate, 0) / peer.length
  report(9, 'durable HTTP accepts', {
    settings, notes,
    figures: [
      { what: `accepts, ${clients} clients, ${users} users`, value: perSecond, unit: '/s', bar: 2_000, aim: 3_000, better: 'more' },
      { what: 'p50', value: Math.max(...many.map(({ latency }) => latency.p50)), unit: 'ms' },
      { what: 'p99 (worst round)', value: Math.max(...many.map(({ latency }) => latency.p99)), unit: 'ms', bar: 60, aim: 40 },
      { what: 'accepts, one user', value: one['2xx'] / one.duration, unit: '/s' },
      { what: 'p99, one user', value: one.latency.p99, unit: 'ms' },
      { what: 'beside the peer', value: perSecond / peerRate, unit: 'times' },
    ],
    peers: [
      { what: 'bare boss.send of pg-boss, no HTTP', value: peerRate, unit: '/s' },
      { what: 'its p99', value: percentile(peerMs, 0.99), unit: 'ms' },
    ],
  })
  await boss.stop({ graceful: false })
} finally {
  await house.stop()
}
