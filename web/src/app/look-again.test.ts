import { QueryClient, QueryObserver } from '@tanstack/react-query'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { api } from './api.ts'
import { lookAgainAt } from './look-again.ts'

/** A line so slow that the test says when an answer comes. */
function slowLine() {
  const asked: { answer: (body: unknown) => void; fail: () => void; signal: AbortSignal }[] = []
  vi.stubGlobal('fetch', (_path: string, { signal }: { signal: AbortSignal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
      asked.push({ signal, answer: (body) => resolve(Response.json(body)), fail: () => reject(new TypeError('the line broke')) })
    }))
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } })
  const page = new QueryObserver(client, { queryKey: ['job', '1'], queryFn: ({ signal }) => api<number>('/job', { signal }) })
  const leave = page.subscribe(() => undefined)
  const answer = async (at: number, body: unknown) => {
    asked[at]!.answer(body)
    await vi.waitFor(() => expect(page.getCurrentResult().data).toBe(body))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { asked, leave, answer, look: lookAgainAt(client) }
}

describe('a page that hears much on a slow line', () => {
  afterEach(() => void vi.unstubAllGlobals())

  it('goes on: a read is not cut off for the next, and what was heard meanwhile is one more read', async () => {
    const { asked, answer, look } = slowLine()
    await answer(0, 'first')
    for (let i = 0; i < 10; i++) void look(['job'])
    expect(asked.length).toBe(2)
    await answer(1, 'second')
    expect(asked.length).toBe(3)
    await answer(2, 'third')
    expect(asked.length).toBe(3)
    expect(asked.some(({ signal }) => signal.aborted)).toBe(false)
    void look(['job'])
    expect(asked.length).toBe(4)
  })

  it('reads again what was begun to be read before the news', async () => {
    const { asked, answer, look } = slowLine()
    void look(['job'])
    expect(asked.length).toBe(1)
    await answer(0, 'older than the news')
    expect(asked.length).toBe(2)
    await answer(1, 'new')
    expect(asked.length).toBe(2)
  })

  it('goes on after a read that failed', async () => {
    const { asked, answer, look } = slowLine()
    await answer(0, 'first')
    const looked = look(['job'])
    asked[1]!.fail()
    await looked
    void look(['job'])
    await answer(2, 'second')
    expect(asked.length).toBe(3)
  })

  it('ends a read that nobody waits for any more', async () => {
    const { asked, leave } = slowLine()
    leave()
    expect(asked[0]!.signal.aborted).toBe(true)
  })
})
