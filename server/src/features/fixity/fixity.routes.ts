import { createRoute, z } from '@hono/zod-openapi'
import { Gauge, type Registry } from 'prom-client'
import { requireOperator } from '../../http-kit/authentication.ts'
import { createRouter, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import type { Fixity } from './fixity.ts'

const time = z.iso.datetime()
const boardSchema = z.object({
  days: z.int().openapi({ description: 'Every file is read and hashed again within so many days' }),
  mbPerSec: z.int(),
  progress: z.object({
    files: z.int().openapi({ description: 'Names of stored files; several may mean the same bytes' }), bytes: z.int(),
    due: z.int().openapi({ description: 'To be read now: two thirds of their time are over' }),
    overdue: z.int().openapi({ description: 'Not read within these days' }), oldestAt: time.nullable(), lastAt: time.nullable(),
  }),
  lastPass: z.object({ startedAt: time, endedAt: time, files: z.int(), bytes: z.int(), damaged: z.int(), orphans: z.int() }).nullable()
    .openapi({ description: 'The last comparison of all records with all files; daily' }),
  open: z.record(z.string(), z.int()).openapi({ description: 'Findings that are still so, by kind' }),
  findings: z.array(z.object({
    id: z.int(), key: z.string(), kind: z.enum(['missing', 'truncated', 'altered', 'flipped', 'unreadable', 'orphan']), detail: z.string().nullable(),
    foundAt: time, tries: z.int(), nextAt: time.nullable(), aside: z.string().nullable(), repairedAt: time.nullable(), endedAt: time.nullable(), toldAt: time.nullable(),
    userId: z.string().nullable(), trackId: z.string().nullable(), title: z.string().nullable(),
  })).openapi({ description: 'The newest 200, those that are still so first' }),
}).openapi('FixityBoard')

const read = createRoute({
  method: 'get', path: '/api/fixity', tags: ['Archive'], summary: 'Whether all stored files are whole (operator)',
  responses: { 200: jsonResponse(boardSchema, 'Progress, the last comparison, findings'), ...problemResponses('unauthorized', 'forbidden') },
})

export function fixityRoutes({ fixity, days, mbPerSec }: { fixity: Pick<Fixity, 'board'>; days: number; mbPerSec: number }): App {
  const app = createRouter()
  const iso = (at: Date | null) => at?.toISOString() ?? null

  app.openapi(read, async (c) => {
    requireOperator(c)
    const { progress, pass, open, findings } = await fixity.board()
    return c.json({
      days, mbPerSec,
      progress: {
        files: progress.files, bytes: progress.bytes, due: progress.due, overdue: progress.overdue,
        oldestAt: iso(progress.oldest), lastAt: iso(progress.last),
      },
      lastPass: pass && {
        startedAt: pass.started_at.toISOString(), endedAt: pass.ended_at.toISOString(), files: pass.files, bytes: pass.bytes, damaged: pass.damaged, orphans: pass.orphans,
      },
      open: Object.fromEntries(open.map(({ kind, count }) => [kind, count])),
      findings: findings.map((row) => ({
        id: row.id, key: row.blob_key, kind: row.kind, detail: row.detail, foundAt: row.found_at.toISOString(), tries: row.tries, nextAt: iso(row.next_at),
        aside: row.aside, repairedAt: iso(row.repaired_at), endedAt: iso(row.ended_at), toldAt: iso(row.told_at),
        userId: row.user_id, trackId: row.track_id, title: row.title,
      })),
    }, 200)
  })

  return app
}

/** What an operator watches. */
export function watchFixity(registry: Registry, fixity: Pick<Fixity, 'overdue' | 'openFindings'>): void {
  new Gauge({
    name: 'reprise_fixity_overdue_files', help: 'Stored files that were not read again within FIXITY_DAYS.', registers: [registry],
    async collect() {
      this.set(await fixity.overdue())
    },
  })
  new Gauge({
    name: 'reprise_fixity_findings_open', help: 'Stored files that are damaged, missing or without a record, by kind.', labelNames: ['kind'], registers: [registry],
    async collect() {
      this.reset()
      for (const { kind, count } of await fixity.openFindings()) this.set({ kind }, count)
    },
  })
}
