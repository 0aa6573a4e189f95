import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AudioSample, AudioSampleSource, BufferTarget, Mp4OutputFormat, Output } from 'mediabunny'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { toJpeg } from './cover.ts'
import { BadFile, inspect } from './inspect.ts'
import { makeMp3 } from './make-mp3.fixture.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reprise-media-'))
})
afterAll(() => rm(folder, { recursive: true }))

let count = 0
async function keep(bytes: Uint8Array): Promise<string> {
  const path = join(folder, `${count++}`)
  await writeFile(path, bytes)
  return path
}
const look = async (bytes: Uint8Array, expected: 'audio' | 'image' | 'video' = 'audio') =>
  inspect(await keep(bytes), { expect: expected })
const verdict = (bytes: Uint8Array, expected: 'audio' | 'image' | 'video' = 'audio') =>
  look(bytes, expected).then(
    () => 'accepted',
    (error: BadFile) => (expect(error).toBeInstanceOf(BadFile), error.reason),
  )
/** Cut at a hundred points: not one may pass. */
async function everyPrefixIsRefused(bytes: Buffer, expected: 'audio' | 'image' = 'audio') {
  for (let k = 0; k < 100; k++) {
    const length = Math.floor((bytes.length * k) / 100)
    expect(await verdict(bytes.subarray(0, length), expected), `${length} of ${bytes.length}`).not.toBe('accepted')
  }
  expect(await verdict(bytes.subarray(0, -1), expected)).not.toBe('accepted')
}

describe('other sound formats', () => {
  it('WAV: accepted whole, refused cut', async () => {
    const wav = makeWav(2)
    expect(await look(wav)).toMatchObject({ mime: 'audio/wav', ext: 'wav', durationMs: 2000 })
    await everyPrefixIsRefused(wav)
  })

  it('FLAC: accepted whole, refused cut, also at a frame boundary', async () => {
    const flac = makeFlac(20)
    expect(await look(flac)).toMatchObject({ mime: 'audio/flac', ext: 'flac', durationMs: 1858 })
    await everyPrefixIsRefused(flac)
    expect(await verdict(flac.subarray(0, flac.length - 18))).toBe('truncated')
  })

  it('Ogg Opus: accepted whole, refused cut, also at a page boundary', async () => {
    const pages = makeOpus(5)
    const ogg = Buffer.concat(pages)
    expect(await look(ogg)).toMatchObject({ mime: 'audio/ogg', durationMs: 5000 })
    await everyPrefixIsRefused(ogg)
    expect(await verdict(Buffer.concat(pages.slice(0, -1)))).toBe('truncated')
  })

  it('M4A: accepted whole, refused cut; it is no film', async () => {
    const m4a = await makeM4a()
    const facts = await look(m4a)
    expect(facts).toMatchObject({ mime: 'audio/mp4', ext: 'm4a' })
    expect(Math.abs(facts.durationMs! - 2000)).toBeLessThan(200)
    await everyPrefixIsRefused(m4a)
    expect(await verdict(m4a, 'video')).toBe('wrong_type')
  })
})

describe('pictures', () => {
  const noise = (width: number, height: number) =>
    sharp(randomBytes(width * height * 3), { raw: { width, height, channels: 3 } })

  it('are accepted in the usual formats, with their size', async () => {
    const picture = noise(120, 80)
    const formats = [
      ['jpg', await picture.jpeg().toBuffer()],
      ['png', await picture.png().toBuffer()],
      ['webp', await picture.webp().toBuffer()],
      ['gif', await picture.gif().toBuffer()],
      ['avif', await picture.avif({ effort: 0 }).toBuffer()],
    ] as const
    for (const [ext, bytes] of formats) {
      expect(await look(bytes, 'image')).toEqual({
        mime: ext === 'jpg' ? 'image/jpeg' : `image/${ext}`,
        ext,
        width: 120,
        height: 80,
        durationMs: null,
        bitrate: null,
      })
      expect(await verdict(bytes)).toBe('wrong_type')
    }
  })

  it('are refused when cut anywhere', async () => {
    await everyPrefixIsRefused(await noise(60, 60).png().toBuffer(), 'image')
    await everyPrefixIsRefused(await noise(60, 60).jpeg().toBuffer(), 'image')
    await everyPrefixIsRefused(await noise(60, 60).webp().toBuffer(), 'image')
    await everyPrefixIsRefused(await noise(60, 60).gif().toBuffer(), 'image')
  })

  it('are refused as a bomb, as a drawing with scripts, as a web page, as noise', async () => {
    const white = sharp({ create: { width: 9000, height: 9000, channels: 3, background: '#fff' } })
    expect(await verdict(await white.png().toBuffer(), 'image')).toBe('too_many_pixels')
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    expect(await verdict(Buffer.from(svg), 'image')).toBe('wrong_type')
    expect(await verdict(Buffer.from('<html>'), 'image')).toBe('html')
    const jpegLike = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), randomBytes(5000)])
    expect(await verdict(jpegLike, 'image')).not.toBe('accepted')
    expect(await verdict(await makeMp3({ seconds: 1 }), 'image')).toBe('wrong_type')
  })

  it('a cover becomes JPEG, and one that is JPEG keeps its bytes', async () => {
    const jpeg = await keep(await noise(50, 50).jpeg().toBuffer())
    expect(await toJpeg(jpeg)).toBeNull()
    const clear = await sharp({ create: { width: 40, height: 30, channels: 4, background: '#0000' } }).png().toBuffer()
    const made = await keep((await toJpeg(await keep(clear)))!)
    expect(await inspect(made, { expect: 'image' })).toMatchObject({ ext: 'jpg', width: 40, height: 30 })
    expect([...(await sharp(await readFile(made)).raw().toBuffer()).subarray(0, 3)]).toEqual([255, 255, 255])
    await expect(toJpeg(await keep(randomBytes(100)))).rejects.toBeInstanceOf(BadFile)
  })
})

function makeWav(seconds: number): Buffer {
  const data = randomBytes(seconds * 8000 * 2)
  const head = Buffer.alloc(44)
  head.write('RIFF', 0, 'latin1')
  head.writeUInt32LE(36 + data.length, 4)
  head.write('WAVEfmt ', 8, 'latin1')
  head.writeUInt32LE(16, 16)
  head.writeUInt16LE(1, 20)
  head.writeUInt16LE(1, 22)
  head.writeUInt32LE(8000, 24)
  head.writeUInt32LE(16_000, 28)
  head.writeUInt16LE(2, 32)
  head.writeUInt16LE(16, 34)
  head.write('data', 36, 'latin1')
  head.writeUInt32LE(data.length, 40)
  return Buffer.concat([head, data])
}

/** Mono frames of 4096 equal samples each (constant subframes). */
function makeFlac(frames: number): Buffer {
  const info = Buffer.alloc(42)
  info.write('fLaC', 0, 'latin1')
  info.writeUInt8(0x80, 4)
  info.writeUIntBE(34, 5, 3)
  info.writeUInt16BE(4096, 8)
  info.writeUInt16BE(4096, 10)
  // 20 bits rate, 3 bits channels - 1, 5 bits depth - 1, 36 bits samples
  info.writeBigUInt64BE((44_100n << 44n) | (0n << 41n) | (15n << 36n) | BigInt(frames * 4096), 18)
  const crc = (bytes: Uint8Array, polynomial: number, width: number) => {
    let value = 0
    for (const byte of bytes) {
      value ^= byte << (width - 8)
      for (let k = 0; k < 8; k++) {
        const shifted = value & (1 << (width - 1)) ? (value << 1) ^ polynomial : value << 1
        value = shifted & ((1 << width) - 1)
      }
    }
    return value
  }
  const made = Array.from({ length: frames }, (_, number) => {
    const head = Buffer.from([0xff, 0xf8, 0xc9, 0x08, number])
    const body = Buffer.concat([head, Buffer.from([crc(head, 0x07, 8), 0x00, number, 0x55])])
    const end = Buffer.alloc(2)
    end.writeUInt16BE(crc(body, 0x8005, 16))
    return Buffer.concat([body, end])
  })
  return Buffer.concat([info, ...made])
}

function makeOpus(seconds: number): Buffer[] {
  const page = (flags: number, granule: number, index: number, packet: Buffer) => {
    const segments = [...Array<number>(Math.floor(packet.length / 255)).fill(255), packet.length % 255]
    const head = Buffer.alloc(27)
    head.write('OggS', 0, 'latin1')
    head.writeUInt8(flags, 5)
    head.writeBigUInt64LE(BigInt(granule), 6)
    head.writeUInt32LE(7, 14)
    head.writeUInt32LE(index, 18)
    head.writeUInt8(segments.length, 26)
    return Buffer.concat([head, Buffer.from(segments), packet])
  }
  const opusHead = Buffer.from('OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0', 'latin1')
  const tags = Buffer.concat([Buffer.from('OpusTags', 'latin1'), Buffer.alloc(8)])
  return [
    page(2, 0, 0, opusHead),
    page(0, 0, 1, tags),
    ...Array.from({ length: seconds }, (_, i) =>
      page(i === seconds - 1 ? 4 : 0, (i + 1) * 48_000, i + 2, randomBytes(600)),
    ),
  ]
}

async function makeM4a(): Promise<Buffer> {
  // Registers the encoder.
  await makeMp3({ seconds: 0.1 })
  const target = new BufferTarget()
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: 'in-memory' }), target })
  const source = new AudioSampleSource({ codec: 'mp3', bitrate: 64_000 })
  output.addAudioTrack(source)
  await output.start()
  const data = new Float32Array(2 * 44_100).map((_, i) => Math.sin(i / 20) * 0.5)
  const sample = new AudioSample({ data, format: 'f32', numberOfChannels: 1, sampleRate: 44_100, timestamp: 0 })
  await source.add(sample)
  sample.close()
  await output.finalize()
  return Buffer.from(target.buffer!)
}
