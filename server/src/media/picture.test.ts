import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanPicture, thumbnailOf } from './picture.ts'

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

  it('20,000 × 20,000 pixels in a small file are refused by the header: no memory is taken', async () => {
    const bomb = await file(emptyPng(20_000, 20_000))
    const before = process.memoryUsage().rss
    const started = performance.now()
    await expect(cleanPicture(bomb)).rejects.toMatchObject({ reason: 'too_many_pixels' })
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20)
  })

  it('a small copy is a WebP of 480 pixels at most, a smaller picture keeps its size', async () => {
    expect(await sharp(await thumbnailOf(await file(await red(1000, 2000).png().toBuffer()))).metadata()).toMatchObject({ format: 'webp', width: 480, height: 960 })
    expect(await sharp(await thumbnailOf(await file(await red(100, 50).png().toBuffer()))).metadata()).toMatchObject({ width: 100, height: 50 })
  })
})

/** A PNG of black rows, compressed to almost nothing. */
function emptyPng(width: number, height: number): Buffer {
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
  header.set([1, 0, 0, 0, 0], 8)
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
