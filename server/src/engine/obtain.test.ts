import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspect } from '../media/inspect.ts'
import { createDiskStore, type DiskStore } from '../storage/disk/disk-store.ts'
import { createGuardedFetch } from '../storage/guarded-fetch.ts'
import { createObtain } from './obtain.ts'

let folder: string
let blobs: DiskStore
const guardedFetch = createGuardedFetch({ allowHosts: [] })
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reprise-obtain-'))
  blobs = createDiskStore({ root: folder })
})
afterAll(async () => {
  await guardedFetch.close()
  await rm(folder, { recursive: true, force: true })
})

/** Obtains these bytes as the cover of a song. */
async function cover(bytes: Uint8Array) {
  const stagedKey = `staged/${randomBytes(8).toString('hex')}`
  await blobs.publish(await blobs.stage([bytes] as never, { maxBytes: bytes.length }), stagedKey, { mime: 'image/png' })
  return createObtain({ blobs, guardedFetch })(
    { role: 'cover', sourceUrl: null, stagedKey, providerDurationMs: null, kind: 'song' },
    AbortSignal.timeout(30_000),
  )
}

const staged = () => readdir(join(folder, '.staging'))

describe('a cover that cannot become a JPEG is refused with its reason, and nothing is left behind', () => {
  it('a good PNG that is wider than any JPEG', async () => {
    const bytes = await sharp({ create: { width: 66_000, height: 200, channels: 3, background: '#345' } }).png().toBuffer()
    const path = join(folder, 'wide.png')
    await sharp(bytes).toFile(path)
    expect(await inspect(path, { expect: 'image' })).toMatchObject({ mime: 'image/png' })
    await expect(cover(bytes)).rejects.toMatchObject({ name: 'SaveRefused', code: 'bad_file' })
    expect(await staged()).toEqual([])
  })

  it('one that is too large only as a JPEG', async () => {
    const width = 5_400
    const noise = randomBytes((width * width) / 8)
    const dots = Buffer.alloc(width * width)
    for (let at = 0; at < dots.length; at++) dots[at] = (noise[at >> 3]! >> (at & 7)) & 1 ? 255 : 0
    const bytes = await sharp(dots, { raw: { width, height: width, channels: 1 } }).png({ palette: true, colours: 2, effort: 1, compressionLevel: 1 }).toBuffer()
    expect(bytes.length).toBeLessThan(20 * 2 ** 20)
    await expect(cover(bytes)).rejects.toMatchObject({ name: 'SaveRefused', code: 'file_too_large', final: true })
    expect(await staged()).toEqual([])
  }, 30_000)
})
