import { parentPort } from 'node:worker_threads'
import { renderSong } from './mp3.ts'

/** Renders one song after another, away from the event loop that answers requests. */
let queue = Promise.resolve()

parentPort?.on('message', ({ id, song }: { id: number; song: Parameters<typeof renderSong>[0] }) => {
  queue = queue.then(async () => {
    try {
      const bytes = await renderSong(song)
      parentPort?.postMessage({ id, bytes })
    } catch (error) {
      parentPort?.postMessage({ id, error: error instanceof Error ? error.message : String(error) })
    }
  })
})
