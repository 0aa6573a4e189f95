import type { Sound } from './synth.ts'

/** A WAV file: 16 bits, two channels. */
export function encodeWav({ left, right }: Sound, sampleRate: number): Uint8Array {
  const data = Buffer.alloc(left.length * 4)
  for (let i = 0; i < left.length; i++) {
    data.writeInt16LE(Math.round(left[i]! * 32_767), i * 4)
    data.writeInt16LE(Math.round(right[i]! * 32_767), i * 4 + 2)
  }
  const format = Buffer.alloc(16)
  format.writeUInt16LE(1, 0)
  format.writeUInt16LE(2, 2)
  format.writeUInt32LE(sampleRate, 4)
  format.writeUInt32LE(sampleRate * 4, 8)
  format.writeUInt16LE(4, 12)
  format.writeUInt16LE(16, 14)
  return riff(Buffer.concat([Buffer.from('WAVE'), chunk('fmt ', format), chunk('data', data)]))
}

/** The file with its id behind the sound: makes each file distinct even where the sound is shared. */
export function tagWav(file: Buffer, id: string): Buffer {
  const info = Buffer.concat([Buffer.from('INFO'), chunk('ICMT', Buffer.from(`audio id ${id}`))])
  return riff(Buffer.concat([file.subarray(8), chunk('LIST', info)]))
}

const riff = (body: Buffer): Buffer => chunk('RIFF', body)

function chunk(name: string, body: Buffer): Buffer {
  const head = Buffer.from(`${name}    `, 'latin1')
  head.writeUInt32LE(body.length, 4)
  return Buffer.concat([head, body, Buffer.alloc(body.length & 1)])
}
