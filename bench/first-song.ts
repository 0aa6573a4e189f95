import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { control, freePort, ROOT, said, startChild } from './kit/children.ts'
import { options, report } from './kit/report.ts'
import { timetable, type TaskReport } from './kit/simulated.ts'

/** Goal 20: from installed to the first song that plays. See bench/README.md. */
const settings = options({ 'demo-speed': 0 })
const folder = await mkdtemp(join(tmpdir(), 'reprise-first-'))
const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })]
const seconds = (from: number) => (performance.now() - from) / 1000
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

try {
  // What `npm start` runs: the page if it is stale, then the server.
  const begun = performance.now()
  const build = startChild('build', [join(ROOT, 'web/build-if-stale.ts')], {}, folder)
  const code = await new Promise((resolve) => build.process.once('exit', resolve))
  if (code !== 0) throw new Error(`the page could not be built: ${await readFile(build.logFile, 'utf8')}`)
  const built = /Building/.test(await readFile(build.logFile, 'utf8'))
  const buildSec = seconds(begun)

  const from = performance.now()
  const server = startChild('server', [join(ROOT, 'server/src/main.ts')], {
    DATA_DIR: join(folder, 'data'), PORT: String(await freePort()), HOME: process.env.HOME ?? '', ...(settings['demo-speed'] ? { DEMO_SPEED: String(settings['demo-speed']) } : {}),
  }, folder)
  undo.push(server.stop)
  const link = new URL(await said(server, /Sign in as its owner \(works once\): (\S+)/))
  const startSec = seconds(from)

  const json = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(new URL(path, link), init)
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer.json() as Promise<any>
  }
  const page = await fetch(new URL('/', link))
  if (!page.ok || !/<div id="root"/.test(await page.text())) throw new Error(`no page: ${page.status}`)
  const { accessToken } = await json('/api/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ token: link.searchParams.get('token') }) })
  const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' }
  const asked = performance.now()
  const { id } = await json('/api/generations', { method: 'POST', headers, body: JSON.stringify({ provider: 'suno', kind: 'song', prompt: 'a quiet piano waltz about the sea' }) })

  let generation: any
  let firstSec: number | null = null
  for (;;) {
    generation = await json(`/api/generations/${id}`, { headers })
    if (firstSec === null && generation.tracks[0]?.audioUrl) firstSec = seconds(begun)
    if (['complete', 'failed', 'timed_out', 'cancelled'].includes(generation.state)) break
    if (seconds(asked) > 60) throw new Error('not finished within a minute')
    await pause(50)
  }
  if (generation.state !== 'complete' || generation.tracks.length !== 2) throw new Error(`ended as ${generation.state} with ${generation.tracks.length} tracks`)
  let bytes = 0
  for (const track of generation.tracks) {
    const audio = await fetch(track.audioUrl)
    const body = await audio.arrayBuffer()
    if (audio.status !== 200 || !(audio.headers.get('content-type') ?? '').startsWith('audio/') || body.byteLength !== track.bytes || !track.archived) throw new Error(`track ${track.id} does not play: ${audio.status}`)
    bytes += body.byteLength
  }
  const total = seconds(begun)
  const songSec = seconds(asked)

  const provider = (await readFile(join(folder, 'data/simulator/url'), 'utf8')).trim()
  const [task] = await control<TaskReport[]>(provider, 'GET', 'tasks')
  const speed = settings['demo-speed'] || 20
  const providerSec = (timetable(task!, speed).final - task!.createdAt) / 1000
  report(20, 'the first song', {
    settings,
    figures: [
      { what: 'from `npm start` to both songs playing', value: total, unit: 's', bar: 30, aim: 10 },
      { what: built ? 'of it: building the page (it was stale)' : 'of it: seeing that the page is built', value: buildSec, unit: 's' },
      { what: 'of it: start, with making the database', value: startSec, unit: 's' },
      { what: 'of it: the song, from asking to both playing', value: songSec, unit: 's' },
      { what: 'first of the two songs playable, from `npm start`', value: firstSec ?? total, unit: 's' },
    ],
    peers: [{ what: `the demo provider's own time for this song (a real one takes ${speed} times longer)`, value: providerSec, unit: 's' }],
    notes: [`${Math.round(bytes / 1000)} kB of audio fetched back`],
  })
} finally {
  for (const one of undo.reverse()) await one()
}
