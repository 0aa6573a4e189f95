import { readFileSync } from 'node:fs'

/** Payloads written after the endpoint's documentation; fresh copies, so that a test may bend them. */
const load = (name: string) => JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8'))

export const songs = (): Record<string, unknown>[] => load('songs')
export const callbackComplete = () => load('callback-complete')
export const callbackError = () => load('callback-error')

/** The answer of record-info with this status; without songs `response` is null, as while pending. */
export function record(status: string, sunoData?: unknown[] | null, more: Record<string, unknown> = {}) {
  const body = load('record')
  const response = sunoData === undefined ? null : { taskId: body.data.taskId, sunoData }
  return { ...body, data: { ...body.data, status, response, ...more } }
}
