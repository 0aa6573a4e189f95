import { createHmac, timingSafeEqual } from 'node:crypto'
import { setting, text } from '../config/setting.ts'

export const settings = {
  mediaSigningSecret: setting({
    env: 'MEDIA_SIGNING_SECRET',
    doc: 'Key of the signatures in time-limited media addresses. Made and kept when absent; the same on every node.',
    schema: text(),
    secret: true,
  }),
}

export interface SignedMedia {
  secret: string
  bucket: string
  /** Path inside the bucket, decoded. */
  path: string
}

/**
 * The query (`expires=…&signature=…`) that opens exactly this file until then.
 * @param media.expiresAt epoch milliseconds; rounded up to a second.
 */
export function signMediaPath(media: SignedMedia & { expiresAt: number }): string {
  const expires = Math.ceil(media.expiresAt / 1000)
  return `expires=${expires}&signature=${signature(media, expires).toString('base64url')}`
}

/** Whether a query opens this file now. `expired` is told apart only when the signature itself is right. */
export function verifyMediaPath(
  media: SignedMedia & { query: URLSearchParams; now: number },
): 'valid' | 'expired' | 'invalid' {
  const expires = media.query.get('expires') ?? ''
  if (!/^[1-9]\d{0,11}$/.test(expires)) return 'invalid'
  const given = Buffer.from(media.query.get('signature') ?? '', 'base64url')
  const right = signature(media, Number(expires))
  if (given.length !== right.length || !timingSafeEqual(given, right)) return 'invalid'
  return Number(expires) * 1000 > media.now ? 'valid' : 'expired'
}

/** Lengths go in too, so that no other split into bucket and path gives the same text. */
function signature({ secret, bucket, path }: SignedMedia, expires: number): Buffer {
  if (!secret) throw new Error('media signing secret is empty')
  const text = `media:${bucket.length}:${path.length}:${expires}:${bucket}/${path}`
  return createHmac('sha256', secret).update(text).digest()
}
