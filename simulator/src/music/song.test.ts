import { parseBuffer } from 'music-metadata'
import { describe, expect, it } from 'vitest'
import { fileSeconds, SAMPLE_RATE, samplesFor } from './length.ts'
import { renderSong } from './mp3.ts'
import { play } from './synth.ts'
import { composeTune } from './tune.ts'

const SECONDS = 12
const sound = (seed: string, style = '') =>
  play(composeTune(seed, style, SECONDS), seed, SAMPLE_RATE, samplesFor(SECONDS))
const decibel = (value: number) => 20 * Math.log10(value)

/** How alike two pieces are: 1 = the same, near 0 = strangers. */
function likeness(a: Float32Array, b: Float32Array): number {
  let both = 0
  let first = 0
  let second = 0
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    both += a[i]! * b[i]!
    first += a[i]! ** 2
    second += b[i]! ** 2
  }
  return Math.abs(both) / Math.sqrt(first * second)
}

describe('songs', () => {
  it.each(['indie folk, 92 bpm', 'techno', 'ambient lullaby', 'dark metal', ''])(
    'in style "%s" are audible and never clip',
    (style) => {
      const { left, right } = sound('loud|0', style)
      const rms = Math.sqrt(
        (left.reduce((sum, x) => sum + x * x, 0) + right.reduce((sum, x) => sum + x * x, 0)) / (2 * left.length),
      )
      expect(decibel(rms)).toBeGreaterThan(-18)
      expect(decibel(rms)).toBeLessThan(-14)
      expect(left.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0)).toBeLessThan(0.9)
      expect(left.every(Number.isFinite)).toBe(true)
    },
  )

  it('differ clearly between prompts and between the variants of one prompt', () => {
    const pieces = ['sunrise|0', 'sunrise|1', 'sunset|0', 'sunset|1'].map((seed) => sound(seed).left)
    for (const [i, one] of pieces.entries())
      for (const other of pieces.slice(i + 1)) expect(likeness(one, other)).toBeLessThan(0.35)
  })

  it('are MP3 files of exactly the promised length, the same bytes each time', async () => {
    for (const seconds of [1, 2, 7.3]) {
      const song = { seed: 'x|0', style: 'pop', seconds }
      const bytes = await renderSong(song)
      const { format } = await parseBuffer(bytes, { mimeType: 'audio/mpeg' }, { duration: true })
      expect(format.container).toBe('MPEG')
      expect(format.codec).toBe('MPEG 1 Layer 3')
      expect(Math.abs(format.duration! - fileSeconds(seconds))).toBeLessThan(0.001)
      expect(Math.abs(fileSeconds(seconds) - seconds)).toBeLessThan(0.1)
      expect(Buffer.from(await renderSong(song)).equals(Buffer.from(bytes))).toBe(true)
    }
  })
})
