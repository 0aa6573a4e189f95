import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createProviderFetch } from '../../provider-fetch.ts'
import { createGoogle } from '../google.ts'

/**
 * Asks for many pictures at once, each made after several photos, in a process of its own, and prints what that took:
 * `node many-pictures.ts <url of Google> <pictures> <photos of each> <bytes of a photo>`.
 * Prints `{ finished, idleMb, peakMb, stallMs }`.
 */
const [url, pictures, photos, bytes] = [process.argv[2]!, ...process.argv.slice(3).map(Number)] as [string, number, number, number]
const peakMb = () => Math.round(process.resourceUsage().maxRSS / 1024)

const http = createProviderFetch()
const google = createGoogle({
  apiKeys: ['a-key-0123456789'], baseUrl: url, fetch: http.fetch, timeoutMs: 60_000,
  readImage: async () => ({ bytes: Buffer.alloc(bytes, 9), mime: 'image/jpeg' }),
})
const images = Array.from({ length: photos }, (_, index) => ({ bucket: 'image-uploads', path: String(index) }))
const idleMb = peakMb()
const delay = monitorEventLoopDelay({ resolution: 10 })
delay.enable()
let finished = 0
await Promise.all(
  Array.from({ length: pictures }, async (_, index) => {
    const outcome = await google.submit({ kind: 'image', prompt: 'a kettle', options: { images } }, { attemptId: String(index), attempt: 1, callbackUrl: null, signal: new AbortController().signal })
    if (outcome.kind === 'finished') finished++
  }),
)
delay.disable()
console.log(JSON.stringify({ finished, idleMb, peakMb: peakMb(), stallMs: Math.round(delay.max / 1e6) }))
await http.close()
