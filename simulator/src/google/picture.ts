import sharp from 'sharp'
import { coverSvg, escape } from '../pictures/cover.ts'

export interface Wanted {
  seed: string
  /** What the picture is of, and how: written on it, so that anyone sees what was asked for. */
  subject: string
  style: string
  aspectRatio: string
  imageSize: string
  /** Pictures that came with the request; shown small in the corner. */
  references: Buffer[]
  format: 'png' | 'jpeg'
  /** Pixels of a square 1K picture. */
  side: number
}

const SCALE: Record<string, number> = { '512': 0.5, '1K': 1, '2K': 2, '4K': 4 }

/** As many pixels as the square of its size, in the shape of its ratio; whole multiples of eight. */
export function sizeOf({ aspectRatio, imageSize, side }: Pick<Wanted, 'aspectRatio' | 'imageSize' | 'side'>): { width: number; height: number } {
  const [across, down] = aspectRatio.split(':').map(Number) as [number, number]
  const length = side * (SCALE[imageSize] ?? 1)
  const step = (value: number) => Math.max(8, Math.round(value / 8) * 8)
  return { width: step(length * Math.sqrt(across / down)), height: step(length * Math.sqrt(down / across)) }
}

/** Draws it. Throws when a reference is no picture. */
export async function drawPicture(wanted: Wanted): Promise<Buffer> {
  const { width, height } = sizeOf(wanted)
  const thumb = Math.round(Math.min(width, height) / 5)
  const edge = Math.round(thumb / 6)
  const references = await Promise.all(wanted.references.map(async (bytes, index) => ({
    input: await sharp(bytes, { limitInputPixels: 60_000_000 }).resize(thumb, thumb, { fit: 'cover' }).png().toBuffer(),
    left: edge + (index % 4) * (thumb + edge), top: edge + Math.floor(index / 4) * (thumb + edge),
  })))
  const drawn = sharp(Buffer.from(svg(wanted, width, height))).composite(references)
  return wanted.format === 'png' ? drawn.png({ compressionLevel: 3 }).toBuffer() : drawn.jpeg({ quality: 88 }).toBuffer()
}

function svg({ seed, subject, style, aspectRatio, imageSize }: Wanted, width: number, height: number): string {
  const art = coverSvg(seed, '').replace(/^<svg[^>]*>/, `<svg x="0" y="0" width="${width}" height="${height}" viewBox="0 0 512 512" preserveAspectRatio="xMidYMid slice">`)
  const unit = Math.min(width, height) / 16
  const lines = wrapped(subject, Math.max(6, Math.floor((width - unit) / (unit * 0.66)))).slice(0, 4)
  const caption = [aspectRatio, imageSize, style].filter(Boolean).join(' · ').slice(0, Math.max(8, Math.floor(width / (unit * 0.42))))
  const text = (line: string, y: number, size: number, weight: number) =>
    `<text x="${unit}" y="${y.toFixed(1)}" font-family="DejaVu Sans, Arial, sans-serif" font-size="${size.toFixed(1)}" font-weight="${weight}" fill="#fff">${escape(line)}</text>`
  const bottom = height - unit * 2
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${art}
${lines.map((line, index) => text(line, bottom - (lines.length - index) * unit * 1.25 + unit * 0.5, unit, 700)).join('')}
${text(caption, height - unit, unit * 0.62, 400)}</svg>`
}

function wrapped(words: string, width: number): string[] {
  const lines: string[] = []
  for (const word of words.trim().split(/\s+/)) {
    const last = lines.at(-1)
    if (last !== undefined && `${last} ${word}`.length <= width) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word.slice(0, width))
  }
  return lines
}
