import type { SimulatorClock } from './clock.ts'

/** Things to do at a moment of the simulator's clock. One timer, however many entries wait. */
export interface Agenda {
  at(moment: number, action: () => void): void
  clear(): void
}

/** Node's timers overflow beyond 2^31 ms. */
const LONGEST_TIMER = 2 ** 31 - 1

export function createAgenda(clock: SimulatorClock): Agenda {
  const heap: { moment: number; order: number; action: () => void }[] = []
  let order = 0
  let timer: NodeJS.Timeout | null = null

  const before = (a: number, b: number) => {
    const x = heap[a]!
    const y = heap[b]!
    return x.moment < y.moment || (x.moment === y.moment && x.order < y.order)
  }
  const swap = (a: number, b: number) => {
    const kept = heap[a]!
    heap[a] = heap[b]!
    heap[b] = kept
  }
  const push = (entry: (typeof heap)[number]) => {
    let i = heap.push(entry) - 1
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!before(i, parent)) break
      swap(i, parent)
      i = parent
    }
  }
  const pop = () => {
    const first = heap[0]
    const last = heap.pop()
    if (first && last && heap.length) {
      heap[0] = last
      let i = 0
      for (;;) {
        let least = i
        for (const child of [2 * i + 1, 2 * i + 2]) if (child < heap.length && before(child, least)) least = child
        if (least === i) break
        swap(i, least)
        i = least
      }
    }
    return first
  }

  const wake = () => {
    if (timer) clearTimeout(timer)
    timer = null
    while (heap[0] && heap[0].moment <= clock.now()) pop()!.action()
    arm()
  }
  const arm = () => {
    const next = heap[0]
    if (!next) return
    if (timer) clearTimeout(timer)
    // Not unref'd: a pending callback is a promise to somebody outside.
    timer = setTimeout(wake, Math.min(Math.max(0, next.moment - clock.now()), LONGEST_TIMER))
  }
  clock.onMove(wake)

  return {
    at(moment, action) {
      push({ moment, order: order++, action })
      // Never run inside the caller: an action may be the answer to the call that plans it.
      if (heap[0]!.order === order - 1 || !timer) arm()
    },
    clear() {
      heap.length = 0
      if (timer) clearTimeout(timer)
      timer = null
    },
  }
}
