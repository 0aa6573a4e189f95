/** A few bars of plucked sine waves as a WAV file: something real to seek in and to draw. */
export function fakeSong(seed: number, seconds: number): Buffer {
  const rate = 11_025
  const samples = rate * seconds
  const file = Buffer.alloc(44 + samples * 2)
  file.write('RIFF', 0)
  file.writeUInt32LE(36 + samples * 2, 4)
  file.write('WAVEfmt ', 8)
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(rate, 24)
  file.writeUInt32LE(rate * 2, 28)
  file.writeUInt16LE(2, 32)
  file.writeUInt16LE(16, 34)
  file.write('data', 36)
  file.writeUInt32LE(samples * 2, 40)
  const scale = [0, 2, 4, 7, 9, 12, 14]
  for (let i = 0; i < samples; i++) {
    const t = i / rate
    const beat = Math.floor(t * 3)
    const note = scale[(beat * (seed + 3) + (beat >> 2)) % scale.length]!
    const pluck = Math.exp(-4 * (t * 3 - beat))
    const swell = 0.35 + 0.65 * Math.abs(Math.sin((t * (seed + 1)) / 6))
    const wave = Math.sin(2 * Math.PI * 220 * 2 ** (note / 12) * t) + 0.4 * Math.sin(2 * Math.PI * 110 * t)
    file.writeInt16LE(Math.round(11_000 * pluck * swell * wave), 44 + i * 2)
  }
  return file
}
