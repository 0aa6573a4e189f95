import { isKey } from './key.ts'

/** Bucket and path, decoded, of an address of the form in which stored files are served, whoever's host; null for any other. */
export function fileNameIn(url: string): { bucket: string; path: string } | null {
  const [, bucket, path] = /\/storage\/v1\/object\/(?:public|sign)\/([^/?#]+)\/([^?#]+)/.exec(url) ?? []
  if (!bucket || !path) return null
  try {
    const name = { bucket: decodeURIComponent(bucket), path: decodeURIComponent(path) }
    return isKey(`${name.bucket}/${name.path}`) ? name : null
  } catch {
    return null // percent signs that mean nothing
  }
}
