import { createRouter, type App } from '../../http-kit/openapi.ts'
import type { createCallbackDoor } from '../../engine/callbacks.ts'
import type { Clock } from '../../kernel/clock.ts'

/** The addresses that providers call. Seed 001 fixed Suno's. */
export const CALLBACK_PATHS: Record<string, string> = { suno: '/api/webhooks/suno/music', replicate: '/api/webhooks/replicate' }

/**
 * Callbacks of providers: open to all, believed by nobody. Answered 200 once the hint is in the database; when it
 * cannot be written the provider is answered 5xx, so that it calls again.
 */
export function callbackRoutes({ door, clock }: { door: ReturnType<typeof createCallbackDoor>; clock: Clock }): App {
  const app = createRouter()
  for (const [provider, path] of Object.entries(CALLBACK_PATHS)) {
    app.post(path, async (c) => {
      const body = new Uint8Array(await c.req.arrayBuffer())
      const result = await door.receive(provider, c.req.query('token') ?? null, { body, headers: c.req.header(), now: clock.now() })
      c.get('logger').debug({ provider, result }, 'callback')
      return c.json({ success: true, ok: true })
    })
  }
  return app
}
