import { spawn } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { startHouse } from './kit/house.ts'
import { options, percentile, report, type Figure } from './kit/report.ts'

/** Goals 8 and 12: how fast, and in how much memory, files of 6 MB are archived, beside curl and sha256sum. See bench/README.md. */
const settings = options({ files: 300, rounds: 2, parallel: 64, 'per-second': 5, steady: 100 })
const OWNER = randomUUID()
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const thread = new Worker(new URL('./kit/files.ts', import.meta.url))
const { port, bytes } = await new Promise<{ port: number; bytes: number }>((resolve) => thread.once('message', resolve))
const host = `127.0.0.1:${port}`
const house = await startHouse({ roles: ['worker'], provider: `http://${host}`, env: { ARCHIVE_PARALLEL: String(settings.parallel), DATABASE_POOL: '20', ...(process.env.BENCH_ENV ? JSON.parse(process.env.BENCH_ENV) : {}) }, nodeOptions: process.env.BENCH_NODE_OPTIONS?.split(' ') })
try {
  const worker = house.servers[0]!
  const memory = async () => Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${worker.pid}/status`, 'utf8'))![1]) * 1024
  const insert = (names: string[]) => house.db.query(
    `insert into public.tracks (user_id, title, status, audio_url) select $1, n, 'completed', 'http://${host}/' || n || '.mp3' from unnest($2::text[]) n`, [OWNER, names])
  const open = async () => (await house.db.query<{ open: number }>('select count(*) as open from public.tracks where not archived_to_storage')).rows[0]!.open
  const drained = async () => { while ((await open()) > 0) await pause(20) }

  await insert(['warm-up-1', 'warm-up-2', 'warm-up-3', 'warm-up-4'])
  await drained()
  await pause(2_000)
  const idle = await memory()
  let peak = idle
  const watching = setInterval(() => void memory().then((now) => (peak = Math.max(peak, now))).catch(() => undefined), 20)

  const ours: number[] = []
  const theirs: number[] = []
  let spent = 0
  for (let round = 0; round < settings.rounds; round++) {
    const names = Array.from({ length: settings.files }, (_, index) => `round-${round}-${index}`)
    theirs.push(await curl(names.map((name) => `http://${host}/curl-${name}.mp3`), join(house.folder, `curl-${round}`)))
    const before = (await house.cpu())['reprise-worker']!
    const from = performance.now()
    await insert(names)
    await drained()
    spent += (await house.cpu())['reprise-worker']! - before
    ours.push(settings.files / ((performance.now() - from) / 1000))
  }
  const best = (rates: number[]) => Math.max(...rates)

  // A steady trickle, as songs finish: from the row to the archived track.
  for (let index = 0; index < settings.steady; index++) {
    await insert([`steady-${index}`])
    await pause(1000 / settings['per-second'])
  }
  await drained()
  clearInterval(watching)
  const { rows } = await house.db.query<{ ms: number }>(
    `select (extract(epoch from archived_at - created_at) * 1000)::float8 as ms from public.tracks where title like 'steady-%'`)
  const waits = rows.map((row) => row.ms)
  const { rows: [wrong] } = await house.db.query<{ wrong: number }>(`select count(*) as wrong from public.tracks t where not exists (select from reprise.files f where f.track_id = t.id and f.sha256 = t.sha256 and f.bytes = t.bytes)`)
  if (wrong!.wrong > 0) throw new Error(`${wrong!.wrong} tracks without their file`)

  const peer: Figure = { what: 'curl and sha256sum, four at once, not fsynced', value: best(theirs), unit: 'files/s' }
  report(12, 'archive: files fetched, checked, hashed and fsynced', {
    figures: [
      { what: `files of ${(bytes / 1e6).toFixed(1)} MB`, value: best(ours), unit: 'files/s', bar: best(theirs), aim: 1.5 * best(theirs), better: 'more' },
      { what: 'memory above idle', value: (peak - idle) / 2 ** 20, unit: 'MiB', bar: 64, aim: 64 },
    ],
    peers: [peer], notes: [`the worker spends ${Math.round((spent / settings.files / settings.rounds) * 1000)} ms of processor time a file`, `idle ${Math.round(idle / 2 ** 20)} MiB, ${settings.parallel} tracks at once, rounds: ours ${ours.map(Math.round).join(', ')}, curl ${theirs.map(Math.round).join(', ')} files/s`], settings,
  })
  report(8, `archive: from the finished track to its copy, ${settings['per-second']} a second`, {
    figures: [
      { what: 'p99', value: percentile(waits, 0.99) / 1000, unit: 's', bar: 60, aim: 10 },
      { what: 'p50', value: percentile(waits, 0.5) / 1000, unit: 's' },
    ],
    settings,
  })
} finally {
  await house.stop()
  await thread.terminate()
}

/** Fetches and hashes these files in four processes at a time; files per second. */
async function curl(urls: string[], folder: string): Promise<number> {
  await mkdir(folder)
  const from = performance.now()
  const child = spawn('xargs', ['-P4', '-I{}', 'sh', '-c', 'f=$(basename "{}"); curl -sf -o "$f" "{}" && sha256sum "$f" > /dev/null'], { cwd: folder, stdio: ['pipe', 'inherit', 'inherit'] })
  child.stdin.end(urls.join('\n'))
  const code = await new Promise((resolve) => child.once('exit', resolve))
  if (code !== 0) throw new Error('curl or sha256sum failed')
  return urls.length / ((performance.now() - from) / 1000)
}
