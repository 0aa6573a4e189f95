import type { AppContext } from '../../http-kit/app-env.ts'
import { createRouter, type App } from '../../http-kit/openapi.ts'
import { AppError } from '../../kernel/errors.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { serveFile } from '../../storage/serve-file.ts'
import type { MediaAccess } from './media-access.ts'
import type { NamedFile, Tracks } from './tracks.queries.ts'

/** Buckets whose files are public as in the seeds. Others answer to a signature or their owner only. */
const PUBLIC_BUCKETS = new Set(['albert-tracks', 'tracks-audio', 'tracks-covers', 'tracks-videos', 'generated-images'])
const FOREVER = 'public, max-age=31536000, immutable'
const MINE = 'private, max-age=3600'
/**
 * Names never change their bytes, so a hit may be remembered; a miss may be published any moment. Not for long: a
 * deleted track loses its names, on every node.
 */
const REMEMBER = 5_000
const REMEMBER_MS = 10_000
const ALERT_EVERY_MS = 60_000

/** Stored files by bucket and path: public, signed, or for their owner. GET and HEAD, with ranges. */
export function filesRoutes({ tracks, serve, media }: { tracks: Tracks; serve: Serve; media: MediaAccess }): App {
  const app = createRouter()
  const remembered = new Map<string, { file: NamedFile; until: number }>()

  async function find(bucket: string, path: string): Promise<NamedFile | null> {
    const key = `${bucket}/${path}`
    const known = remembered.get(key)
    const now = performance.now()
    if (known && known.until > now) return known.file
    const file = await tracks.file(bucket, path)
    if (file) {
      if (remembered.size >= REMEMBER) remembered.delete(remembered.keys().next().value!)
      remembered.set(key, { file, until: now + REMEMBER_MS })
    } else remembered.delete(key)
    return file
  }

  app.get('/storage/v1/object/public/:bucket/:path{.+}', async (c) => {
    const { bucket, path } = c.req.param()
    if (!PUBLIC_BUCKETS.has(bucket)) throw new AppError('not_found')
    const file = await find(bucket, path)
    const identity = c.get('identity')
    const allowed = media.publicMedia || (identity && (identity.operator || identity.userId === file?.userId))
    if (!file || !allowed) throw new AppError('not_found')
    return serve(c, file, media.publicMedia ? FOREVER : MINE)
  })

  app.get('/storage/v1/object/sign/:bucket/:path{.+}', async (c) => {
    const { bucket, path } = c.req.param()
    const verdict = media.verify(bucket, path, new URL(c.req.url).searchParams)
    if (verdict === 'expired') throw new AppError('gone')
    const file = verdict === 'valid' ? await find(bucket, path) : null
    if (!file) throw new AppError('not_found')
    return serve(c, file, MINE)
  })

  return app
}

/** Serves stored files. Bytes that are missing are an alert, once a minute for each file. */
export function createServe(blobs: BlobStore) {
  const alerted = new Map<string, number>()

  function alert(c: AppContext, { bucket, path }: NamedFile): void {
    const name = `${bucket}/${path}`
    const now = performance.now()
    if ((alerted.get(name) ?? -Infinity) > now - ALERT_EVERY_MS) return
    if (alerted.size >= REMEMBER) alerted.delete(alerted.keys().next().value!)
    alerted.set(name, now)
    c.get('logger').error({ bucket, path }, 'ALERT: a stored file is missing')
  }

  return async function serve(c: AppContext, file: NamedFile, cacheControl: string, downloadName?: string): Promise<Response> {
    const response = await serveFile({
      store: blobs, key: file.blobKey, bytes: file.bytes, mime: file.mime, sha256: file.sha256, request: c.req.raw, cacheControl, downloadName,
      headers: { 'cross-origin-resource-policy': 'cross-origin' },
    })
    if (!response) {
      alert(c, file)
      throw new AppError('not_found')
    }
    return response
  }
}

export type Serve = ReturnType<typeof createServe>
