import sharp from 'sharp'
import { BadFile } from './bad-file.ts'
import { MAX_PIXELS } from './inspect.ts'

/**
 * A cover as JPEG. Null when it already is one: then the bytes as received are kept, metadata and all.
 * Transparency becomes white; the way up and the colour profile are kept.
 */
export async function toJpeg(path: string): Promise<Uint8Array | null> {
  try {
    const picture = sharp(path, { failOn: 'warning', limitInputPixels: MAX_PIXELS })
    if ((await picture.metadata()).format === 'jpeg') return null
    return await picture.flatten({ background: '#fff' }).keepMetadata().jpeg({ quality: 90 }).toBuffer()
  } catch (error) {
    throw new BadFile('undecodable', (error as Error).message.slice(0, 200))
  }
}
