import { stripTags, type Fault } from './faults.ts'
import type { FileMemory } from './memory.ts'
import { fileSeconds } from './music/length.ts'
import type { Studio } from './music/studio.ts'
import { id3Tag } from './music/tag.ts'
import { tagWav } from './music/wav.ts'
import { drawCover, signJpeg } from './pictures/cover.ts'
import { createDice, hash32 } from './random.ts'

/** What a song's files are made from, whichever provider was asked for it. */
export interface SongTask {
  id: string
  createdAt: number
  faults: Fault[]
  /** All texts of the request as sent: what fault rules and songs are matched by. */
  text: string
  title: string
  style: string
  songs: { id: string; durationSec: number }[]
  /** MP3 unless said otherwise. */
  format?: 'wav'
}

export interface SongOptions {
  seed: string
  /** Shortest and longest song, seconds. */
  songSeconds: readonly [number, number]
  /** How many different songs exist; 0 = one for each prompt. */
  songPool: number
}

/** What tells one piece of music from another: two variants of one prompt are two pieces. */
function songSeed({ seed, songPool }: SongOptions, text: string, index: number): string {
  const clean = stripTags(text)
  return songPool > 0 ? `${seed}|pool ${hash32(clean) % songPool}|${index}` : `${seed}|${clean}|${index}`
}

/** The exact length its file will have, known before it is rendered. */
export function songLength(options: SongOptions, text: string, index: number): number {
  const [low, high] = options.songSeconds
  return fileSeconds(createDice(`length|${songSeed(options, text, index)}`).between(low, high))
}

/** The true files of a task. Made at first need, kept in memory, the same bytes whenever made again. */
export function createSongFiles(options: SongOptions, memory: FileMemory, studio: Studio) {
  const pooled = options.songPool > 0

  const sound = (task: SongTask, index: number, seconds: number) => {
    const seed = songSeed(options, task.text, index)
    const style = pooled ? '' : task.style
    const { format } = task
    return memory.get(`song|${seed}|${seconds}|${format ?? ''}`, () => studio.render({ seed, style, seconds, format }))
  }
  const audio = async (task: SongTask, index: number, share: number) => {
    const { id, durationSec } = task.songs[index]!
    const bytes = await sound(task, index, durationSec * share)
    // A provider's file names its song; this also keeps files distinct that share a sound.
    if (task.format === 'wav') return tagWav(bytes, id)
    return Buffer.concat([id3Tag({ title: task.title, style: task.style, id }), bytes])
  }

  return {
    audio: (task: SongTask, index: number) => audio(task, index, 1),
    shortAudio: (task: SongTask, index: number) => audio(task, index, 0.5),
    /** The bare sound: never equal to the finished file, as a preview is not. */
    stream: (task: SongTask, index: number) => sound(task, index, task.songs[index]!.durationSec),
    /** A stranger's file for altered callbacks. */
    decoy: () => memory.get('decoy', () => studio.render({ seed: 'decoy', style: '', seconds: 2 })),
    async cover(task: SongTask, index: number) {
      const seed = songSeed(options, task.text, index)
      const title = pooled ? '' : task.title
      const picture = await memory.get(`cover|${seed}|${title}`, () => drawCover(seed, title))
      return signJpeg(picture, task.songs[index]!.id)
    },
  }
}

export type SongFiles = ReturnType<typeof createSongFiles>

/** A title for an idea that came without one. */
export const titleFrom = (idea: string): string => {
  const words = idea.split(/\s+/).slice(0, 4).join(' ').slice(0, 60)
  return words === '' ? 'Untitled' : words[0]!.toUpperCase() + words.slice(1)
}
