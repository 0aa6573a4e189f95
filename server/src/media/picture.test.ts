import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanPicture, MOST_MEMORY, thumbnailOf } from './picture.ts'

describe('pictures from strangers', () => {
  let folder: string
  let number = 0
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reprise-pictures-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  async function file(bytes: Uint8Array | string): Promise<string> {
    const path = join(folder, String(number++))
    await writeFile(path, bytes)
    return path
  }
  const clear = (width: number, height: number) => sharp({ create: { width, height, channels: 4, background: { r: 9, g: 90, b: 30, alpha: 0.5 } } })
  const red = (width: number, height: number) => sharp({ create: { width, height, channels: 3, background: '#c00' } })

  it('where a photo was taken is not kept, and it stands upright', async () => {
    const taken = await red(300, 200).withMetadata({ orientation: 6, exif: { IFD0: { Copyright: 'somebody' }, IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '55/1 45/1 0/1' } } }).jpeg().toBuffer()
    expect((await sharp(taken).metadata()).exif).toBeDefined()
    const { bytes, mime, ext, width, height } = await cleanPicture(await file(taken))
    expect([mime, ext, width, height]).toEqual(['image/jpeg', 'jpg', 200, 300])
    const { exif, xmp, iptc } = await sharp(bytes).metadata()
    expect([exif, xmp, iptc]).toEqual([undefined, undefined, undefined])
    expect(bytes.includes('somebody')).toBe(false)
  })

  it('what hides behind a picture is not kept', async () => {
    const polyglot = Buffer.concat([await red(50, 50).png().toBuffer(), Buffer.from('PK\x03\x04<script>alert(1)</script>')])
    const { bytes } = await cleanPicture(await file(polyglot))
    expect(bytes.includes('script')).toBe(false)
  })

  it('transparency is kept, and large ones become 2048 pixels long', async () => {
    const clear = await sharp({ create: { width: 40, height: 40, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } } }).png().toBuffer()
    expect(await cleanPicture(await file(clear))).toMatchObject({ mime: 'image/webp', width: 40, height: 40 })
    expect(await cleanPicture(await file(await red(5000, 2500).jpeg().toBuffer()))).toMatchObject({ width: 2048, height: 1024 })
  })

  it.each([
    ['nothing', '', 'empty'],
    ['an SVG', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><image href="file:///etc/passwd"/></svg>', 'wrong_type'],
    ['a page', '<!doctype html><p>hello', 'wrong_type'],
    ['a GIF', Buffer.from('R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=', 'base64'), 'wrong_type'],
    ['a PDF', '%PDF-1.7\n', 'wrong_type'],
    ['JPEG by its first bytes alone', Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.from('<script>alert(1)</script>')]), 'undecodable'],
  ])('%s is refused', async (_what, bytes, reason) => {
    await expect(cleanPicture(await file(bytes as Uint8Array))).rejects.toMatchObject({ reason })
  })

  it('a picture that breaks off is refused', async () => {
    const whole = await sharp({ create: { width: 400, height: 400, channels: 3, noise: { type: 'gaussian', mean: 128, sigma: 60 }, background: '#000' } }).jpeg().toBuffer()
    await expect(cleanPicture(await file(whole.subarray(0, whole.length / 2)))).rejects.toMatchObject({ reason: 'undecodable' })
  })

  it.each([
    ['20,000 × 20,000 pixels in a small file', () => png(20_000, 20_000)],
    ['one row of a million pixels', () => png(1_000_000, 40)],
    ['50 million pixels of eight bytes, interlaced', () => png(7_071, 7_071, { depth: 16, colour: 6, interlaced: true })],
    ['50 million pixels, interlaced', () => png(7_071, 7_071, { depth: 8, colour: 2, interlaced: true })],
    ['50 million pixels, progressive', () => red(7_071, 7_071).jpeg({ progressive: true }).toBuffer()],
    ['50 million pixels in a WebP', () => red(7_071, 7_071).webp({ effort: 0 }).toBuffer()],
  ])('%s are refused by the header: no memory is taken', async (_what, make) => {
    const { reasons, most } = await inAProcess([await file(await make())])
    expect(reasons).toEqual(['too_many_pixels'])
    expect(most).toBeLessThan(MOST_MEMORY / 10)
  })

  it.each([
    ['a progressive photo of 24 million pixels', () => red(6_000, 4_000).jpeg({ progressive: true, chromaSubsampling: '4:4:4' })],
    ['an interlaced picture with transparency', () => clear(5_400, 5_400).png({ progressive: true, compressionLevel: 1 })],
    ['an interlaced picture of 16 bits', () => clear(3_600, 3_600).toColourspace('rgb16').png({ progressive: true, compressionLevel: 1 })],
    ['a WebP', () => clear(5_700, 5_700).webp({ lossless: true, effort: 0 })],
    ['a wide one that lies on its side', () => clear(16_000, 1_500).png({ compressionLevel: 1 }).withMetadata({ orientation: 6 })],
  ])('%s: two at once never take more than twice what one may', async (_what, make) => {
    const path = await file(await make().toBuffer())
    const { reasons, most } = await inAProcess([path, path])
    expect(reasons).toEqual([null, null])
    expect(most).toBeLessThan(2 * MOST_MEMORY)
    // else this would measure nothing
    expect(most).toBeGreaterThan(MOST_MEMORY / 10)
  }, 90_000)

  it('a small copy is a WebP of 480 pixels at most, a smaller picture keeps its size', async () => {
    expect(await sharp(await thumbnailOf(await file(await red(1000, 2000).png().toBuffer()))).metadata()).toMatchObject({ format: 'webp', width: 480, height: 960 })
    expect(await sharp(await thumbnailOf(await file(await red(100, 50).png().toBuffer()))).metadata()).toMatchObject({ width: 100, height: 50 })
  })
})

const run = promisify(execFile)

/** Makes these anew at once in a process of its own. `most`: the bytes that it grew by, looked at all the while. */
async function inAProcess(paths: string[]): Promise<{ reasons: (string | null)[]; most: number }> {
  const script = `
    const { cleanPicture } = await import(${JSON.stringify(join(import.meta.dirname, 'picture.ts'))})
    const before = process.memoryUsage.rss()
    let most = before
    const look = () => (most = Math.max(most, process.memoryUsage.rss()))
    const looking = setInterval(look, 2)
    const ends = await Promise.allSettled(process.argv.slice(1).map(cleanPicture))
    look()
    clearInterval(looking)
    console.log(JSON.stringify({ reasons: ends.map(({ reason }) => (reason ? (reason.reason ?? String(reason)) : null)), most: most - before }))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script, ...paths])
  return JSON.parse(stdout)
}

/** A PNG of black rows, whole when it has one bit for each pixel: compressed to almost nothing. */
function png(width: number, height: number, { depth = 1, colour = 0, interlaced = false } = {}): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
    const out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(data.length)
    body.copy(out, 4)
    out.writeUInt32BE(crc(body), body.length + 4)
    return out
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width)
  header.writeUInt32BE(height, 4)
  header.set([depth, colour, 0, 0, interlaced ? 1 : 0], 8)
  const rows = deflateSync(Buffer.alloc((Math.ceil(width / 8) + 1) * height))
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), chunk('IHDR', header), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))])
}

function crc(bytes: Buffer): number {
  let value = 0xffffffff
  for (const byte of bytes) {
    value ^= byte
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0)
  }
  return (value ^ 0xffffffff) >>> 0
}
