import { fileTypeFromFile } from 'file-type'
import { parseFile } from 'music-metadata'
import sharp from 'sharp'
import { BadFile } from './bad-file.ts'
import { CONTAINER_CHECKS } from './containers.ts'
import { openWindow, type FileWindow } from './file-window.ts'
import { readHeader, walkMp3 } from './mp3-frames.ts'

export { BadFile } from './bad-file.ts'

export interface MediaFacts {
  mime: string
  /** Without the dot, as it belongs into a file name. */
  ext: string
  /** Null for images. */
  durationMs: number | null
  /** Bits per second; null for images. */
  bitrate: number | null
  width?: number
  height?: number
}

/** Larger pictures are refused: decoded, this is 150 MB. */
export const MAX_PIXELS = 50_000_000
/** What plays for less is no song. */
const MIN_DURATION_MS = 100

const TYPES: Record<'audio' | 'image' | 'video', Record<string, string>> = {
  audio: {
    mp3: 'audio/mpeg',
    wav: 'audio/wav',
    flac: 'audio/flac',
    ogg: 'audio/ogg',
    oga: 'audio/ogg',
    opus: 'audio/ogg',
    m4a: 'audio/mp4',
    // An MP4 with sound alone is told from a film by its tracks.
    mp4: 'audio/mp4',
  },
  image: { jpg: 'image/jpeg', png: 'image/png', webp: 'image/webp', avif: 'image/avif', gif: 'image/gif' },
  video: { mp4: 'video/mp4', m4v: 'video/mp4', mov: 'video/quicktime', webm: 'video/webm' },
}

/**
 * Reads a received file enough to be sure that it plays to its end, and measures it. Throws `BadFile`.
 * @param options.providerDurationMs what the provider says; shorter by more than 2 s or 2 % (the larger) is truncated.
 */
export async function inspect(
  path: string,
  options: { expect: 'audio' | 'image' | 'video'; providerDurationMs?: number | null },
): Promise<MediaFacts> {
  const file = await openWindow(path)
  try {
    if (file.size === 0) throw new BadFile('empty', 'no bytes')
    const ext = await sniff(file, path)
    const mime = ext === null ? undefined : TYPES[options.expect][ext]
    if (!ext || !mime) throw new BadFile('wrong_type', `${ext ?? 'unknown'} instead of ${options.expect}`)
    if (options.expect === 'image') {
      await checkImageEnd(file, ext)
      return { mime, ext, durationMs: null, bitrate: null, ...(await inspectImage(path)) }
    }
    const facts =
      ext === 'mp3' ? await inspectMp3(file, mime) : await inspectContainer(file, path, mime, ext, options.expect)
    checkDuration(facts.durationMs!, options.providerDurationMs)
    return facts
  } finally {
    await file.close()
  }
}

async function inspectMp3(file: FileWindow, mime: string): Promise<MediaFacts> {
  const { durationMs, bitrate } = await walkMp3(file)
  return { mime, ext: 'mp3', durationMs, bitrate }
}

/** The file's own type, as an extension; throws for pages and error documents. */
async function sniff(file: FileWindow, path: string): Promise<string | null> {
  const head = await file.read(0, 4096)
  const text = head.toString('latin1').replace(/^(\xef\xbb\xbf)?\s+|^\xef\xbb\xbf/, '').slice(0, 300)
  if (/^<(!doctype html|html|head|body|!--)/i.test(text)) throw new BadFile('html', 'a web page')
  if (/^(<\?xml|\{|\[\s*[{"])/i.test(text)) throw new BadFile('wrong_type', 'a text document')
  // file-type looks at the first bytes only; for MP3 the walk tells more.
  if (head.toString('latin1', 0, 3) === 'ID3' || (head.length >= 4 && readHeader(head, 0))) {
    return behindId3(file)
  }
  const found = await fileTypeFromFile(path)
  // Sloppy encoders leave padding before the first frame; the walk is strict enough to let it try.
  return found ? found.ext : 'mp3'
}

/** FLAC files with an ID3 tag in front are nobody's standard: refused rather than walked as MP3. */
async function behindId3(file: FileWindow): Promise<string> {
  const head = await file.read(0, 10)
  if (head.toString('latin1', 0, 3) !== 'ID3' || head.length < 10) return 'mp3'
  const size = [6, 7, 8, 9].reduce((sum, at) => (sum << 7) | (head[at]! & 0x7f), 0)
  return (await file.read(10 + size, 4)).toString('latin1') === 'fLaC' ? 'tagged flac' : 'mp3'
}

async function inspectContainer(
  file: FileWindow,
  path: string,
  mime: string,
  ext: string,
  expected: 'audio' | 'video',
): Promise<MediaFacts> {
  await CONTAINER_CHECKS[ext]?.(file)
  const { format } = await parseFile(path, { duration: true, skipCovers: true }).catch((error: Error) => {
    throw new BadFile('undecodable', error.message.slice(0, 200))
  })
  if (expected === 'video' ? format.hasVideo === false : format.hasVideo === true) {
    throw new BadFile('wrong_type', expected === 'video' ? 'no pictures in it' : 'a film instead of audio')
  }
  if (!format.duration || !Number.isFinite(format.duration)) throw new BadFile('undecodable', 'no duration')
  const durationMs = Math.round(format.duration * 1000)
  const bitrate = Math.round((file.size * 8) / format.duration)
  return { mime, ext: expected === 'audio' && ext === 'mp4' ? 'm4a' : ext, durationMs, bitrate }
}

function checkDuration(durationMs: number, providerMs: number | null | undefined): void {
  if (durationMs < MIN_DURATION_MS) throw new BadFile('too_short', `${durationMs} ms`)
  if (!providerMs || !(providerMs > 0)) return
  if (durationMs < providerMs - Math.max(2000, providerMs * 0.02)) {
    throw new BadFile('truncated', `${durationMs} of ${Math.round(providerMs)} ms`)
  }
}

/** What marks the end of a picture; libraries show the pixels without it, and the file is cut all the same. */
const IMAGE_ENDS: Record<string, Buffer> = {
  jpg: Buffer.from([0xff, 0xd9]),
  png: Buffer.from([0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]),
  gif: Buffer.from([0x3b]),
}

async function checkImageEnd(file: FileWindow, ext: string): Promise<void> {
  const end = IMAGE_ENDS[ext]
  if (!end) return
  // A GIF's mark is one common byte, so it must be the last; others may be followed by foreign data.
  const tail = ext === 'gif' ? 1 : 64 * 1024
  const last = await file.read(Math.max(0, file.size - tail), tail)
  if (!last.includes(end)) throw new BadFile('truncated', 'no end mark')
}

/** Decodes every pixel; what is cut off or damaged does not pass. */
async function inspectImage(path: string): Promise<{ width: number; height: number }> {
  const picture = sharp(path, { failOn: 'warning', limitInputPixels: MAX_PIXELS, sequentialRead: true })
  try {
    const { width, height } = await picture.metadata()
    if (width * height > MAX_PIXELS) throw new BadFile('too_many_pixels', `${width} × ${height}`)
    // Read to its last pixel and thrown away row by row: a fifth of what statistics would cost, and no memory.
    await picture.resize(8, 8, { fit: 'fill', fastShrinkOnLoad: false }).raw().toBuffer()
    return { width, height }
  } catch (error) {
    if (error instanceof BadFile) throw error
    const message = (error as Error).message
    if (/pixel limit/i.test(message)) throw new BadFile('too_many_pixels', `more than ${MAX_PIXELS}`)
    throw new BadFile(/premature|truncat|end of/i.test(message) ? 'truncated' : 'undecodable', message.slice(0, 200))
  }
}
