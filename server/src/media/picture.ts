import { open } from 'node:fs/promises'
import sharp, { type Metadata } from 'sharp'
import { BadFile } from './bad-file.ts'
import { MAX_PIXELS } from './inspect.ts'

/** What may be uploaded, by its first bytes: names and declared types say nothing. */
const MAGIC: [type: 'jpeg' | 'png' | 'webp', at: number, bytes: Buffer][] = [
  ['jpeg', 0, Buffer.from([0xff, 0xd8, 0xff])],
  ['png', 0, Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])],
  ['webp', 8, Buffer.from('WEBP')],
]
/** Longest side of what is kept: no model takes more from a reference. */
const LONGEST_SIDE = 2048
const THUMBNAIL_WIDTH = 480
const DECODING_SEC = 20
/**
 * Most bytes that making one picture anew may take for a moment; what would take more is refused by its header. Measured:
 * a picture that comes row by row takes what `ROWS` of them do, others are held whole besides.
 */
export const MOST_MEMORY = 200_000_000
const ROWS = 3_000
/** Row buffers of much wider ones grow beyond what can be foreseen. */
const MOST_SIDE = 16_384

export interface CleanPicture {
  bytes: Buffer
  mime: string
  /** Without the dot. */
  ext: string
  width: number
  height: number
}

/**
 * A picture from a stranger, made anew from its pixels: upright, in sRGB, at most 2048 pixels long, and without anything
 * else that the file held (EXIF with its place, comments, a second file behind it). Transparency is kept (WebP), the rest
 * becomes JPEG. Its size is judged by the header, before anything is decoded: `MOST_MEMORY` is all that it takes.
 * Throws BadFile: `empty`, `wrong_type` (not JPEG, PNG or WebP), `too_many_pixels`, `undecodable`.
 */
export async function cleanPicture(path: string): Promise<CleanPicture> {
  const type = await typeOf(path)
  try {
    const picture = sharp(path, { failOn: 'error', limitInputPixels: MAX_PIXELS, sequentialRead: true }).timeout({ seconds: DECODING_SEC })
    const header = await picture.metadata()
    const { hasAlpha, format } = header
    if (format !== type) throw new BadFile('wrong_type', `${format} that begins like ${type}`)
    checkSize(header)
    const plain = picture.autoOrient().resize({ width: LONGEST_SIDE, height: LONGEST_SIDE, fit: 'inside', withoutEnlargement: true }).toColourspace('srgb')
    const ext = hasAlpha ? 'webp' : 'jpg'
    const { data, info } = await (hasAlpha ? plain.webp({ quality: 92 }) : plain.jpeg({ quality: 92 })).toBuffer({ resolveWithObject: true })
    return { bytes: data, mime: hasAlpha ? 'image/webp' : 'image/jpeg', ext, width: info.width, height: info.height }
  } catch (error) {
    if (error instanceof BadFile) throw error
    const { message } = error as Error
    throw new BadFile(/pixel limit/i.test(message) ? 'too_many_pixels' : 'undecodable', message.slice(0, 200))
  }
}

/** A small WebP for lists, 480 pixels wide at most; of a file or of bytes. Throws BadFile when the picture cannot be read, another error when only time ran out. */
export async function thumbnailOf(picture: string | Uint8Array): Promise<Buffer> {
  try {
    const large = sharp(picture, { failOn: 'error', limitInputPixels: MAX_PIXELS, sequentialRead: true }).timeout({ seconds: DECODING_SEC })
    checkSize(await large.metadata())
    return await large.autoOrient().resize({ width: THUMBNAIL_WIDTH, withoutEnlargement: true }).webp({ quality: 76 }).toBuffer()
  } catch (error) {
    const { message } = error as Error
    throw error instanceof BadFile || /^timeout/i.test(message) ? error : new BadFile('undecodable', message.slice(0, 200))
  }
}

function checkSize(header: Metadata): void {
  const { width, height } = header
  if (width * height <= MAX_PIXELS && Math.max(width, height) <= MOST_SIDE && memoryOf(header) <= MOST_MEMORY) return
  throw new BadFile('too_many_pixels', `${width} × ${height} pixels, ${Math.round(memoryOf(header) / 1e6)} MB`)
}

/** Bytes that decoding takes at most. */
function memoryOf({ format, width, height, channels, depth, isProgressive, chromaSubsampling }: Metadata): number {
  const pixel = channels * (depth === 'uchar' ? 1 : 2)
  const rows = width * Math.min(height, ROWS) * pixel
  if (format === 'webp') return width * height * 4 + rows
  if (!isProgressive) return rows
  // A progressive JPEG is held as coefficients, two bytes each; mostly half of the colours' are left out.
  const whole = format === 'jpeg' ? 2 * (chromaSubsampling === '4:2:0' ? 1.5 : channels) : pixel
  return width * height * whole + rows
}

async function typeOf(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(16), 0, 16, 0)
    if (bytesRead === 0) throw new BadFile('empty', 'no bytes')
    const found = MAGIC.find(([, at, bytes]) => buffer.subarray(at, at + bytes.length).equals(bytes))
    if (!found) throw new BadFile('wrong_type', 'neither JPEG nor PNG nor WebP')
    return found[0]
  } finally {
    await file.close()
  }
}
