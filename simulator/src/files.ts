import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SimulatorClock } from './clock.ts'
import type { FaultBook } from './faults.ts'
import { errorPage, sendText } from './http.ts'
import { sendFile, spoilFile } from './send-file.ts'
import type { SongFiles, SongTask } from './songs.ts'

/** One song of some provider, and from when its files can be had (Infinity: never). */
export interface KnownSong {
  task: SongTask
  index: number
  streamAt: number
  audioAt: number
  /** When its files are removed, where that is not the retention of all. */
  goneAt?: number
}

interface Parts {
  clock: SimulatorClock
  faults: FaultBook
  files: SongFiles
  retentionMs: number
  find: (songId: string) => KnownSong | null
}

/** `/files/…`: sounds, streams and covers of all providers' songs, spoilt on request, gone after the retention. */
export function createFileService({ clock, faults, files, retentionMs, find }: Parts) {
  async function send(request: IncomingMessage, response: ServerResponse, path: string, note: { taskId?: string }) {
    const missing = () => sendText(response, 404, 'text/html', errorPage(404, 'Not Found'))
    if (path === '/files/decoy.mp3') return sendFile(request, response, 'audio/mpeg', await files.decoy())
    const found = /^\/files\/(audio|stream|cover)\/([0-9a-f-]+)(\.mp3|\.wav|\.jpeg)?$/.exec(path)
    const song = found && find(found[2]!)
    if (!song) return missing()
    const { task, index } = song
    note.taskId = task.id
    if (clock.now() > (song.goneAt ?? task.createdAt + retentionMs)) return missing()
    const kind = found[1]!
    if (kind === 'stream') {
      if (clock.now() < song.streamAt) return missing()
      response.writeHead(200, { 'content-type': 'audio/mpeg', 'cache-control': 'no-store' })
      return void response.end(request.method === 'HEAD' ? undefined : await files.stream(task, index))
    }
    if (kind === 'audio' && clock.now() < song.audioAt) return missing()
    const whole =
      kind === 'audio'
        ? { type: task.format === 'wav' ? 'audio/wav' : 'audio/mpeg', file: () => files.audio(task, index), short: () => files.shortAudio(task, index) }
        : { type: 'image/jpeg', file: () => files.cover(task, index), short: () => files.cover(task, index) }
    const fault = request.method === 'GET' ? faults.bite(kind === 'audio' ? 'file' : 'cover', task, index) : null
    if (fault) return spoilFile(request, response, fault, whole)
    sendFile(request, response, whole.type, await whole.file())
  }

  return {
    /** False when the path is none of a file. */
    async handle(request: IncomingMessage, response: ServerResponse, url: URL, note: { taskId?: string }) {
      const isFile = url.pathname.startsWith('/files/') && (request.method === 'GET' || request.method === 'HEAD')
      if (isFile) await send(request, response, url.pathname, note)
      return isFile
    },
  }
}
