import { createRoute, z } from '@hono/zod-openapi'
import { requireOperator, requireServiceRole } from '../../http-kit/authentication.ts'
import { functionBody } from '../../http-kit/functions.ts'
import { createRouter, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import type { Database } from '../../database/pool.ts'
import { AppError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { Archive } from './archive.ts'
import type { Board } from './board.ts'

const target = <T extends z.ZodRawShape>(shape: T) => z.object({ ...shape, target: z.number() })
const boardSchema = z.object({
  targets: z.object({
    archivedBeforeExpiry: target({ percent: z.number().nullable() }), failures: target({ percent: z.number().nullable() }),
    averageSeconds: target({ seconds: z.number().nullable() }), lost: target({ count: z.int() }),
  }).openapi({ description: 'Of the last 30 days; null when there was nothing yet' }),
  counts: z.object({ archived: z.int(), unverified: z.int(), pending: z.int(), urgent: z.int(), expired: z.int(), percentage: z.number() }),
  forecast: z.object({ newTracksPerMonth: z.int(), audioGb: z.number(), coverGb: z.number(), videoGb: z.number(), totalGb: z.number(), pricePerGbMonth: z.number(), usdPerMonth: z.number() })
    .openapi({ description: 'What the tracks of a month like the last cost to keep, each month; what users listen to is not included' }),
  expiringSoon: z.array(z.object({
    trackId: z.uuid(), userId: z.uuid(), title: z.string().nullable(), expiresAt: z.iso.datetime(), daysUntilExpiry: z.number(), audioStored: z.boolean(),
    lastError: z.string().nullable(), nextAt: z.iso.datetime().nullable(),
  })),
  failures: z.array(z.object({ jobId: z.uuid(), trackId: z.uuid(), title: z.string().nullable(), error: z.string().nullable(), at: z.iso.datetime() })),
  runs: z.object({ last: z.object({ at: z.iso.datetime(), ok: z.boolean(), error: z.string().nullable() }).nullable(), nextAt: z.iso.datetime() }),
}).openapi('ArchiveBoard')

const readBoard = createRoute({
  method: 'get', path: '/api/archive', tags: ['Archive'], summary: 'How the archive does (operator)',
  responses: { 200: jsonResponse(boardSchema, 'Targets, counts, forecast, what expires soon, failures, runs'), ...problemResponses('unauthorized', 'forbidden') },
})
const archiveNow = createRoute({
  method: 'post', path: '/api/archive/{trackId}', tags: ['Archive'], summary: 'Archive a track now (operator)', request: { params: z.object({ trackId: z.uuid() }) },
  responses: { 202: jsonResponse(z.object({ jobId: z.uuid() }), 'Taken up'), ...problemResponses('unauthorized', 'forbidden', 'not_found') },
})

/** The seed's function waits at most so long; the work goes on. */
const WAIT_MS = 120_000
const MOST = 200

interface Deps {
  archive: Archive
  board: { read(): Promise<Board> }
  db: Database
  schema: string
}

/** Seed 002's `archive-tracks`, and the operator's board. */
export function archiveRoutes({ archive, board, db, schema }: Deps): App {
  const app = createRouter()

  app.post('/functions/v1/archive-tracks', async (c) => {
    requireServiceRole(c)
    const body = await functionBody(c)
    const tracks = await wanted(body)
    const open = tracks.filter((track) => !track.archived)
    const jobs = await archive.request(open.map((track) => track.id), 'request')
    const ends = await archive.waitFor(jobs.values(), WAIT_MS, c.req.raw.signal)
    const errors = open.flatMap((track) => {
      const end = ends.get(jobs.get(track.id) ?? '')
      return end?.status === 'failed' ? [{ trackId: track.id, title: track.title, error: end.error }] : []
    })
    const succeeded = tracks.length - open.length + [...ends.values()].filter((end) => end.status === 'completed').length
    return c.json({
      success: true, message: `Archived ${succeeded}/${tracks.length} tracks`,
      results: { total: tracks.length, succeeded, failed: errors.length, errors },
    })
  })

  app.openapi(readBoard, async (c) => {
    requireOperator(c)
    return c.json(await board.read(), 200)
  })

  app.openapi(archiveNow, async (c) => {
    requireOperator(c)
    const { trackId } = c.req.valid('param')
    const jobId = (await archive.request([trackId], 'operator')).get(trackId)
    if (!jobId) throw new AppError('not_found')
    return c.json({ jobId }, 202)
  })

  /** The track that the body names, archived or not, or the most urgent ones. */
  async function wanted({ trackId, limit }: Record<string, unknown>): Promise<{ id: string; title: string | null; archived: boolean }[]> {
    if (trackId !== undefined && trackId !== null) {
      const { rows } = await db.query<{ id: string; title: string | null; archived: boolean }>(
        `select id, title, archived_to_storage and not exists (select from reprise.archivals a where a.track_id = t.id) as archived from "${schema}".tracks t where id = $1 and deleted_at is null`,
        [isUuid(String(trackId)) ? trackId : null])
      if (!rows[0]) throw new AppError('not_found')
      return rows
    }
    if (limit !== undefined && (typeof limit !== 'number' || !Number.isFinite(limit) || limit < 1)) {
      throw new AppError('validation_failed', {}, [{ path: 'limit', rule: 'too_small', message: 'expected a number of 1 or more' }])
    }
    const { rows } = await db.query<{ id: string; title: string | null; archived: boolean }>(
      `select track_id as id, title, false as archived from "${schema}".get_tracks_needing_archiving($1)`, [Math.min(MOST, Math.floor((limit as number | undefined) ?? 50))])
    return rows
  }

  return app
}
