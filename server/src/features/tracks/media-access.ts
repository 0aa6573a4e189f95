import type { Clock } from '../../kernel/clock.ts'
import { fileNameIn } from '../../storage/file-address.ts'
import { signMediaPath, verifyMediaPath } from '../../storage/media-url.ts'
import { publicUrl } from './tracks.listener.ts'

/** How long a signed address works at least; a page that is open longer asks again. */
const SIGNED_MS = 3_600_000
/** For so long it stays the same text: a browser that has the picture need not fetch it again with every list. */
const SAME_MS = 1_800_000

/** Addresses of stored files and who may open them. */
export function createMediaAccess(options: {
  publicMedia: boolean
  secret: string
  /** Under which this process is reached. */
  base: () => string
  /** With which our own addresses in columns begin: another process may have written them. */
  columnBases: () => string[]
  clock: Clock
}) {
  const { publicMedia, secret, base, columnBases, clock } = options
  const queryOf = (bucket: string, path: string) => signMediaPath({ secret, bucket, path, expiresAt: Math.ceil((clock.now() + SIGNED_MS) / SAME_MS) * SAME_MS })
  function signed(bucket: string, path: string): string {
    const query = queryOf(bucket, path)
    return `${base()}/storage/v1/object/sign/${bucket}/${path.split('/').map(encodeURIComponent).join('/')}?${query}`
  }
  return {
    publicMedia,
    /** The query that opens this name for an hour or more, at a door that verifies it. */
    queryOf,
    /** Opens for everybody who has it, for an hour or more: also what lies in a private bucket. */
    signed,
    /** An address that a plain `<audio>` or `<img>` can open: public, or signed for an hour. */
    urlOf(bucket: string, path: string, sha256: string): string {
      return publicMedia ? publicUrl(base(), bucket, path, sha256) : signed(bucket, path)
    },
    /** The same for an address as it stands in a column: of ours, by whichever of our names it begins with, or somebody else's. */
    playable(url: string): string {
      const own = [base(), ...columnBases()].find((one) => url.startsWith(`${one}/storage/v1/object/public/`))
      const name = own === undefined ? null : fileNameIn(url)
      if (own === undefined || !name) return url
      return publicMedia ? base() + url.slice(own.length) : signed(name.bucket, name.path)
    },
    verify: (bucket: string, path: string, query: URLSearchParams) => verifyMediaPath({ secret, bucket, path, query, now: clock.now() }),
  }
}

export type MediaAccess = ReturnType<typeof createMediaAccess>
