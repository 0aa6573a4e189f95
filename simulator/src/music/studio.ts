import { Worker } from 'node:worker_threads'

export interface Studio {
  /** Renders in a thread of its own; starts it at the first song. */
  render(song: { seed: string; style: string; seconds: number; format?: 'wav' }): Promise<Buffer>
  close(): Promise<void>
}

type Answer = { id: number; bytes: Uint8Array } | { id: number; error: string }

export function createStudio(): Studio {
  const waiting = new Map<number, { resolve: (file: Buffer) => void; reject: (error: Error) => void }>()
  let worker: Worker | null = null
  let lastId = 0

  const failAll = (error: Error) => {
    worker = null
    for (const { reject } of waiting.values()) reject(error)
    waiting.clear()
  }
  const start = () => {
    const started = new Worker(new URL('./render-worker.ts', import.meta.url))
    started.unref()
    started.on('message', (answer: Answer) => {
      const asker = waiting.get(answer.id)
      waiting.delete(answer.id)
      if ('error' in answer) asker?.reject(new Error(answer.error))
      else asker?.resolve(Buffer.from(answer.bytes.buffer, answer.bytes.byteOffset, answer.bytes.byteLength))
    })
    started.on('error', failAll)
    return started
  }

  return {
    render(song) {
      worker ??= start()
      const id = ++lastId
      const done = new Promise<Buffer>((resolve, reject) => waiting.set(id, { resolve, reject }))
      worker.postMessage({ id, song })
      return done
    },
    async close() {
      const ending = worker
      failAll(new Error('the simulator is closed'))
      await ending?.terminate()
    },
  }
}
