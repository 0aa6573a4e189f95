import { z } from 'zod'
import type { ProviderResult } from '../provider.ts'

/**
 * What the endpoint answers, read tolerantly: both spellings of every name, any extra field, a field of the wrong
 * type counts as absent. Nothing here throws.
 */
const word = z
  .union([z.string(), z.number()])
  .transform((value) => String(value).trim() || null)
  .nullish()
  .catch(null)
const number = z.coerce.number().nullish().catch(null)
const list = z.array(z.unknown()).nullish().catch(null)

const songShape = z.looseObject({
  id: word,
  audioId: word,
  audio_id: word,
  audioUrl: word,
  audio_url: word,
  streamAudioUrl: word,
  stream_audio_url: word,
  imageUrl: word,
  image_url: word,
  title: word,
  tags: word,
  prompt: word,
  lyric: word,
  duration: number,
})

const nested = z.looseObject({ sunoData: list, suno_data: list, data: list }).nullish().catch(null)

const bodyShape = z.looseObject({
  code: z.coerce.number().int().nullish().catch(null),
  msg: word,
  message: word,
  data: z.unknown().optional(),
})

const recordShape = z.looseObject({
  taskId: word,
  task_id: word,
  status: word,
  response: nested,
  sunoData: list,
  suno_data: list,
  data: list,
  errorCode: word,
  error_code: word,
  errorMessage: word,
  error_message: word,
  callbackType: word,
  callback_type: word,
})

export interface Body {
  /** Null when there is none: then only the rest can speak. */
  code: number | null
  message: string
  data: unknown
}

export interface Record {
  taskId: string | null
  status: string | null
  callbackType: string | null
  songs: ProviderResult[]
  errorText: string
}

export function readBody(json: unknown): Body | null {
  const read = bodyShape.safeParse(json)
  if (!read.success) return null
  const { code, msg, message, data } = read.data
  return { code: code || null, message: msg ?? message ?? '', data }
}

export function readRecord(data: unknown): Record | null {
  const read = recordShape.safeParse(data)
  if (!read.success) return null
  const it = read.data
  const songs =
    it.response?.sunoData ?? it.response?.suno_data ?? it.response?.data ?? it.sunoData ?? it.suno_data ?? it.data ?? []
  return {
    taskId: it.taskId ?? it.task_id ?? null,
    status: it.status?.toUpperCase() ?? null,
    callbackType: (it.callbackType ?? it.callback_type)?.toLowerCase() ?? null,
    songs: songs.map(readSong).filter((song) => song !== null),
    errorText: [it.errorCode ?? it.error_code, it.errorMessage ?? it.error_message].filter(Boolean).join(' '),
  }
}

function readSong(item: unknown): ProviderResult | null {
  const read = songShape.safeParse(item)
  if (!read.success) return null
  const song = read.data
  const stream = address(song.streamAudioUrl ?? song.stream_audio_url)
  const audio = address(song.audioUrl ?? song.audio_url)
  return {
    providerId: song.id ?? song.audioId ?? song.audio_id ?? null,
    // A stream named as the file is still a stream: it ends wherever the song has got to.
    final: audio && audio !== stream ? { url: audio } : null,
    previewUrl: stream,
    coverUrl: address(song.imageUrl ?? song.image_url),
    title: song.title ?? null,
    tags: song.tags ?? null,
    lyrics: song.prompt ?? song.lyric ?? null,
    // Seconds as a float there, whole milliseconds here; 0 stands for "not known yet".
    durationMs: song.duration && song.duration > 0 ? Math.round(song.duration * 1000) : null,
  }
}

const address = (value: string | null | undefined): string | null =>
  value && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) ? value : null
