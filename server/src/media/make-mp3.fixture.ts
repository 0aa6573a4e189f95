import { registerMp3Encoder } from '@mediabunny/mp3-encoder'
import { AudioSample, AudioSampleSource, BufferTarget, Mp3OutputFormat, Output } from 'mediabunny'

let registered = false

/** A real MP3 (LAME) for tests: a chord with a little noise, so that frames differ. With a Xing header unless told. */
export async function makeMp3(options: {
  seconds: number
  channels?: 1 | 2
  kbps?: number
  sampleRate?: number
  xing?: boolean
}): Promise<Buffer> {
  if (!registered) registerMp3Encoder()
  registered = true
  const { seconds, channels = 2, kbps = 128, sampleRate = 44_100 } = options
  const target = new BufferTarget()
  const output = new Output({ format: new Mp3OutputFormat({ xingHeader: options.xing ?? true }), target })
  const source = new AudioSampleSource({ codec: 'mp3', bitrate: kbps * 1000 })
  output.addAudioTrack(source)
  await output.start()
  const length = Math.round(seconds * sampleRate)
  const data = new Float32Array(length * channels)
  let noise = 1
  for (let i = 0; i < length; i++) {
    noise = (Math.imul(noise, 1103515245) + 12345) & 0x7fffffff
    const tone = Math.sin((i * 440 * 6.283) / sampleRate) + Math.sin((i * (550 + (i >> 14) * 20) * 6.283) / sampleRate)
    for (let c = 0; c < channels; c++) data[i * channels + c] = tone * 0.3 + (noise / 0x7fffffff - 0.5) * 0.1
  }
  const sample = new AudioSample({ data, format: 'f32', numberOfChannels: channels, sampleRate, timestamp: 0 })
  await source.add(sample)
  sample.close()
  await output.finalize()
  return Buffer.from(target.buffer!)
}

/** An ID3v2.3 tag with a title and a picture of `pictureBytes`. */
export function id3v2(pictureBytes: number): Buffer {
  const frame = (id: string, body: Buffer) => {
    const head = Buffer.alloc(10)
    head.write(id, 'latin1')
    head.writeUInt32BE(body.length, 4)
    return Buffer.concat([head, body])
  }
  // 0xff 0xfb all over: a picture that looks like frame headers must not mislead anybody.
  const picture = Buffer.alloc(pictureBytes, Buffer.from([0xff, 0xfb, 0x90, 0x64]))
  const body = Buffer.concat([
    frame('TIT2', Buffer.from('\0Song', 'latin1')),
    frame('APIC', Buffer.concat([Buffer.from('\0image/jpeg\0\x03\0', 'latin1'), picture])),
    Buffer.alloc(256),
  ])
  const size = [21, 14, 7, 0].map((shift) => (body.length >> shift) & 127)
  return Buffer.concat([Buffer.from([0x49, 0x44, 0x33, 3, 0, 0, ...size]), body])
}

export const id3v1 = (): Buffer => Buffer.concat([Buffer.from('TAGSong'), Buffer.alloc(121)])

export function apeTag(): Buffer {
  const item = Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('Title\0Song', 'latin1')])
  const mark = (flags: number) => {
    const block = Buffer.alloc(32)
    block.write('APETAGEX', 'latin1')
    block.writeUInt32LE(2000, 8)
    block.writeUInt32LE(item.length + 32, 12)
    block.writeUInt32LE(1, 16)
    block.writeUInt32LE(flags >>> 0, 20)
    return block
  }
  return Buffer.concat([mark(0xa0000000), item, mark(0x80000000)])
}
