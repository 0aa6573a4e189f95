import { createDice } from '../random.ts'
import type { Tune } from './tune.ts'

/** Two channels of samples, −1…1. */
export interface Sound {
  left: Float32Array
  right: Float32Array
}

const TABLE = 2048
/** Loudness of the finished piece (RMS) and the ceiling no sample crosses: about −16.5 and −1 dBFS. */
const TARGET_RMS = 0.15
const CEILING = 0.89

/** Strengths of the harmonics of each wave. */
const recipes = {
  pad: [
    [1, 0.5, 0.25, 0.12, 0.06],
    [1, 0, 0.33, 0, 0.2, 0, 0.1],
    [1, 0.7, 0.1, 0.3],
    [1, 0.3, 0.3, 0.1, 0.1, 0.05],
  ],
  lead: [
    [1, 0.4, 0.3, 0.2, 0.1],
    [1, 0, 0.11, 0, 0.04],
    [1, 0.8, 0.5, 0.3, 0.25, 0.15, 0.1],
    [1, 0.1, 0.5, 0.05, 0.2],
    [0.8, 1, 0.2, 0.4, 0.1, 0.1],
  ],
  arpeggio: [
    [1, 0, 0.2, 0, 0, 0, 0.08],
    [1, 0.6, 0.2, 0.1],
    [1, 0, 0.4, 0, 0.25],
    [1, 0.25, 0, 0.35],
  ],
  bass: [
    [1, 0.5, 0.2, 0.1],
    [1, 0.2, 0.3, 0.05, 0.1],
  ],
}

const tables = new Map<readonly number[], Float32Array>()
function wave(recipe: readonly number[]): Float32Array {
  const known = tables.get(recipe)
  if (known) return known
  const table = new Float32Array(TABLE + 1)
  const total = recipe.reduce((sum, strength) => sum + strength, 0)
  for (let i = 0; i <= TABLE; i++)
    recipe.forEach((strength, harmonic) => {
      table[i]! += (strength / total) * Math.sin((2 * Math.PI * (harmonic + 1) * i) / TABLE)
    })
  tables.set(recipe, table)
  return table
}

const frequency = (pitch: number) => 440 * 2 ** ((pitch - 69) / 12)

interface Voice {
  table: Float32Array
  gain: number
  /** −1 left … 1 right. */
  pan: number
  attackSec: number
  /** Seconds in which the held note falls to about a third; Infinity = organ. */
  fallSec: number
  releaseSec: number
  /** Depth of the vibrato as a share of the frequency. */
  vibrato: number
}

/** Plays a tune. `samples` is the exact length; deterministic for the same tune and seed. */
export function play(tune: Tune, seed: string, sampleRate: number, samples: number): Sound {
  const sound: Sound = { left: new Float32Array(samples), right: new Float32Array(samples) }
  const echo: Sound = { left: new Float32Array(samples), right: new Float32Array(samples) }
  const perBeat = (60 / tune.bpm) * sampleRate
  const { voices } = tune
  const pad: Voice = {
    table: wave(recipes.pad[voices.pad]!),
    gain: 0.16,
    pan: 0,
    attackSec: 0.12,
    fallSec: Infinity,
    releaseSec: 0.35,
    vibrato: 0,
  }
  const lead: Voice = {
    table: wave(recipes.lead[voices.lead]!),
    gain: 0.42,
    pan: 0.08,
    attackSec: 0.015,
    fallSec: 1.1,
    releaseSec: 0.12,
    vibrato: 0.004,
  }
  const arpeggio: Voice = {
    table: wave(recipes.arpeggio[voices.arpeggio]!),
    gain: 0.17,
    pan: -0.35,
    attackSec: 0.004,
    fallSec: 0.28,
    releaseSec: 0.08,
    vibrato: 0,
  }
  const bass: Voice = {
    table: wave(recipes.bass[voices.bass]!),
    gain: 0.5,
    pan: 0,
    attackSec: 0.008,
    fallSec: 0.7,
    releaseSec: 0.06,
    vibrato: 0,
  }

  for (const chord of tune.chords)
    chord.pitches.forEach((pitch, index) =>
      tone(sound, { ...pad, pan: (index - 1) * 0.5 }, sampleRate, chord.at * perBeat, chord.beats * perBeat, pitch, 1),
    )
  for (const note of tune.bass)
    tone(sound, bass, sampleRate, note.at * perBeat, note.beats * perBeat, note.pitch, note.loud)
  for (const note of tune.arpeggio)
    tone(echo, arpeggio, sampleRate, note.at * perBeat, note.beats * perBeat, note.pitch, note.loud)
  for (const note of tune.melody)
    tone(echo, lead, sampleRate, note.at * perBeat, note.beats * perBeat, note.pitch, note.loud)
  addEcho(sound, echo, Math.round(perBeat * 0.75))
  addDrums(sound, tune, seed, sampleRate, perBeat)
  finish(sound, sampleRate)
  return sound
}

function tone(out: Sound, voice: Voice, rate: number, start: number, length: number, pitch: number, loud: number) {
  const from = Math.round(start)
  const release = Math.round(voice.releaseSec * rate)
  const held = Math.round(length)
  const to = Math.min(out.left.length, from + held + release)
  const { table } = voice
  const step = (frequency(pitch) * TABLE) / rate
  const attack = Math.max(1, Math.round(voice.attackSec * rate))
  const fall = voice.fallSec === Infinity ? 1 : Math.exp(-1 / (voice.fallSec * rate))
  const letGo = Math.exp(-5 / release)
  const left = voice.gain * loud * Math.min(1, 1 - voice.pan)
  const right = voice.gain * loud * Math.min(1, 1 + voice.pan)
  const vibratoStep = (2 * Math.PI * 5.2) / rate
  let phase = 0
  let level = 1
  for (let i = from, age = 0; i < to; i++, age++) {
    const bend = voice.vibrato === 0 ? step : step * (1 + voice.vibrato * Math.sin(age * vibratoStep))
    phase += bend
    if (phase >= TABLE) phase -= TABLE
    const index = phase | 0
    const low = table[index]!
    level *= age < held ? fall : letGo
    const value = (low + (table[index + 1]! - low) * (phase - index)) * (age < attack ? age / attack : 1) * level
    out.left[i]! += value * left
    out.right[i]! += value * right
  }
}

/** Adds the dry voices and echoes that wander from side to side. */
function addEcho(out: Sound, dry: Sound, delay: number) {
  const { left, right } = dry
  for (let i = 0; i < left.length; i++) {
    if (i >= delay) {
      const fromRight = right[i - delay]! * 0.28
      right[i]! += left[i - delay]! * 0.28
      left[i]! += fromRight
    }
    out.left[i]! += left[i]!
    out.right[i]! += right[i]!
  }
}

function addDrums(out: Sound, tune: Tune, seed: string, rate: number, perBeat: number) {
  const dice = createDice(`noise|${seed}`)
  const noise = Float32Array.from({ length: Math.round(rate * 0.25) }, () => dice.next() * 2 - 1)
  const hits = {
    kick: kick(rate),
    snare: burst(noise, rate, 0.16, 0.045, 0.4),
    hat: burst(noise, rate, 0.06, 0.015, 0.95),
  }
  const gains = { kick: 0.5, snare: 0.26, hat: 0.1 }
  for (const { at, kind, loud } of tune.drums) {
    const from = Math.round(at * perBeat)
    const hit = hits[kind]
    const gain = gains[kind] * loud
    const pan = kind === 'hat' ? 0.7 : 1
    for (let i = 0; i < hit.length && from + i < out.left.length; i++) {
      out.left[from + i]! += hit[i]! * gain * pan
      out.right[from + i]! += hit[i]! * gain
    }
  }
}

function kick(rate: number): Float32Array {
  let phase = 0
  return Float32Array.from({ length: Math.round(rate * 0.22) }, (_, i) => {
    const t = i / rate
    phase += (2 * Math.PI * (46 + 90 * Math.exp(-t * 38))) / rate
    return Math.sin(phase) * Math.exp(-t * 13) * Math.min(1, i / 40)
  })
}

/** A hit of noise; `bright` 0…1 removes the low part. */
function burst(noise: Float32Array, rate: number, seconds: number, fallSec: number, bright: number): Float32Array {
  return Float32Array.from({ length: Math.round(rate * seconds) }, (_, i) => {
    const high = noise[i]! - bright * (noise[i - 1] ?? 0)
    return high * Math.exp(-i / (rate * fallSec)) * 0.7
  })
}

/** Fades the ends, brings the piece to the target loudness and bends peaks softly under the ceiling. */
function finish(sound: Sound, rate: number) {
  const { left, right } = sound
  const length = left.length
  const fadeIn = Math.min(length / 8, rate * 0.02)
  const fadeOut = Math.min(length / 6, rate * 2.5)
  for (let i = 0; i < length; i++) {
    const fade = Math.min(1, i / fadeIn, (length - 1 - i) / fadeOut)
    left[i]! *= fade
    right[i]! *= fade
  }
  // Bending peaks costs loudness, so the gain is found in two rounds.
  let gain = 1
  let base = 0
  for (let i = 0; i < length; i++) base += left[i]! ** 2 + right[i]! ** 2
  gain = TARGET_RMS / Math.max(1e-6, Math.sqrt(base / (2 * length)))
  let bent = 0
  for (let i = 0; i < length; i += 7) bent += soft(left[i]! * gain) ** 2 + soft(right[i]! * gain) ** 2
  gain *= TARGET_RMS / Math.max(1e-6, Math.sqrt(bent / (2 * Math.ceil(length / 7))))
  for (let i = 0; i < length; i++) {
    left[i] = soft(left[i]! * gain)
    right[i] = soft(right[i]! * gain)
  }
}

const KNEE = 0.5
function soft(value: number): number {
  const size = Math.abs(value)
  if (size <= KNEE) return value
  const room = CEILING - KNEE
  const over = (size - KNEE) / room
  return Math.sign(value) * (KNEE + (room * over) / (1 + over))
}
