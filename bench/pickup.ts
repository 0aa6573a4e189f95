import { Agent, request } from 'undici'
import type { Database } from '../server/src/database/pool.ts'
import { startHouse } from './kit/house.ts'
import { options, percentile, report, type Figure } from './kit/report.ts'
import { startStubProvider } from './kit/stub-provider.ts'

/** Goal 11: from the 202 to the POST at the provider, on an idle system. See bench/README.md. */
const settings = options({ samples: 300, 'pause-ms': 20 })
const { samples, 'pause-ms': pauseMs } = settings
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const agent = new Agent()

/** The least that a pick-up is made of: two durable commits (slot, then `sent`) and one HTTP exchange. */
async function barePeer(url: string, db: Database): Promise<number[]> {
  const ms: number[] = []
  await db.query('create table peer_commits (n int)')
  for (let sample = 0; sample < samples / 2; sample++) {
    const from = performance.now()
    for (let commit = 0; commit < 2; commit++) await db.query({ name: 'peer', text: 'insert into peer_commits values ($1)', values: [sample] })
    await (await request(`${url}/credit`, { dispatcher: agent })).body.dump()
    ms.push(performance.now() - from)
    await pause(pauseMs)
  }
  return ms
}

async function measure(roles: ('all' | 'api' | 'worker')[]) {
  const stub = await startStubProvider()
  const house = await startHouse({ roles, provider: stub.url })
  try {
    const [token] = await house.tokens(1)
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const [after, whole]: [number[], number[]] = [[], []]
    for (let sample = -20; sample < samples; sample++) {
      const prompt = `waltz number ${sample}`
      const from = performance.now()
      const answer = await request(`${house.url}/api/generations`, { method: 'POST', headers, body: JSON.stringify({ provider: 'suno', kind: 'song', prompt }), dispatcher: agent })
      const answered = performance.now()
      await answer.body.dump()
      if (answer.statusCode !== 202) throw new Error(`answered ${answer.statusCode}`)
      const arrived = await stub.arrival(prompt)
      await pause(pauseMs)
      if (sample < 0) continue // every connection has its plans first
      // The POST may be there before the client has read the 202.
      after.push(Math.max(0, arrived - answered))
      whole.push(arrived - from)
    }
    return { after, whole, peer: await barePeer(stub.url, house.db) }
  } finally {
    await house.stop()
    await stub.close()
  }
}

const figures: Figure[] = []
let peerMs: number[] = []
for (const [name, roles] of [['one process', ['all']], ['api and worker apart', ['api', 'worker']]] as const) {
  const { after, whole, peer } = await measure([...roles])
  figures.push(
    { what: `${name}: 202 to POST, p50`, value: percentile(after, 0.5), unit: 'ms', bar: 5, aim: 2 },
    { what: `${name}: 202 to POST, p99`, value: percentile(after, 0.99), unit: 'ms', bar: 25 },
    { what: `${name}: request to POST, p50`, value: percentile(whole, 0.5), unit: 'ms' },
  )
  peerMs = [...peerMs, ...peer]
}
await agent.close()
report(11, 'pick-up, idle', {
  settings, figures,
  peers: [
    { what: 'two bare commits and an HTTP exchange, p50', value: percentile(peerMs, 0.5), unit: 'ms' },
    { what: 'the same, p99', value: percentile(peerMs, 0.99), unit: 'ms' },
  ],
})
