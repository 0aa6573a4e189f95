import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BadFile, inspect } from './inspect.ts'
import { apeTag, id3v1, id3v2, makeMp3 } from './make-mp3.fixture.ts'

let folder: string
let song: Buffer
let plain: Buffer
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reprise-mp3-'))
  song = await makeMp3({ seconds: 4 })
  plain = await makeMp3({ seconds: 4, xing: false })
})
afterAll(() => rm(folder, { recursive: true }))

let count = 0
async function look(bytes: Uint8Array, providerDurationMs?: number) {
  const path = join(folder, `${count++}`)
  await writeFile(path, bytes)
  return inspect(path, { expect: 'audio', providerDurationMs })
}
const verdict = (bytes: Uint8Array, providerDurationMs?: number) =>
  look(bytes, providerDurationMs).then(
    (facts) => facts,
    (error: BadFile) => (expect(error).toBeInstanceOf(BadFile), error.reason),
  )
/** Frames of silence with chosen bit rates: a real VBR stream. 1152 samples each. */
function silence(kbps: number[], more: { mono?: boolean; crc?: boolean } = {}): Buffer {
  const index = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
  return Buffer.concat(
    kbps.map((rate) => {
      const frame = Buffer.alloc(Math.floor((144_000 * rate) / 44_100))
      frame.set([0xff, more.crc ? 0xfa : 0xfb, index.indexOf(rate) << 4, more.mono ? 0xc0 : 0x00])
      return frame
    }),
  )
}

describe('a good MP3 is accepted with its true length', () => {
  it('constant rate, stereo and mono, MPEG 1 and 2, with and without Xing header', async () => {
    expect(await look(song, 4000)).toMatchObject({ mime: 'audio/mpeg', ext: 'mp3' })
    const variants = [
      { seconds: 2, channels: 1 as const, kbps: 64 },
      { seconds: 2, kbps: 320, sampleRate: 48_000 },
      { seconds: 2, kbps: 48, sampleRate: 22_050 },
      { seconds: 2, kbps: 32, sampleRate: 16_000, channels: 1 as const },
      { seconds: 2, xing: false },
    ]
    for (const variant of variants) {
      const { durationMs, bitrate } = await look(await makeMp3(variant), 2000)
      expect(durationMs).toBeGreaterThanOrEqual(2000)
      expect(durationMs).toBeLessThan(2200)
      expect(Math.abs(bitrate! - (variant.kbps ?? 128) * 1000)).toBeLessThan(1000)
    }
  })

  it('variable rate: the length is counted, not guessed from the first frame', async () => {
    const rates = Array.from({ length: 400 }, (_, i) => [32, 320, 128, 64, 192][i % 5]!)
    expect(await look(silence(rates))).toMatchObject({ durationMs: Math.round((400 * 1152_000) / 44_100) })
    expect(await look(silence(rates, { mono: true, crc: true }))).toMatchObject({ durationMs: 10_449 })
  })

  it('with tags before and after, a cover that looks like frames, and a few foreign bytes', async () => {
    const { durationMs } = await look(song)
    const dressed = [
      Buffer.concat([id3v2(400_000), song]),
      Buffer.concat([id3v2(10), id3v2(3000), song, id3v1()]),
      Buffer.concat([song, apeTag(), id3v1()]),
      Buffer.concat([apeTag(), song]),
      Buffer.concat([song, Buffer.from('LYRICSBEGINla la000013LYRICS200'), id3v1()]),
      Buffer.concat([Buffer.alloc(600), song]),
      Buffer.concat([song, Buffer.alloc(100)]),
    ]
    for (const [index, bytes] of dressed.entries()) expect((await look(bytes)).durationMs, `${index}`).toBe(durationMs)
  })

  it('a little shorter than the provider says is no fault; more than 2 s and 2 % is', async () => {
    const bytes = silence(Array<number>(6000).fill(32))
    const { durationMs } = await look(bytes)
    expect(durationMs).toBe(156_735)
    expect((await look(bytes, 159_800)).durationMs).toBe(durationMs)
    expect(await verdict(bytes, 160_000)).toBe('truncated')
    expect((await look(song, 5900)).mime).toBe('audio/mpeg')
    expect(await verdict(song, 6100)).toBe('truncated')
  })
})

describe('a bad MP3 is refused', () => {
  it('random bytes behind one good header, and behind a good header for every frame', async () => {
    for (const size of [300, 5000, 500_000]) {
      expect(await verdict(Buffer.concat([song.subarray(0, 4), randomBytes(size)]))).toBeTypeOf('string')
    }
    const noise = silence(Array<number>(300).fill(128))
    for (let at = 0; at < noise.length; at += 417) noise.set(randomBytes(413), at + 4)
    expect(await verdict(noise)).toBe('undecodable')
  })

  it('a web page, a JSON error, an empty file, a picture, text, zeros', async () => {
    expect(await verdict(Buffer.from('\n <!DOCTYPE html><html>not found</html>'))).toBe('html')
    expect(await verdict(Buffer.from('\ufeff<html lang="en">'))).toBe('html')
    expect(await verdict(Buffer.from('{"error":"expired"}'))).toBe('wrong_type')
    expect(await verdict(Buffer.from('<?xml version="1.0"?><Error>AccessDenied</Error>'))).toBe('wrong_type')
    expect(await verdict(Buffer.alloc(0))).toBe('empty')
    expect(await verdict(Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR'.padEnd(2000, '\0'), 'latin1'))).toBe('wrong_type')
    expect(await verdict(Buffer.from('plain words, '.repeat(1000)))).toBe('undecodable')
    expect(await verdict(Buffer.alloc(100_000))).toBe('undecodable')
    expect(await verdict(id3v2(2000))).toBe('undecodable')
    expect(await verdict(silence([128, 128]))).toBe('too_short')
  })

  it('a good start with a page, zeros or noise instead of the rest', async () => {
    const half = song.subarray(0, song.length >> 1)
    for (const rest of [Buffer.from('<html>bad gateway</html>'), Buffer.alloc(half.length), randomBytes(half.length)]) {
      expect(await verdict(Buffer.concat([half, rest]))).toBeTypeOf('string')
    }
  })

  it('cut inside a tag', async () => {
    expect(await verdict(id3v2(50_000).subarray(0, 20_000))).toBe('truncated')
    expect(await verdict(Buffer.concat([song, id3v1().subarray(0, 60)]))).toBe('truncated')
  })
})

describe('fuzzed', () => {
  /** Seeded; the seed is in the name of each failure. */
  const seeded = (seed: number) => () => {
    seed = (seed + 0x6d2b79f5) >>> 0
    let t = Math.imul(seed ^ (seed >>> 15), seed | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  it('every prefix is refused: cut anywhere, by one byte or by nearly all', async () => {
    const random = seeded(1)
    const cuts = [1, 2, 3, 4, 5, 416, 417, 418, song.length - 1, song.length - 4, song.length - 417]
    while (cuts.length < 150) cuts.push(1 + Math.floor(random() * (song.length - 1)))
    for (const keep of cuts) {
      expect(await verdict(song.subarray(0, keep), 4000), `keep ${keep} of ${song.length}`).toBeTypeOf('string')
    }
    // Without Xing header a cut of whole frames shows by the provider's length alone, beyond its tolerance.
    for (let k = 0; k < 50; k++) {
      const keep = Math.floor(random() * plain.length * 0.49)
      expect(await verdict(plain.subarray(0, keep), 4000), `keep ${keep} of ${plain.length}`).toBeTypeOf('string')
    }
  })

  it('400 mutations: always a verdict, heavy damage always refused, and never a wrong length', async () => {
    const { durationMs } = await look(song)
    for (let seed = 1; seed <= 400; seed++) {
      const random = seeded(seed)
      const upTo = (limit: number) => Math.floor(random() * limit)
      const bytes = Buffer.from(song)
      const length = 1 + upTo(20_000)
      const at = upTo(bytes.length - length)
      const noise = Buffer.from(Array.from({ length }, () => upTo(256)))
      const [mutant, damage] = [
        () => [Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]), length] as const,
        () => [Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]), length] as const,
        () => [bytes.fill(0, at, at + length), length] as const,
        () => [(bytes.set(noise, at), bytes), length] as const,
        () => [(bytes.writeUInt8(upTo(256), at), bytes), 1] as const,
        () => [bytes.fill('<html>oops</html>', 0, length), length] as const,
      ][seed % 6]!()
      const found = await verdict(mutant, 4000)
      if (typeof found === 'string') continue
      // With the first frame goes the encoder's own count: then only the provider's length can tell.
      if (at < 418) expect(found.durationMs, `seed ${seed}`).toBeGreaterThanOrEqual(2000)
      if (at < 418) continue
      expect(damage, `seed ${seed}`).toBeLessThan(6000)
      expect(Math.abs(found.durationMs! - durationMs!), `seed ${seed}`).toBeLessThan(450)
    }
  })
})

it('a 6 MB song is walked quickly and without holding up anybody else', async () => {
  const bytes = silence(Array<number>(14_400).fill(128))
  await look(bytes)
  const delay = monitorEventLoopDelay({ resolution: 5 })
  const path = join(folder, 'long')
  await writeFile(path, bytes)
  delay.enable()
  const times: number[] = []
  for (let k = 0; k < 7; k++) {
    const start = performance.now()
    await inspect(path, { expect: 'audio' })
    times.push(performance.now() - start)
  }
  delay.disable()
  // 15 ms on an idle machine; the bound leaves room for a busy one.
  expect(times.sort((a, b) => a - b)[1]).toBeLessThan(100)
  expect(delay.percentile(50) / 1e6).toBeLessThan(30)
})
