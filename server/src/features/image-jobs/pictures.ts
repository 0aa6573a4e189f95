import type { Queryable } from '../../database/pool.ts'
import { AppError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import { BadFile } from '../../media/bad-file.ts'
import type { BlobStore } from '../../storage/blob-store.ts'
import { download, DownloadError } from '../../storage/download.ts'
import { fileNameIn } from '../../storage/file-address.ts'
import type { GuardedFetch } from '../../storage/guarded-fetch.ts'
import type { FieldRule } from '../../texts/texts.ts'
import { MOST_UPLOAD_BYTES, whyRefused, type KeptPicture, type Uploads } from './uploads.ts'

/** The bucket of finished pictures. */
export const PICTURES = 'generated-images'
const FETCH_MS = 20_000

/** An address in a request, and the field that named it. */
export interface NamedAddress {
  field: string
  url: string
}

interface Deps {
  db: Queryable
  blobs: Pick<BlobStore, 'stage'>
  uploads: Uploads
  guardedFetch: GuardedFetch
  /** Where we are reached: addresses that begin so name files of ours. */
  base: () => string
}

/**
 * Finds the pictures that a request names: an upload or a finished picture of the same user, or one outside, which is
 * fetched by the guarded way alone, made anew and kept. Whatever is not to be had is a wrong field: nothing was spent.
 */
export function createPictures({ db, blobs, uploads, guardedFetch, base }: Deps) {
  const wrong = (field: string, rule: FieldRule) => new AppError('validation_failed', {}, [{ path: field, rule, message: '', params: { maximum: MOST_UPLOAD_BYTES / 2 ** 20 } }])

  async function ours(userId: string, { field, url }: NamedAddress): Promise<KeptPicture | null> {
    const path = ownPath(url, base())
    if (path === null) return null
    const upload = uploadAt(path)
    if (upload) {
      const found = isUuid(upload) ? await uploads.use(userId, upload) : null
      if (!found) throw wrong(field, 'no_such_upload')
      return found
    }
    const name = fileNameIn(path)
    if (name?.bucket !== PICTURES) throw wrong(field, 'no_such_picture')
    const { rows } = await db.query<KeptPicture>('select bucket, path from reprise.files where bucket = $1 and path = $2 and user_id = $3', [name.bucket, name.path, userId])
    if (!rows[0]) throw wrong(field, 'no_such_picture')
    return rows[0]
  }

  async function fetched(userId: string, { field, url }: NamedAddress, signal: AbortSignal): Promise<KeptPicture> {
    try {
      const { bucket, path } = await uploads.keep(userId, field, () =>
        download(url, { store: blobs, guardedFetch, maxBytes: MOST_UPLOAD_BYTES, trust: 'user', timeoutMs: FETCH_MS, idleTimeoutMs: 10_000, signal }))
      return { bucket, path }
    } catch (error) {
      if (error instanceof BadFile) throw wrong(field, whyRefused(error))
      if (!(error instanceof DownloadError)) throw error
      if (error.code === 'unsafe_url') throw wrong(field, 'unsafe_address')
      if (error.code === 'too_large') throw wrong(field, 'picture_too_large')
      throw wrong(field, 'not_fetched')
    }
  }

  /** In the order asked for. Ours are looked up before anything is fetched. Throws AppError: validation_failed, too_many_requests. */
  return async function find(userId: string, addresses: NamedAddress[], signal: AbortSignal): Promise<KeptPicture[]> {
    const found: (KeptPicture | null)[] = []
    for (const address of addresses) found.push(await ours(userId, address))
    return Promise.all(addresses.map(async (address, index) => found[index] ?? fetched(userId, address, signal)))
  }
}

export type FindPictures = ReturnType<typeof createPictures>

const uploadAt = (path: string | null): string | undefined => /^\/api\/uploads\/images\/([^/]+)$/.exec(path ?? '')?.[1]

/** The id of the upload of ours that this address names. */
export const uploadIn = (url: string, base: string): string | undefined => uploadAt(ownPath(url, base))

/** The path of an address of ours, relative or whole; null for one outside. */
function ownPath(url: string, base: string): string | null {
  if (/^\/(?![/\\])/.test(url)) return url.split(/[?#]/)[0]!
  if (!URL.canParse(url)) return null
  const { origin, pathname } = new URL(url)
  return origin === new URL(base).origin ? pathname : null
}
