import { audioBase, type Addresses } from '../addresses.ts'
import { findFault } from '../faults.ts'
import { createDice } from '../random.ts'
import type { SongTask } from '../songs.ts'

/** What is kept of one accepted request. Everything else about it is worked out from this and the clock. */
export interface Prediction extends SongTask {
  /** Times faster than the real service when it was accepted; 0 = no delays. */
  speed: number
  model: string
  /** As the answers tell it: official models hide theirs. */
  version: string
  input: Record<string, unknown>
  webhook: string | null
  events: string[]
  /** The simulator's clock, ms; when its owner canceled it. */
  canceledAt?: number
}

type Ending = { status: 'succeeded' | 'failed' | 'canceled' | 'aborted'; error: string | null }

/** The ways a prediction can end badly, by the fault that asks for it. */
const ENDS: Record<string, Ending> = {
  sensitive: { status: 'failed', error: 'The input or output was flagged as sensitive. Please try again with different inputs. (E005)' },
  'create-failed': { status: 'failed', error: 'Director: unexpected error handling prediction (E9243)' },
  'audio-failed': { status: 'failed', error: 'CUDA out of memory.' },
  'partial-then-fail': { status: 'failed', error: 'Prediction interrupted; please retry (code: PA)' },
  'timed-out': { status: 'aborted', error: null },
  cancelled: { status: 'canceled', error: null },
}

export const has = (task: Prediction, name: string) => findFault(task.faults, name) !== undefined

/** At speed 1: running after 1–4 s, done after 25–45 s. Moments on the simulator's clock, ms. */
export function momentsOf(task: Prediction): { started: number; ended: number } {
  const dice = createDice(task.id)
  const after = (low: number, high: number) => {
    const seconds = dice.between(low, high)
    return task.createdAt + (task.speed === 0 ? 0 : Math.round((seconds * 1000) / task.speed))
  }
  const late = Number(findFault(task.faults, 'late')?.value ?? 0) * 1000
  const started = after(1, 4)
  const ended = has(task, 'never-finishes') ? Infinity : has(task, 'timed-out') ? started : after(25, 45) + late
  return { started, ended: Math.min(ended, task.canceledAt ?? Infinity) }
}

/** How it will end, as far as is known by now. */
export function endingOf(task: Prediction): Ending {
  if (task.canceledAt !== undefined && task.canceledAt <= momentsOf(task).ended) return { status: 'canceled', error: null }
  return Object.entries(ENDS).find(([name]) => has(task, name))?.[1] ?? { status: 'succeeded', error: null }
}

/** When its files can be had: from its success until they are removed. */
export function fileTimes(task: Prediction, retentionMs: number): { from: number; until: number } {
  const { ended } = momentsOf(task)
  const from = endingOf(task).status === 'succeeded' ? ended : Infinity
  return { from, until: has(task, 'data-removed') ? -Infinity : ended + retentionMs }
}

export function statusAt(task: Prediction, now: number): string {
  const { started, ended } = momentsOf(task)
  if (now >= ended) return endingOf(task).status
  const odd = findFault(task.faults, 'unknown-status')
  if (odd) return odd.value ?? 'mastering'
  return now >= started ? 'processing' : 'starting'
}

/** The prediction as every answer and webhook tells it at `now`. */
export function predictionBody(task: Prediction, now: number, retentionMs: number, addresses: Addresses): Record<string, unknown> {
  const { started, ended } = momentsOf(task)
  const over = now >= ended
  const removed = over && now >= fileTimes(task, retentionMs).until
  const status = statusAt(task, now)
  const { base } = addresses
  return {
    id: task.id,
    model: task.model,
    version: task.version,
    input: removed ? {} : task.input,
    logs: removed || now < started ? '' : 'Using seed: 4711\n',
    output: status === 'succeeded' && !removed ? outputOf(task, addresses) : null,
    data_removed: removed,
    error: over ? endingOf(task).error : null,
    source: 'api',
    status,
    created_at: iso(task.createdAt),
    started_at: now >= started ? iso(started) : null,
    completed_at: over ? iso(ended) : null,
    urls: {
      cancel: `${base}/v1/predictions/${task.id}/cancel`,
      get: `${base}/v1/predictions/${task.id}`,
      web: `https://replicate.com/p/${task.id}`,
    },
    metrics: over ? { predict_time: (ended - started) / 1000, total_time: (ended - task.createdAt) / 1000 } : {},
    ...(task.webhook && { webhook: task.webhook, webhook_events_filter: task.events }),
    ...(has(task, 'extra-fields') && { deadline: null, pipeline: { version: 9, nodes: ['a', 'b'] } }),
  }
}

/** What a model gives is its own matter: one address, a list, or text. */
function outputOf(task: Prediction, addresses: Addresses): unknown {
  const { id } = task.songs[0]!
  const url = `${audioBase(task.faults, addresses)}/files/audio/${id}.${task.format ?? 'mp3'}`
  if (has(task, 'no-audio-url') || has(task, 'sunodata-null')) return null
  if (has(task, 'sunodata-empty')) return []
  if (has(task, 'output-text')) return 'la la la, said the model'
  return has(task, 'output-list') ? [url] : url
}

const iso = (ms: number) => new Date(ms).toISOString()
