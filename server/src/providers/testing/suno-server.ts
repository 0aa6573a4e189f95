import { startFakeServer, type FakeServer } from './fake-server.ts'

export interface FakeSunoTask {
  id: string
  /** The body of the submit as it came. */
  request: any
  status: string
  songs: Record<string, unknown>[]
}

export interface FakeSuno extends FakeServer {
  readonly tasks: FakeSunoTask[]
  credits: number
  /** How the task stands from now on; the endpoint's own words and shapes. */
  set(taskId: string, status: string, songs?: Record<string, unknown>[]): void
  /** A callback body for the task as it stands, snake_case as the endpoint sends it. */
  callbackBody(taskId: string, type: 'text' | 'first' | 'complete' | 'error', code?: number): Record<string, unknown>
}

/** A Suno endpoint in memory: accepts every submit, and each task stands where the test puts it. */
export async function startFakeSuno(): Promise<FakeSuno> {
  const tasks: FakeSunoTask[] = []
  const find = (id: string | null) => tasks.find((task) => task.id === id)
  const ok = (data: unknown) => ({ json: { code: 200, msg: 'success', data } })
  const server = await startFakeServer((request) => {
    if (!request.headers.authorization?.startsWith('Bearer ')) return { json: { code: 401, msg: 'no key', data: null } }
    if (request.method === 'POST' && request.path === '/api/v1/generate') {
      const task: FakeSunoTask = { id: `task-${tasks.length + 1}`, request: request.json, status: 'PENDING', songs: [] }
      tasks.push(task)
      return ok({ taskId: task.id })
    }
    if (request.path === '/api/v1/generate/credit') return ok(fake.credits)
    if (request.path !== '/api/v1/generate/record-info') return { json: { code: 404, msg: 'no such path', data: null } }
    const task = find(request.query.get('taskId'))
    if (!task) return ok(null)
    const response = task.songs.length ? { taskId: task.id, sunoData: task.songs } : null
    return ok({ taskId: task.id, param: JSON.stringify(task.request), response, status: task.status, errorCode: null })
  })
  const fake: FakeSuno = Object.assign(server, {
    tasks,
    credits: 100,
    set(taskId: string, status: string, songs?: Record<string, unknown>[]) {
      const task = find(taskId)
      if (!task) throw new Error(`no task ${taskId}`)
      task.status = status
      if (songs) task.songs = songs
    },
    callbackBody(taskId: string, callbackType: string, code = callbackType === 'error' ? 500 : 200) {
      const songs = find(taskId)?.songs ?? []
      const data = callbackType === 'error' ? null : songs.map(snakeCase)
      return { code, msg: callbackType, data: { callbackType, task_id: taskId, data } }
    },
  })
  return fake
}

/** One song as record-info tells it; `base` is where its files are said to be. */
export const fakeSong = (index: number, base = 'https://cdn.example.com'): Record<string, unknown> => ({
  id: `audio-${index}`,
  audioUrl: `${base}/song-${index}.mp3`,
  streamAudioUrl: `${base}/stream/song-${index}`,
  imageUrl: `${base}/song-${index}.jpeg`,
  prompt: '[Verse]\nRain on the roof',
  modelName: 'chirp-v6',
  title: 'Night Bus',
  tags: 'indie folk',
  createTime: '2026-01-01 00:00:00',
  duration: 198.44,
})

/** All names but `createTime`, as the endpoint does it. */
const snakeCase = (song: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(song).map(([name, value]) => [
      name === 'createTime' ? name : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  )
