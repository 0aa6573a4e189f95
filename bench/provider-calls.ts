import { ask, startHouse, type House } from './kit/house.ts'
import { mean, options, report, type Figure } from './kit/report.ts'
import type { LogEntry } from './kit/simulated.ts'

/** Goal 18: how often the provider is called for one finished generation. See bench/README.md. */
const settings = options({ generations: 40, speed: 20 })
const { generations, speed } = settings
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

interface Count {
  calls: number
  files: number
  credits: number
  /** As the provider at speed 1 would have taken, minutes. */
  minutes: number
}

async function measure(house: House, tags: string): Promise<Count> {
  const simulator = house.simulator!
  await simulator.control('POST', 'reset')
  const [token] = await house.tokens(1)
  const ids: string[] = []
  for (let index = 0; index < generations; index++) {
    ids.push(await ask(house, token!, JSON.stringify({ provider: 'suno', kind: 'song', prompt: `a waltz, number ${index} ${tags}` })))
    await pause(50) // not all on the same beat
  }
  const finished = async () => (await house.db.query<{ task: string; state: string; sec: number }>(
    `select provider_task_id as task, state, extract(epoch from finished_at - created_at)::float as sec from reprise.generations where id = any ($1) and finished_at is not null`, [ids])).rows
  for (const end = performance.now() + 60_000; (await finished()).length < generations; ) {
    if (performance.now() > end) throw new Error('not finished in time')
    await pause(200)
  }
  const rows = await finished()
  if (rows.some(({ state }) => state !== 'complete')) throw new Error(`not all complete: ${JSON.stringify(rows.map(({ state }) => state))}`)
  const log = await simulator.control<LogEntry[]>('GET', 'log')
  const tasks = new Set(rows.map(({ task }) => task))
  const count = (path: string) => log.filter((entry) => entry.path.split('?')[0] === path && (path.endsWith('credit') || tasks.has(entry.taskId ?? ''))).length
  return {
    calls: (count('/api/v1/generate') + count('/api/v1/generate/record-info')) / generations,
    files: log.filter((entry) => entry.path.startsWith('/files/') && tasks.has(entry.taskId ?? '')).length / generations,
    credits: count('/api/v1/generate/credit'),
    minutes: (mean(rows.map(({ sec }) => sec)) * speed) / 60,
  }
}

const house = await startHouse({
  roles: ['all'], env: { SUNO_POLL_SCALE: String(1 / speed) },
  provider: { SIMULATOR_SPEED: String(speed), SIMULATOR_SONG_SECONDS: '10', SIMULATOR_SONG_POOL: '8', SIMULATOR_RATE: 'off' },
})
const figures: Figure[] = []
const notes: string[] = []
try {
  const withCallbacks = await measure(house, '')
  const without = await measure(house, '[[fault:callback-never]]')
  const allowed = 3 + without.minutes / 0.75
  figures.push(
    { what: 'calls per generation, callbacks arriving', value: withCallbacks.calls, unit: 'calls', bar: 5, aim: 3 },
    { what: `calls per generation, no callback at all (${without.minutes.toFixed(1)} min each)`, value: without.calls, unit: 'calls', bar: Number(allowed.toFixed(2)), aim: 3 },
  )
  for (const [name, { files, credits, minutes }] of Object.entries({ 'with callbacks': withCallbacks, without })) {
    notes.push(`${name}: ${files.toFixed(1)} files fetched per generation, ${credits} credit queries in all, ${minutes.toFixed(1)} minutes per generation at speed 1`)
  }
  report(18, 'provider calls', {
    settings, figures, notes,
    peers: [{ what: `asking every 5 s until the end, as SunoFlow and most do (computed: 1 + minutes × 12; SunoFlow's own log: 32 for 120 s)`, value: 1 + without.minutes * 12, unit: 'calls' }],
  })
} finally {
  await house.stop()
}
