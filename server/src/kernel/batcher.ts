interface BatcherOptions<Item, Answer> {
  /** Does many at once, all or nothing; answers in their order. One that is a promise does not hold up the next batch. */
  together: (items: Item[]) => Promise<(Answer | Promise<Answer>)[]>
  alone: (item: Item) => Promise<Answer>
  /** Whether nothing at all was done, so that each may be tried alone: one bad item must not take the others with it. */
  undone: (error: unknown) => boolean
  /** Most in one batch. */
  most: number
  /** Batches under way at once: one waits for its commit while the next is filled. */
  lanes: number
  /** What items contend for: never in two batches at once, where one would wait for the other's lock with all its items. */
  keyOf?: (item: Item) => string
}

/**
 * Gathers what is asked while earlier batches are under way and does it together: an idle system does each at once,
 * a busy one pays for a commit once per batch.
 */
export function createBatcher<Item, Answer>({ together, alone, undone, most, lanes, keyOf }: BatcherOptions<Item, Answer>) {
  interface Waiting {
    item: Item
    resolve: (answer: Answer | Promise<Answer>) => void
    reject: (error: unknown) => void
  }
  let waiting: Waiting[] = []
  const inUse = new Set<string>()
  let underWay = 0

  /** The oldest that wait for nobody, in their order. */
  function take(): Waiting[] {
    const batch: Waiting[] = []
    const left: Waiting[] = []
    for (const one of waiting) (batch.length < most && !(keyOf && inUse.has(keyOf(one.item))) ? batch : left).push(one)
    waiting = left
    return batch
  }

  async function flush(): Promise<void> {
    if (underWay >= lanes || waiting.length === 0) return
    const batch = take()
    if (batch.length === 0) return
    underWay++
    const keys = keyOf ? batch.map(({ item }) => keyOf(item)) : []
    keys.forEach((key) => inUse.add(key))
    try {
      if (batch.length === 1) batch[0]!.resolve(await alone(batch[0]!.item))
      else {
        const answers = await together(batch.map(({ item }) => item))
        batch.forEach(({ resolve }, place) => resolve(answers[place]!))
      }
    } catch (error) {
      for (const { item, resolve, reject } of batch) {
        if (batch.length > 1 && undone(error)) resolve(alone(item))
        else reject(error)
      }
    } finally {
      underWay--
      keys.forEach((key) => inUse.delete(key))
      if (waiting.length) setImmediate(flush)
    }
  }

  return (item: Item): Promise<Answer> =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (underWay < lanes) setImmediate(flush)
    })
}
