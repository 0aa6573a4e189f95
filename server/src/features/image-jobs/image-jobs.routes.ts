import { createRoute, z } from '@hono/zod-openapi'
import type { AppContext } from '../../http-kit/app-env.ts'
import { actingUser, requireUser } from '../../http-kit/authentication.ts'
import { breakable } from '../../http-kit/breakable.ts'
import { withEtag } from '../../http-kit/etag.ts'
import { functionBody } from '../../http-kit/functions.ts'
import { createRouter, jsonBody, jsonResponse, problemResponses, type App } from '../../http-kit/openapi.ts'
import { decodeCursor, encodeCursor, pageOf, pageQuery } from '../../http-kit/paging.ts'
import { AppError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import { attachment } from '../../storage/serve-file.ts'
import { jobSchema, jobView, wholeJobSchema, wholeJobView } from './image-job-view.ts'
import type { CardRow, ImageJobQueries, JobRow, StoredPicture } from './image-jobs.queries.ts'
import { readJobWish } from './job-wish.ts'
import type { CardAction, Jobs, StartedJob } from './jobs.ts'

/** A file of a ZIP, as the room that makes ZIPs takes it. */
export interface ZipFile {
  name: string
  sha256: string
  bytes: number
  at: Date
  content: StoredPicture
}

interface Deps {
  jobs: Jobs
  queries: ImageJobQueries
  /** An address that a plain `<img>` can open, also where stored files are not public. */
  playable: (url: string) => string
  /** The same for the address of somebody's photo. */
  previewOf: (userId: string, url: string) => string
  zip: (folder: string, files: ZipFile[]) => ReadableStream<Uint8Array>
  zipLength: (folder: string, files: ZipFile[]) => number
}

const cardParam = z.object({ id: z.uuid(), index: z.coerce.number().int().min(0).max(1_000) })
const keyHeader = z.object({ 'idempotency-key': z.string().min(1).max(200).optional() })
const PAID = ['unauthorized', 'not_found', 'conflict', 'validation_failed', 'insufficient_tokens', 'queue_full', 'provider_not_configured', 'request_in_progress', 'idempotency_key_reused'] as const
const startedSchema = z.object({ jobId: z.uuid() }).openapi('StartedImageJob')

const list = createRoute({
  method: 'get', path: '/api/image-jobs', tags: ['Images'], summary: 'My image jobs, newest first', request: { query: pageQuery },
  responses: { 200: jsonResponse(pageOf(jobSchema), 'A page'), ...problemResponses('unauthorized', 'validation_failed') },
})
const read = createRoute({
  method: 'get', path: '/api/image-jobs/{id}', tags: ['Images'], summary: 'One image job and its cards', request: { params: z.object({ id: z.uuid() }) },
  responses: { 200: jsonResponse(wholeJobSchema, 'As it is now'), ...problemResponses('unauthorized', 'not_found') },
})
const readZip = createRoute({
  method: 'get', path: '/api/image-jobs/{id}/zip', tags: ['Images'], summary: 'Its pictures as a ZIP',
  description: 'All stored pictures of its cards and of what was made again from them. A file that turns out damaged on its way breaks the connection.',
  request: { params: z.object({ id: z.uuid() }) },
  responses: { 200: { description: 'The ZIP', content: { 'application/zip': { schema: z.string() } } }, ...problemResponses('unauthorized', 'not_found') },
})
const again = <const Name extends 'retry' | 'regenerate'>(name: Name, summary: string) => createRoute({
  method: 'post', path: `/api/image-jobs/{id}/cards/{index}/${name}` as const, tags: ['Images'], summary, request: { params: cardParam, headers: keyHeader },
  responses: { 202: jsonResponse(startedSchema, 'A new job with this one card'), ...problemResponses(...PAID) },
})
const retry = again('retry', 'Try a failed card again, at its price')
const regenerate = again('regenerate', 'Make another picture like it, at the price of a regeneration')
const edit = createRoute({
  method: 'post', path: '/api/image-jobs/{id}/cards/{index}/edit', tags: ['Images'], summary: 'Change its picture as asked, at the price of an edit',
  request: { params: cardParam, headers: keyHeader, body: jsonBody(z.object({ instruction: z.string().trim().min(1).max(1_000) })) },
  responses: { 202: jsonResponse(startedSchema, 'A new job with this one card'), ...problemResponses(...PAID) },
})

/** Image jobs: seed 004's functions as its front end calls them, and ours. */
export function imageJobsRoutes({ jobs, queries, playable, previewOf, zip, zipLength }: Deps): App {
  const app = createRouter()

  app.post('/functions/v1/create-generation-job-banana', async (c) => {
    requireUser(c)
    const body = await functionBody(c)
    const userId = await actingUser(c, { bodyUserId: body.userId })
    const { userId: _userId, ...asked } = body
    const started = await jobs.create(userId, readJobWish(asked), asked, keyOf(c), c.req.raw.signal)
    if (started.replayed) c.header('idempotent-replayed', 'true')
    return c.json({ success: true, jobId: started.jobId, message: 'Generation job created' }, 202)
  })

  app.post('/functions/v1/process-generation-tasks-banana', async (c) => {
    const { role } = requireUser(c)
    const body = await functionBody(c)
    const anybody = role === 'service_role' && !c.req.header('x-user-id') && !body.userId
    const userId = anybody ? null : await actingUser(c, { bodyUserId: body.userId })
    const { jobId } = body
    if (jobId === undefined || jobId === null || jobId === '') throw new AppError('validation_failed', {}, [{ path: 'jobId', rule: 'required', message: '' }])
    if (typeof jobId !== 'string' || !isUuid(jobId)) throw new AppError('not_found')
    await jobs.process(jobId, userId, c.req.raw.signal)
    return c.json({ success: true, jobId }, 202)
  })

  const lookOf = async (c: AppContext) => ({ language: c.get('language'), playable, previewOf, prices: await jobs.prices() })

  app.openapi(list, async (c) => {
    const { userId } = requireUser(c)
    const { limit, cursor } = c.req.valid('query')
    const rows = await queries.list(userId, limit + 1, decodeCursor(z.uuid(), cursor))
    const page = rows.slice(0, limit)
    const cards = page.length ? await queries.cards(page.map(({ id }) => id), { family: false }) : []
    const look = await lookOf(c)
    const items = page.map((job) => jobView(job, cards, look))
    return withEtag(c, { items, nextCursor: rows.length > limit ? encodeCursor(page.at(-1)!.id) : null })
  })

  /** Operators may look at everybody's; a user sees only their own. */
  async function found(c: AppContext, id: string): Promise<{ job: JobRow; family: CardRow[] }> {
    const identity = requireUser(c)
    const job = await queries.find(id, identity.operator ? null : identity.userId)
    if (!job) throw new AppError('not_found')
    return { job, family: await queries.cards([id], { family: true }) }
  }

  app.openapi(read, async (c) => {
    const { job, family } = await found(c, c.req.valid('param').id)
    return withEtag(c, wholeJobView(job, family, await lookOf(c)))
  })

  app.openapi(readZip, async (c) => {
    const { job, family } = await found(c, c.req.valid('param').id)
    const files = inZip(await queries.storedPictures(family.map(({ id }) => id)))
    if (files.length === 0) throw new AppError('not_found')
    const name = safeName(job.productName ?? 'pictures')
    const head = c.req.raw.method === 'HEAD'
    return new Response(head ? null : breakable(c, zip(name, files)), {
      headers: {
        'content-type': 'application/zip', 'content-length': String(zipLength(name, files)), 'content-disposition': attachment(`${name}.zip`),
        'cache-control': 'no-store', 'x-content-type-options': 'nosniff',
      },
    }) as never
  })

  const act = (c: AppContext, { id, index }: { id: string; index: number }, action: CardAction) =>
    jobs.again(requireUser(c).userId, id, index, action, keyOf(c))
  const accepted = (c: AppContext, { jobId, replayed }: StartedJob) => {
    c.header('location', `/api/image-jobs/${jobId}`)
    if (replayed) c.header('idempotent-replayed', 'true')
    return { jobId }
  }
  app.openapi(retry, async (c) => c.json(accepted(c, await act(c, c.req.valid('param'), { kind: 'retry' })), 202))
  app.openapi(regenerate, async (c) => c.json(accepted(c, await act(c, c.req.valid('param'), { kind: 'regenerate' })), 202))
  app.openapi(edit, async (c) => c.json(accepted(c, await act(c, c.req.valid('param'), { kind: 'edit', instruction: c.req.valid('json').instruction })), 202))

  return app
}

function keyOf(c: AppContext): string | undefined {
  const key = c.req.header('idempotency-key')
  if (key !== undefined && (key.length < 1 || key.length > 200)) throw new AppError('validation_failed', {}, [{ path: 'idempotency-key', rule: 'too_big', message: '' }])
  return key
}

/** `01-cover.png`, then `01-cover-2.png` for what was made again. */
function inZip(pictures: StoredPicture[]): ZipFile[] {
  const taken = new Map<string, number>()
  return pictures.map((picture) => {
    const stem = `${String(picture.index + 1).padStart(2, '0')}-${safeName(picture.type)}`
    const nth = (taken.get(stem) ?? 0) + 1
    taken.set(stem, nth)
    const { sha256, bytes, at } = picture
    return { name: `${stem}${nth > 1 ? `-${nth}` : ''}.${picture.path.split('.').at(-1)}`, sha256, bytes, at, content: picture }
  })
}

/** A name that every file system takes. */
const safeName = (text: string): string => text.normalize('NFC').replace(/[^\p{L}\p{N} _-]+/gu, ' ').replace(/\s+/g, ' ').trim().slice(0, 60).trim() || 'pictures'
