import { requireUser } from '../../http-kit/authentication.ts'
import type { AppContext } from '../../http-kit/app-env.ts'
import { createRouter, type App } from '../../http-kit/openapi.ts'
import { AppError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { Uploads } from './uploads.ts'
import { UPLOADS } from './unnamed-uploads.ts'

type Found = NonNullable<Awaited<ReturnType<Uploads['find']>>>

interface Deps {
  uploads: Uploads
  serve: (c: AppContext, file: Found, cacheControl: string) => Promise<Response>
  /** Where we are reached. */
  base: () => string
  photos: PhotoAddresses
}

/** Addresses of uploads that a plain `<img>` can open for an hour or more: a token cannot travel with it. */
export interface PhotoAddresses {
  of(userId: string, id: string): string
  /** Whose upload this query opens. */
  opened(id: string, query: URLSearchParams): string | null
}

interface Signing {
  base: () => string
  queryOf: (bucket: string, path: string) => string
  verify: (bucket: string, path: string, query: URLSearchParams) => 'valid' | 'expired' | 'invalid'
}

export const createPhotoAddresses = ({ base, queryOf, verify }: Signing): PhotoAddresses => ({
  of: (userId, id) => `${base()}/api/uploads/images/${id}?owner=${userId}&${queryOf(UPLOADS, `${userId}/${id}`)}`,
  opened(id, query) {
    const owner = query.get('owner')
    return owner && verify(UPLOADS, `${owner}/${id}`, query) === 'valid' ? owner : null
  },
})

/**
 * Photos for image jobs. The picture is the body itself (JPEG, PNG or WebP, at most 15 MB), one in each request. Answers
 * `url`, by which jobs name it and its owner reads it, and `previewUrl`, which works for an hour without signing in.
 */
export function uploadsRoutes({ uploads, serve, base, photos }: Deps): App {
  const app = createRouter()

  app.post('/api/uploads/images', async (c) => {
    const { userId } = requireUser(c)
    // Also for those who send a form or JSON: what comes here are the bytes of a picture.
    const type = c.req.header('content-type')?.split(';')[0]!.trim().toLowerCase()
    if (!type || !(type.startsWith('image/') || type === 'application/octet-stream')) throw new AppError('unsupported_media_type')
    const body = c.req.raw.body
    if (!body) throw new AppError('validation_failed', {}, [{ path: 'image', rule: 'required', message: '' }])
    const { id, mime, bytes, width, height } = await uploads.receive(userId, body as unknown as AsyncIterable<Uint8Array>, c.req.raw.signal)
    return c.json({ id, url: `${base()}/api/uploads/images/${id}`, previewUrl: photos.of(userId, id), mime, bytes, width, height }, 201)
  })

  app.get('/api/uploads/images/:id', async (c) => {
    const { id } = c.req.param()
    const userId = photos.opened(id, new URL(c.req.url).searchParams) ?? requireUser(c).userId
    const file = isUuid(id) ? await uploads.find(userId, id) : null
    if (!file) throw new AppError('not_found')
    return serve(c, file, 'private, max-age=3600')
  })

  return app
}
