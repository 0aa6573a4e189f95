import { audioBase, type Addresses } from '../addresses.ts'
import { findFault } from '../faults.ts'
import type { MurekaTask } from './task.ts'
import { has, timelineOf, type TaskView } from './timeline.ts'

/** The answer of a query, and of the submit when nothing has happened yet. Times of the task are in seconds, of songs in ms. */
export function taskBody(task: MurekaTask, view: TaskView, now: number, addresses: Addresses) {
  const { final } = timelineOf(task)
  return {
    id: task.id,
    created_at: Math.floor(task.createdAt / 1000),
    ...(now >= final && { finished_at: Math.floor(final / 1000) }),
    model: task.model === 'auto' ? 'mureka-9' : task.model,
    status: view.status,
    ...(view.reason && { failed_reason: view.reason }),
    ...choices(task, view, now >= final, addresses),
    ...(has(task, 'extra-fields') && { region: 'eu-7', pipeline: { version: 9, nodes: ['a', 'b'] } }),
  }
}

function choices(task: MurekaTask, view: TaskView, done: boolean, addresses: Addresses) {
  if (done && has(task, 'sunodata-null')) return { choices: null }
  if (done && has(task, 'sunodata-empty')) return { choices: [] }
  return view.songs.length === 0 ? {} : { choices: view.songs.map((index) => choice(task, index, done, addresses)) }
}

/** No title and no cover: the service gives none. */
function choice(task: MurekaTask, index: number, done: boolean, addresses: Addresses) {
  const { id, durationSec } = task.songs[index]!
  const noUrl = findFault(task.faults, 'no-audio-url')
  const hidden = !done || (noUrl !== undefined && (noUrl.variant === undefined || noUrl.variant === index))
  const durationMs = Math.round(durationSec * 1000)
  return {
    index,
    id,
    url: hidden ? '' : `${audioBase(task.faults, addresses)}/files/audio/${id}.mp3`,
    flac_url: '',
    stream_url: task.stream ? `${addresses.base}/files/stream/${id}` : '',
    ...(done && { duration: durationMs }),
    ...(done && task.kind === 'song' && { lyrics_sections: sections(task.lyrics, durationMs) }),
    ...(has(task, 'extra-fields') && { wav_url: '', watermarked: false, loudness: { lufs: -14.2 } }),
  }
}

/** The lyrics, their lines spread evenly over the song. */
function sections(lyrics: string, durationMs: number) {
  const blocks: { section_type: string; lines: string[] }[] = []
  for (const line of lyrics.split('\n').map((one) => one.trim())) {
    const head = /^\[(.+)\]$/.exec(line)
    if (head) blocks.push({ section_type: head[1]!.toLowerCase(), lines: [] })
    else if (line) {
      if (blocks.length === 0) blocks.push({ section_type: 'verse', lines: [] })
      blocks.at(-1)!.lines.push(line)
    }
  }
  const step = durationMs / Math.max(1, blocks.reduce((sum, block) => sum + block.lines.length, 0))
  let sung = 0
  return blocks.map((block) => {
    const start = Math.round(sung * step)
    const lines = block.lines.map((text) => ({ start: Math.round(sung * step), end: Math.round(++sung * step), text }))
    return { section_type: block.section_type, start, end: Math.round(sung * step), lines }
  })
}
