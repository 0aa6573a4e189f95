import type { AppContext } from './app-env.ts'

/**
 * A body that may break off on its way. Whoever reads it must see a broken connection, and why belongs into our log: left
 * to the library, the bare error is printed past it.
 */
export function breakable(c: AppContext, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        return done ? controller.close() : controller.enqueue(value)
      } catch (error) {
        c.get('logger').warn({ err: error }, 'an answer broke off')
        const { outgoing } = c.env ?? {}
        if (!outgoing) throw error
        outgoing.destroy()
        await new Promise(() => undefined) // nothing follows: the cut connection cancels this
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 })
}
