import { afterEach, expect, it, vi } from 'vitest'
import { api, fetchFile, serverAway, signedOut } from './api.ts'

afterEach(() => void vi.unstubAllGlobals())
const answering = (answer: () => Response) => vi.stubGlobal('fetch', async () => answer())
const file = new File(['x'], 'x.png', { type: 'image/png' })

it('a sign-in that ran out is seen at files too, going up or coming down', async () => {
  answering(() => Response.json({ code: 'unauthorized' }, { status: 401 }))
  for (const send of [() => api('/api/uploads/images', { method: 'POST', body: file }), () => fetchFile('/zip')]) {
    signedOut.set(false)
    await expect(send()).rejects.toMatchObject({ status: 401 })
    expect(signedOut.get()).toBe(true)
  }
})

it('a file goes as it is, under its own type', async () => {
  const sent: RequestInit[] = []
  vi.stubGlobal('fetch', async (_: string, init: RequestInit) => (sent.push(init), Response.json({})))
  await api('/api/uploads/images', { method: 'POST', body: file })
  expect(sent[0]!.body).toBe(file)
  expect(Object.keys(sent[0]!.headers!)).not.toContain('content-type')
})

it('an answer that breaks off is none', async () => {
  answering(() => new Response(new ReadableStream({ start: (stream) => stream.error(new Error('cut')) })))
  await expect(api('/api/things')).rejects.toMatchObject({ status: 0 })
  expect(serverAway.get()).toBe(true)
})
