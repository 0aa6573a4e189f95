/** Keeps made files in memory up to `maxBytes`, least recently used dropped first; one making serves all askers. */
export interface FileMemory {
  get(key: string, make: () => Promise<Buffer>): Promise<Buffer>
}

export function createFileMemory(maxBytes: number): FileMemory {
  const kept = new Map<string, Buffer>()
  const making = new Map<string, Promise<Buffer>>()
  let bytes = 0
  const keep = (key: string, file: Buffer) => {
    kept.set(key, file)
    bytes += file.length
    for (const [oldest, old] of kept) {
      if (bytes <= maxBytes || oldest === key) break
      kept.delete(oldest)
      bytes -= old.length
    }
  }
  return {
    get(key, make) {
      const file = kept.get(key)
      if (file) {
        kept.delete(key)
        kept.set(key, file)
        return Promise.resolve(file)
      }
      const running = making.get(key)
      if (running) return running
      const started = make()
        .then((made) => {
          keep(key, made)
          return made
        })
        .finally(() => making.delete(key))
      making.set(key, started)
      return started
    },
  }
}
