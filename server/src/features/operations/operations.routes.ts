import { createRoute, z } from '@hono/zod-openapi'
import { Gauge, type Registry } from 'prom-client'
import type { Database } from '../../database/pool.ts'
import { createRouter, jsonResponse, type App } from '../../http-kit/openapi.ts'

const info = createRoute({
  method: 'get', path: '/api/info', tags: ['Operations'], summary: 'What this installation is', security: [],
  responses: { 200: jsonResponse(z.object({ name: z.literal('Reprise'), version: z.string(), demo: z.boolean(), providers: z.array(z.string()), models: z.array(z.string()).openapi({ description: 'Current models of all providers' }), modelsOf: z.record(z.string(), z.array(z.string())).openapi({ description: 'The same by provider' }), defaultModels: z.record(z.string(), z.string()).openapi({ description: 'What each provider takes when no model is named, and whose price then holds' }), imageProvider: z.string().openapi({ description: 'Who makes the pictures of image jobs' }) }), 'Name, version, demo or not') },
})

export function operationsRoutes(about: { version: string; demo: boolean; providers: string[]; models: string[]; modelsOf?: Record<string, string[]>; defaultModels?: Record<string, string>; imageProvider?: string }): App {
  const app = createRouter()
  app.openapi(info, (c) => c.json({ name: 'Reprise' as const, modelsOf: {}, defaultModels: {}, imageProvider: '', ...about }, 200))
  return app
}

/** What an operator watches: how much is open in which state, what is overdue, what waits for a slot. */
export function watchGenerations(registry: Registry, db: Database): void {
  const overdue = new Gauge({ name: 'reprise_generations_overdue', help: 'Open generations that nobody has looked after for a minute past their time.', registers: [registry] })
  const waiting = new Gauge({ name: 'reprise_generations_waiting', help: 'Generations that wait for a slot at the provider.', registers: [registry] })
  new Gauge({
    name: 'reprise_generations_open', help: 'Open generations by state.', labelNames: ['state'], registers: [registry],
    async collect() {
      const { rows } = await db.query<{ state: string; open: number; overdue: number; waiting: number }>(
        `select state, count(*) as open, count(*) filter (where next_at < reprise.now() - interval '60 seconds' and coalesce(lease_until < reprise.now(), true)) as overdue,
           count(dispatch_at) as waiting from reprise.generations where next_at is not null and finished_at is null group by state`)
      this.reset()
      for (const row of rows) this.set({ state: row.state }, row.open)
      overdue.set(rows.reduce((sum, row) => sum + row.overdue, 0))
      waiting.set(rows.reduce((sum, row) => sum + row.waiting, 0))
    },
  })
}
