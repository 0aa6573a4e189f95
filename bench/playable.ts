import { ask, load, startHouse } from './kit/house.ts'
import { options, percentile, report } from './kit/report.ts'
import { timetable, type TaskReport } from './kit/simulated.ts'

/** Goal 21: from the moment a file can be fetched at the provider until it plays here. See bench/README.md. */
const settings = options({ generations: 100, speed: 20, 'song-seconds': 60 })
const { generations, speed } = settings
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

const house = await startHouse({
  roles: ['all'],
  provider: { SIMULATOR_SPEED: 'instant', SIMULATOR_SONG_SECONDS: String(settings['song-seconds']), SIMULATOR_SONG_POOL: '8', SIMULATOR_RATE: 'off' },
})
try {
  const simulator = house.simulator!
  const prompts = Array.from({ length: generations }, (_, index) => `a waltz, number ${index}`)
  const [token] = await house.tokens(1)
  const headers = { authorization: `Bearer ${token}` }
  const tasksByPrompt = async () => new Map((await simulator.control<TaskReport[]>('GET', 'tasks')).map((task) => [task.prompt, task]))

  // The bare download of each file, one after the other on a quiet machine; the first fetch lets the provider render it.
  for (const prompt of prompts) {
    await fetch(`${simulator.url}/api/v1/generate`, {
      method: 'POST', headers: { authorization: 'Bearer demo' },
      body: JSON.stringify({ prompt, customMode: false, instrumental: false, model: 'V5', callBackUrl: 'http://127.0.0.1:9/nobody' }),
    })
  }
  const bare = new Map<string, number[]>()
  let bytes = 0
  const rehearsal = await tasksByPrompt()
  for (const prompt of prompts) {
    const times: number[] = []
    for (const { audioPath } of rehearsal.get(prompt)!.songs) {
      for (let round = 0; round < 2; round++) {
        const from = performance.now()
        const file = await (await fetch(simulator.url + audioPath)).arrayBuffer()
        if (round === 1) times.push(performance.now() - from)
        bytes = file.byteLength
      }
    }
    bare.set(prompt, times)
  }
  await simulator.control('POST', 'reset')
  await simulator.control('POST', 'speed', { speed })

  // A listener's page: live events say that something was stored, then it asks for the track and plays it.
  const playableAt = new Map<string, number>() // `${generation}/${song}` → epoch ms
  const looking = new AbortController()
  const stream = await fetch(`${house.url}/api/events`, { headers, signal: looking.signal })
  const look = async (id: string) => {
    const generation = (await (await fetch(`${house.url}/api/generations/${id}`, { headers })).json()) as { tracks: { variant: number; audioUrl: string | null }[] }
    for (const { variant, audioUrl } of generation.tracks) {
      const key = `${id}/${variant - 1}`
      if (!audioUrl || playableAt.has(key)) continue
      const answer = await fetch(audioUrl, { headers: { range: 'bytes=0-1023' } })
      await answer.arrayBuffer()
      if (answer.status === 206 && !playableAt.has(key)) playableAt.set(key, Date.now())
    }
  }
  const reading = (async () => {
    let text = ''
    const decoder = new TextDecoder()
    for await (const chunk of stream.body!) {
      text += decoder.decode(chunk, { stream: true })
      const messages = text.split('\n\n')
      text = messages.pop()!
      for (const message of messages) {
        const data = /^data: (.*)$/m.exec(message)?.[1]
        if (!data || !/"event":"(stored|complete)"/.test(data)) continue
        const id = (JSON.parse(data) as { generationId: string }).generationId
        void look(id).catch(() => undefined)
      }
    }
  })().catch(() => undefined)

  const [begun, cpu] = [performance.now(), await house.cpu()]
  const ids: string[] = []
  for (const prompt of prompts) ids.push(await ask(house, token!, JSON.stringify({ provider: 'suno', kind: 'song', prompt, model: 'V5' })))
  for (const end = performance.now() + 60_000; playableAt.size < generations * 2 && performance.now() < end; ) await pause(50)
  const busy = load(cpu, await house.cpu(), (performance.now() - begun) / 1000)
  looking.abort()
  await reading
  if (playableAt.size < generations * 2) throw new Error(`only ${playableAt.size} of ${generations * 2} songs became playable`)

  const tasks = await tasksByPrompt()
  const over: number[] = []
  const whole: number[] = []
  const finals: number[] = []
  prompts.forEach((prompt, index) => {
    const { ready, final } = timetable(tasks.get(prompt)!, speed)
    finals.push(final)
    ready.forEach((at, song) => {
      const ms = playableAt.get(`${ids[index]}/${song}`)! - at
      whole.push(ms)
      over.push(ms - bare.get(prompt)![song]!)
    })
  })
  const bareMs = [...bare.values()].flat()
  report(21, 'provider’s success to playable here', {
    settings,
    figures: [
      { what: `over the bare download, ${generations} in flight, p50`, value: percentile(over, 0.5), unit: 'ms' },
      { what: `over the bare download, ${generations} in flight, p99`, value: percentile(over, 0.99), unit: 'ms', bar: 2_000, aim: 500 },
      { what: 'in all, p99', value: percentile(whole, 0.99), unit: 'ms' },
    ],
    peers: [
      { what: 'bare download of the same files, one at a time, p50', value: percentile(bareMs, 0.5), unit: 'ms' },
      { what: 'the same, p99', value: percentile(bareMs, 0.99), unit: 'ms' },
    ],
    notes: [`${generations * 2} songs of about ${Math.round(bytes / 1000)} kB; the provider finished them within ${((Math.max(...finals) - Math.min(...finals)) / 1000).toFixed(1)} s`, `processors busy: ${busy}`],
  })
} finally {
  await house.stop()
}
