import { describe, expect, it } from 'vitest'
import { createBatcher } from './batcher.ts'

describe('a batcher', () => {
  const settings = { most: 3, lanes: 1, keyOf: String, undone: (error: unknown) => (error as Error).message === 'rolled back' }

  it('does one at once, and together what was asked meanwhile, never more than `most`', async () => {
    const sizes: number[] = []
    const ask = createBatcher<number, number>({
      ...settings,
      alone: async (item) => (sizes.push(1), item * 10),
      together: async (items) => (sizes.push(items.length), items.map((item) => item * 10)),
    })
    expect(await ask(7)).toBe(70)
    expect(await Promise.all([1, 2, 3, 4].map(ask))).toEqual([10, 20, 30, 40])
    expect(sizes).toEqual([1, 3, 1])
  })

  it('tries each alone when the batch was rolled back, so that only the bad one fails', async () => {
    const ask = createBatcher<number, number>({
      ...settings,
      alone: async (item) => {
        if (item === 2) throw new Error('bad')
        return item
      },
      together: () => Promise.reject(new Error('rolled back')),
    })
    expect(await Promise.allSettled([1, 2, 3].map(ask))).toMatchObject([{ value: 1 }, { status: 'rejected', reason: { message: 'bad' } }, { value: 3 }])
  })

  it('repeats nothing when the outcome is unknown, and goes on with what comes next', async () => {
    let calls = 0
    const ask = createBatcher<number, number>({
      ...settings,
      alone: async (item) => (calls++, item),
      together: () => Promise.reject(new Error('connection lost')),
    })
    expect(await Promise.allSettled([1, 2].map(ask))).toMatchObject([{ reason: { message: 'connection lost' } }, { reason: { message: 'connection lost' } }])
    expect(calls).toBe(0)
    expect(await ask(5)).toBe(5)
  })

  it('never has the same key in two batches at once, keeps its order, and lets others pass', async () => {
    const log: string[] = []
    const holds = new Map<string, () => void>()
    const work = (items: string[]) => new Promise<string[]>((done) => {
      log.push(items.join(' '))
      holds.set(items[0]!, () => done(items))
    })
    const ask = createBatcher<string, string>({ ...settings, lanes: 2, keyOf: (item) => item[0]!, alone: async (item) => (await work([item]))[0]!, together: work })
    const tick = () => new Promise((resolve) => setTimeout(resolve, 5))
    const all = [ask('a1')]
    await tick()
    all.push(ask('a2'), ask('b1'), ask('a3'))
    await tick()
    expect(log).toEqual(['a1', 'b1'])
    holds.get('b1')!()
    await tick()
    expect(log).toEqual(['a1', 'b1'])
    holds.get('a1')!()
    await tick()
    expect(log).toEqual(['a1', 'b1', 'a2 a3'])
    holds.get('a2')!()
    expect(await Promise.all(all)).toEqual(['a1', 'a2', 'b1', 'a3'])
  })
})
