/** Keeps so much of what was taken and gives the rest back; 0: all of it. More than before is never kept. */
export type Keep = (bytes: number) => void

/** Room for so many bytes at once. First come, first served, whatever the size: nobody is overtaken for ever. */
export function createRoom(bytes: number) {
  let free = bytes
  const waiting: { wanted: number; enter: () => void }[] = []

  function admit(): void {
    while (waiting[0] && waiting[0].wanted <= free) {
      const { wanted, enter } = waiting.shift()!
      free -= wanted
      enter()
    }
  }

  return {
    /** Waits for its turn; null when it was stopped meanwhile. Whoever wants more than there is gets all there is. */
    async take(wanted: number, signal: AbortSignal): Promise<Keep | null> {
      if (signal.aborted) return null
      let held = Math.min(wanted, bytes)
      const entered = await new Promise<boolean>((resolve) => {
        const leave = () => {
          waiting.splice(waiting.indexOf(place), 1)
          resolve(false)
          admit()
        }
        const place = {
          wanted: held,
          enter: () => {
            signal.removeEventListener('abort', leave)
            resolve(true)
          },
        }
        signal.addEventListener('abort', leave, { once: true })
        waiting.push(place)
        admit()
      })
      if (!entered) return null
      return (kept) => {
        const less = Math.min(held, kept)
        free += held - less
        held = less
        admit()
      }
    },
  }
}
