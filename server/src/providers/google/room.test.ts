import { describe, expect, it } from 'vitest'
import { createRoom, type Keep } from './room.ts'

const never = new AbortController().signal
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('room for pictures on their way', () => {
  it('who comes later waits until there is room, and never overtakes a larger one', async () => {
    const room = createRoom(10)
    const order: string[] = []
    const enter = (name: string, bytes: number) => room.take(bytes, never).then((keep) => (order.push(name), keep!))
    const first = await enter('first', 8)
    const large = enter('large', 6)
    const small = enter('small', 1)
    await settle()
    expect(order).toEqual(['first'])
    first(3)
    await Promise.all([large, small])
    expect(order).toEqual(['first', 'large', 'small'])
  })

  it('is given back once, however often it is said', async () => {
    const room = createRoom(10)
    const keep = (await room.take(10, never)) as Keep
    for (const kept of [4, 9, 0, 0]) keep(kept)
    const again = (await room.take(10, never)) as Keep
    let entered = false
    void room.take(1, never).then(() => (entered = true))
    await settle()
    expect(entered).toBe(false)
    again(0)
    await settle()
    expect(entered).toBe(true)
  })

  it('who is stopped leaves the queue, and those behind move up', async () => {
    const room = createRoom(10)
    await room.take(8, never)
    const stop = new AbortController()
    const stopped = room.take(10, stop.signal)
    const behind = room.take(2, never)
    stop.abort()
    expect(await stopped).toBeNull()
    expect(await behind).not.toBeNull()
    expect(await room.take(1, AbortSignal.abort())).toBeNull()
  })

  it('whoever wants more than there is gets all there is', async () => {
    const keep = await createRoom(10).take(11, never)
    expect(keep).not.toBeNull()
  })
})
