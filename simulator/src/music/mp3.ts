import { registerMp3Encoder } from '@mediabunny/mp3-encoder'
import { AudioSample, AudioSampleSource, BufferTarget, Mp3OutputFormat, Output } from 'mediabunny'
import { fileSeconds, SAMPLE_RATE, samplesFor } from './length.ts'
import type { Sound } from './synth.ts'
import { play } from './synth.ts'
import { composeTune } from './tune.ts'
import { encodeWav } from './wav.ts'

let registered = false

/** Composes, plays and encodes one song: MP3, 128 kbit/s stereo, or WAV. The same input gives the same bytes. */
export async function renderSong(song: { seed: string; style: string; seconds: number; format?: 'wav' }): Promise<Uint8Array> {
  const tune = composeTune(song.seed, song.style, song.seconds)
  if (song.format === 'wav') return encodeWav(play(tune, song.seed, SAMPLE_RATE, Math.round(fileSeconds(song.seconds) * SAMPLE_RATE)), SAMPLE_RATE)
  return encode(play(tune, song.seed, SAMPLE_RATE, samplesFor(song.seconds)))
}

async function encode(sound: Sound): Promise<Uint8Array> {
  if (!registered) registerMp3Encoder()
  registered = true
  const target = new BufferTarget()
  const output = new Output({ format: new Mp3OutputFormat(), target })
  const source = new AudioSampleSource({ codec: 'mp3', bitrate: 128_000 })
  output.addAudioTrack(source)
  await output.start()
  const data = new Float32Array(sound.left.length * 2)
  data.set(sound.left)
  data.set(sound.right, sound.left.length)
  const sample = new AudioSample({
    data,
    format: 'f32-planar',
    numberOfChannels: 2,
    sampleRate: SAMPLE_RATE,
    timestamp: 0,
  })
  await source.add(sample)
  sample.close()
  await output.finalize()
  if (!target.buffer) throw new Error('the encoder gave no bytes')
  return new Uint8Array(target.buffer)
}
