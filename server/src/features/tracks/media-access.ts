import type { Clock } from '../../kernel/clock.ts'
import { signMediaPath, verifyMediaPath } from '../../storage/media-url.ts'
import { publicUrl } from './tracks.listener.ts'

/** How long a signed address works; a page that is open longer asks again. */
const SIGNED_MS = 3_600_000

/** Addresses of stored files and who may open them. */
export function createMediaAccess(options: { publicMedia: boolean; secret: string; base: () => string; clock: Clock }) {
  const { publicMedia, secret, base, clock } = options
  function signed(bucket: string, path: string): string {
    const query = signMediaPath({ secret, bucket, path, expiresAt: clock.now() + SIGNED_MS })
    return `${base()}/storage/v1/object/sign/${bucket}/${path.split('/').map(encodeURIComponent).join('/')}?${query}`
  }
  return {
    publicMedia,
    /** Opens for everybody who has it, for an hour: also what lies in a private bucket. */
    signed,
    /** An address that a plain `<audio>` or `<img>` can open: public, or signed for an hour. */
    urlOf(bucket: string, path: string, sha256: string): string {
      return publicMedia ? publicUrl(base(), bucket, path, sha256) : signed(bucket, path)
    },
    /** The same for an address as it stands in a column, which may name an address of before. */
    playable(url: string): string {
      const [own, bucket, path] = /\/storage\/v1\/object\/public\/([^/]+)\/([^?]+).*$/.exec(url) ?? []
      if (!own || !bucket || !path) return url
      if (publicMedia) return base() + own
      return this.urlOf(bucket, path.split('/').map(decodeURIComponent).join('/'), '')
    },
    verify: (bucket: string, path: string, query: URLSearchParams) => verifyMediaPath({ secret, bucket, path, query, now: clock.now() }),
  }
}

export type MediaAccess = ReturnType<typeof createMediaAccess>
