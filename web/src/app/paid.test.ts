import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { paid } from './paid.ts'

let keys: (string | null)[] = []
let answers: (Response | Error)[] = []
beforeEach(() => {
  keys = []
  vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
    keys.push(new Headers(init.headers).get('idempotency-key'))
    const answer = answers.shift() ?? Response.json({ id: 'made' }, { status: 202 })
    if (answer instanceof Error) throw answer
    return answer
  })
})
afterEach(() => void vi.unstubAllGlobals())

const lost = () => new TypeError('fetch failed')
const send = (body: object, path = '/api/things?lang=en') => paid(path, body).catch(() => undefined)

it('what got no good answer is the same request at the next click, in whatever language; after one it is a new request', async () => {
  answers = [lost(), new Response('', { status: 502 }), new Response('<html>Please sign in to this network</html>')]
  for (const path of ['/api/things', '/api/things?lang=fr', '/api/things', '/api/things']) await send({ n: 1 }, path)
  expect(new Set(keys).size).toBe(1)
  await send({ n: 1 })
  expect(keys.at(-1)).not.toBe(keys[0])
})

it('another wish is another request, and the first one keeps its key meanwhile', async () => {
  answers = [lost(), lost(), lost()]
  for (const n of [1, 2, 1]) await send({ n })
  expect(keys[2]).toBe(keys[0])
  expect(keys[1]).not.toBe(keys[0])
})

it('two clicks at once are one request', async () => {
  expect(await Promise.all([send({ twice: true }), send({ twice: true })])).toEqual([{ id: 'made' }, { id: 'made' }])
  expect(keys).toHaveLength(1)
})
