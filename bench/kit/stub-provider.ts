import { createServer } from 'node:http'

/** A provider in this process: accepts every song and never finishes one. Tells when each POST arrived, on this process's clock. */
export async function startStubProvider() {
  const arrivals = new Map<string, number>()
  const waiting = new Map<string, (at: number) => void>()
  let tasks = 0
  const server = createServer((request, response) => {
    const at = performance.now()
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const answer = (data: unknown) => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ code: 200, msg: 'success', data }))
      if (request.method === 'POST') {
        const { prompt } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { prompt: string }
        arrivals.set(prompt, at)
        waiting.get(prompt)?.(at)
        return answer({ taskId: `stub-${++tasks}` })
      }
      if (request.url!.includes('/credit')) return answer(1_000_000)
      answer({ taskId: new URL(request.url!, 'http://stub').searchParams.get('taskId'), status: 'PENDING', response: null })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    /** When the POST with this prompt arrived; waits for it for 5 s. */
    arrival: (prompt: string) => new Promise<number>((resolve, reject) => {
      const at = arrivals.get(prompt)
      if (at !== undefined) return resolve(at)
      const timer = setTimeout(() => reject(new Error(`no POST came for ${prompt}`)), 5_000)
      waiting.set(prompt, (later) => {
        clearTimeout(timer)
        resolve(later)
      })
    }),
    close: () => new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    }),
  }
}
