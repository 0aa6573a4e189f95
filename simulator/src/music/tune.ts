import { createDice } from '../random.ts'

/** One note to be played. Times in beats, pitch as a MIDI number. */
export interface Note {
  at: number
  beats: number
  pitch: number
  loud: number
}

export interface Tune {
  bpm: number
  /** Beats in the whole piece. */
  beats: number
  chords: { at: number; beats: number; pitches: number[]; root: number }[]
  melody: Note[]
  arpeggio: Note[]
  bass: Note[]
  drums: { at: number; kind: 'kick' | 'snare' | 'hat'; loud: number }[]
  /** Which waves the voices use; see `synth.ts`. */
  voices: { pad: number; lead: number; arpeggio: number; bass: number }
}

const scales = { major: [0, 2, 4, 5, 7, 9, 11], minor: [0, 2, 3, 5, 7, 8, 10] }

/** Four-bar progressions as scale degrees, all well worn, so that any melody over them sounds meant. */
const progressions = {
  major: [
    [0, 4, 5, 3],
    [0, 5, 3, 4],
    [3, 0, 4, 5],
    [0, 2, 3, 4],
    [5, 3, 0, 4],
    [0, 3, 5, 4],
  ],
  minor: [
    [0, 5, 2, 6],
    [0, 3, 5, 4],
    [0, 6, 5, 6],
    [5, 6, 0, 0],
    [0, 2, 6, 3],
    [0, 5, 3, 4],
  ],
}

/** Two-bar rhythms of the melody, in beats. */
const rhythms = [
  [1, 0.5, 0.5, 1, 1, 1.5, 0.5, 2],
  [0.5, 0.5, 1, 0.5, 0.5, 1, 1, 1, 2],
  [1.5, 0.5, 1, 1, 0.5, 0.5, 1, 2],
  [2, 1, 1, 1.5, 0.5, 2],
  [0.5, 0.5, 0.5, 0.5, 2, 1, 1, 2],
]

const moods = {
  slow: /lo-?fi|calm|ambient|ballad|lullaby|slow|sad|sleep|piano|acoustic/i,
  fast: /techno|dance|rock|punk|drum|fast|edm|house|metal|upbeat/i,
  minor: /sad|dark|minor|melanch|night|goth|metal|techno|trip-?hop/i,
  major: /happy|bright|major|sunny|joy|pop|folk/i,
  noDrums: /ambient|lullaby|acapella|solo piano|choir/i,
}

/** Writes a tune from a seed text. `style` nudges tempo, mode and drums, as it would for a real band. */
export function composeTune(seed: string, style: string, seconds: number): Tune {
  const dice = createDice(`tune|${seed}`)
  const mode = moods.minor.test(style)
    ? 'minor'
    : moods.major.test(style)
      ? 'major'
      : dice.pick(['major', 'minor'] as const)
  const bpm = tempo(style, dice.whole(0, 34))
  const beats = (seconds * bpm) / 60
  const key = 55 + dice.whole(0, 11)
  const scale = scales[mode]
  const pitch = (degree: number) => {
    const octave = Math.floor(degree / 7)
    return key + 12 * octave + scale[degree - 7 * octave]!
  }

  const verse = dice.pick(progressions[mode])
  const chorus = dice.pick(progressions[mode].filter((other) => other !== verse))
  const bars = Math.ceil(beats / 4)
  const inChorus = (bar: number) => bars > 8 && Math.floor(bar / 8) % 2 === 1
  const degreeAt = (bar: number) => (inChorus(bar) ? chorus : verse)[bar % 4]!
  const withDrums = !moods.noDrums.test(style)
  // Short pieces start at once; long ones let the band come in one after another.
  const intro = bars > 12 ? 4 : 0
  const outro = bars > 12 ? bars - 2 : bars

  const tune: Tune = {
    bpm,
    beats,
    chords: [],
    melody: [],
    arpeggio: [],
    bass: [],
    drums: [],
    voices: { pad: dice.whole(0, 3), lead: dice.whole(0, 4), arpeggio: dice.whole(0, 3), bass: dice.whole(0, 1) },
  }

  const arpeggioOrder = dice.pick([
    [0, 1, 2, 1],
    [0, 2, 1, 2],
    [2, 1, 0, 1],
    [0, 1, 2, 3],
  ])
  const arpeggioStep = dice.pick([0.5, 0.5, 0.25])
  const offbeatBass = dice.chance(0.5)
  for (let bar = 0; bar < bars; bar++) {
    const at = bar * 4
    const degree = degreeAt(bar)
    const pitches = [0, 2, 4, 7].map((step) => pitch(degree + step)).map((note) => (note > key + 14 ? note - 12 : note))
    const root = pitch(degree) - 24
    tune.chords.push({ at, beats: 4, pitches: pitches.slice(0, 3), root })
    for (let step = 0; step < 4; step += arpeggioStep) {
      const index = arpeggioOrder[Math.round(step / arpeggioStep) % 4]!
      tune.arpeggio.push({
        at: at + step,
        beats: arpeggioStep * 1.6,
        pitch: pitches[index]! + 12,
        loud: step % 1 === 0 ? 1 : 0.7,
      })
    }
    if (bar >= intro / 2) {
      tune.bass.push({ at, beats: 1.5, pitch: root, loud: 1 })
      tune.bass.push({ at: at + (offbeatBass ? 1.5 : 2), beats: 1, pitch: root, loud: 0.8 })
      tune.bass.push({ at: at + 3, beats: 0.9, pitch: root + (dice.chance(0.4) ? 7 : 0), loud: 0.8 })
    }
    if (withDrums && bar >= intro && bar < outro) beatBar(tune.drums, at, inChorus(bar))
  }

  // Two phrases, repeated as A A B A; the chorus sings a third.
  const phrases = [0, 1, 2].map(() => ({
    rhythm: dice.pick(rhythms),
    steps: Array.from({ length: 12 }, () => dice.whole(-2, 2)),
    start: dice.pick([2, 4, 7]),
  }))
  for (let bar = intro; bar < outro; bar += 2) {
    const phrase = phrases[inChorus(bar) ? 2 : (bar / 2) % 4 === 2 ? 1 : 0]!
    let line = phrase.start + (inChorus(bar) ? 3 : 0)
    let at = bar * 4
    phrase.rhythm.forEach((length, index) => {
      const chord = degreeAt(Math.floor(at / 4))
      line = Math.min(11, Math.max(-1, line + phrase.steps[index]!))
      // Strong beats rest on the chord, the rest passes through the scale.
      const degree = at % 2 === 0 ? nearestChordStep(line, chord) : line
      if (at < outro * 4)
        tune.melody.push({ at, beats: length * 0.92, pitch: pitch(degree) + 12, loud: at % 4 === 0 ? 1 : 0.85 })
      at += length
    })
  }
  return tune
}

function tempo(style: string, spread: number): number {
  const stated = /(\d{2,3})\s*bpm/i.exec(style)
  if (stated) return Math.min(180, Math.max(50, Number(stated[1])))
  if (moods.slow.test(style)) return 64 + Math.round(spread * 0.7)
  if (moods.fast.test(style)) return 112 + Math.round(spread * 0.8)
  return 82 + spread
}

function nearestChordStep(line: number, chord: number): number {
  let best = line
  let distance = Infinity
  for (const step of [0, 2, 4])
    for (const octave of [-7, 0, 7, 14]) {
      const candidate = chord + step + octave
      if (Math.abs(candidate - line) < distance) {
        distance = Math.abs(candidate - line)
        best = candidate
      }
    }
  return best
}

function beatBar(drums: Tune['drums'], at: number, busy: boolean) {
  for (const beat of busy ? [0, 1.5, 2, 3.5] : [0, 2]) drums.push({ at: at + beat, kind: 'kick', loud: 1 })
  for (const beat of [1, 3]) drums.push({ at: at + beat, kind: 'snare', loud: 0.8 })
  for (let beat = 0; beat < 4; beat += 0.5)
    drums.push({ at: at + beat, kind: 'hat', loud: beat % 1 === 0 ? 0.6 : 0.35 })
}
