import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { AppContext } from './app-env.ts'
import { etagOf, matchesEtag } from './etag.ts'
import type { App } from './openapi.ts'

interface Asset {
  mime: string
  etag: string
  forever: boolean
  plain: Buffer
  br: Buffer | null
  gzip: Buffer | null
}

const MIMES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml',
  '.json': 'application/json', '.png': 'image/png', '.ico': 'image/x-icon', '.woff2': 'font/woff2', '.webmanifest': 'application/manifest+json', '.txt': 'text/plain; charset=utf-8',
}
const TEXTUAL = /^(text|application\/(json|manifest)|image\/svg)/
/** Pages of the application; anything else that nobody serves is a 404. */
const NOT_PAGES = /^\/(api|assets|functions|storage|docs|openapi\.json|metrics|livez|readyz)(\/|$)/
const POLICY = "default-src 'self'; img-src 'self' data: blob: https: http:; media-src 'self' blob: https: http:; connect-src 'self' https: http:; style-src 'self' 'unsafe-inline'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

/** Serves the built page from memory: few files, compressed once at start. Unknown page addresses get the application. */
export function mountWebPage(app: App, folder: string): boolean {
  if (!existsSync(join(folder, 'index.html'))) return false
  const assets = new Map<string, Asset>()
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('.')) continue
    const path = join(entry.parentPath, entry.name)
    assets.set(path.slice(folder.length).replaceAll('\\', '/'), readAsset(path))
  }
  const index = assets.get('/index.html')!
  app.get('*', async (c, next) => {
    const asset = assets.get(c.req.path) ?? (NOT_PAGES.test(c.req.path) ? null : index)
    if (!asset) return next()
    return answer(c, asset)
  })
  return true
}

function readAsset(path: string): Asset {
  const plain = readFileSync(path)
  const mime = MIMES[extname(path)] ?? 'application/octet-stream'
  const worth = TEXTUAL.test(mime) && plain.length > 512
  return {
    mime, plain, etag: etagOf(plain), forever: /[/\\]assets[/\\]/.test(path),
    br: worth ? brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }) : null, gzip: worth ? gzipSync(plain) : null,
  }
}

function answer(c: AppContext, asset: Asset): Response {
  const headers: Record<string, string> = {
    etag: asset.etag, vary: 'accept-encoding', 'content-type': asset.mime,
    'cache-control': asset.forever ? 'public, max-age=31536000, immutable' : 'no-cache',
    ...(asset.mime.startsWith('text/html') ? { 'content-security-policy': POLICY, 'referrer-policy': 'same-origin' } : {}),
  }
  if (matchesEtag(c.req.header('if-none-match'), asset.etag)) return c.body(null, 304, headers)
  const accepts = c.req.header('accept-encoding') ?? ''
  const encoding = asset.br && /\bbr\b/.test(accepts) ? 'br' : asset.gzip && /\bgzip\b/.test(accepts) ? 'gzip' : null
  const bytes = encoding ? asset[encoding]! : asset.plain
  return c.body(bytes as Uint8Array<ArrayBuffer>, 200, encoding ? { ...headers, 'content-encoding': encoding } : headers)
}
