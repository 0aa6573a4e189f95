import { audioBase, type Addresses } from '../addresses.ts'
import type { SunoTask } from './task.ts'
import { has, songsAt, type CallbackType, type SongView, type TaskView } from './timeline.ts'

/** One song in record-info's camelCase. */
function song(task: SunoTask, view: SongView, addresses: Addresses) {
  const cover = `${addresses.base}/files/cover/${view.id}.jpeg`
  const stream = view.stream ? `${addresses.base}/files/stream/${view.id}` : ''
  const audio = view.audio ? `${audioBase(task.faults, addresses)}/files/audio/${view.id}.mp3` : ''
  return {
    id: view.id,
    audioUrl: audio,
    sourceAudioUrl: audio,
    streamAudioUrl: stream,
    sourceStreamAudioUrl: stream,
    imageUrl: cover,
    sourceImageUrl: cover,
    prompt: task.lyrics,
    modelName: modelName(task.model),
    title: task.title,
    tags: task.style,
    createTime: new Date(task.createdAt).toISOString().slice(0, 19).replace('T', ' '),
    duration: view.audio ? task.songs[view.index]!.durationSec : null,
    ...(has(task, 'extra-fields') && { clipScore: 0.87, stems: [{ kind: 'vocals', url: null }] }),
  }
}

/** Callbacks and the old record-info variant spell the same song in snake_case, all but `createTime`. */
function snakeSong(task: SunoTask, view: SongView, addresses: Addresses) {
  const entries = Object.entries(song(task, view, addresses)).map(([key, value]) => [
    key === 'createTime' ? key : key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ])
  return Object.fromEntries(entries) as Record<string, unknown>
}

const modelName = (model: string) => `chirp-${model.toLowerCase().replaceAll('_', '-')}`

/** `data` of record-info. */
export function recordInfo(task: SunoTask, view: TaskView, addresses: Addresses) {
  const extra = has(task, 'extra-fields') && { region: 'eu-7', pipeline: { version: 9, nodes: ['a', 'b'] } }
  return {
    taskId: task.id,
    parentMusicId: '',
    param: task.param,
    response: response(task, view, addresses),
    status: view.status,
    type: 'GENERATE',
    operationType: 'generate',
    errorCode: view.failure?.code ?? null,
    errorMessage: view.failure?.message ?? null,
    ...extra,
  }
}

function response(task: SunoTask, view: TaskView, addresses: Addresses) {
  const ended = view.status === 'SUCCESS' || view.status === 'CALLBACK_EXCEPTION'
  if (ended && has(task, 'sunodata-null')) return { taskId: task.id, sunoData: null }
  if (ended && has(task, 'sunodata-empty')) return { taskId: task.id, sunoData: [] }
  if (view.songs.length === 0) return null
  if (has(task, 'snake-case')) {
    return { task_id: task.id, data: view.songs.map((item) => snakeSong(task, item, addresses)) }
  }
  return { taskId: task.id, sunoData: view.songs.map((item) => song(task, item, addresses)) }
}

const messages = {
  text: 'Text generated successfully.',
  first: 'First audio generated successfully.',
  complete: 'All generated successfully.',
}

/** The whole body of a callback. `failure` is needed for `error` only. */
export function callbackBody(
  task: SunoTask,
  type: CallbackType,
  failure: { code: number; message: string } | null,
  addresses: Addresses,
): Record<string, unknown> {
  if (type === 'error') {
    const { code, message } = failure ?? { code: 500, message: 'Internal Error, Please try again later.' }
    return { code, msg: message, data: { callbackType: 'error', task_id: task.id, data: null } }
  }
  const songs = songsAt(task, type).map((view) => snakeSong(task, view, addresses))
  const data = has(task, 'callback-altered') ? songs.map((item) => altered(item, addresses)) : songs
  return { code: 200, msg: messages[type], data: { callbackType: type, task_id: task.id, data } }
}

/** A body that somebody changed on the way: everything points at a stranger's file. */
function altered(item: Record<string, unknown>, { base }: Addresses) {
  const decoy = `${base}/files/decoy.mp3`
  return {
    ...item,
    id: '00000000-0000-4000-8000-00000000dec0',
    title: 'Altered on the way',
    duration: 1.5,
    audio_url: decoy,
    source_audio_url: decoy,
    stream_audio_url: decoy,
    source_stream_audio_url: decoy,
  }
}
