import { sha256Hex } from '../kernel/ids.ts'

/** What makes two requests of one user the same request. */
export interface Idempotency {
  route: string
  key: string
  /** Must be equal under the same key. */
  body: unknown
  keySeconds: number
  /** Whether the same request, while the first is still in flight, waits for its answer instead of hearing 409. */
  waitForTwin: boolean
}

const SAME_REQUEST_SEC = 10
const DAY_SEC = 86_400

/** By the client's key. Without one, as the seeds' front ends ask: the same body within 10 seconds is the same click. */
export function sameRequest(route: string, body: unknown, key?: string): Idempotency {
  if (key) return { route, key, body, keySeconds: DAY_SEC, waitForTwin: false }
  return { route, key: `auto:${sha256Hex(canonical(body)).slice(0, 32)}`, body: null, keySeconds: SAME_REQUEST_SEC, waitForTwin: true }
}

/** Equal JSON is equal whatever the order of its keys. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join(',')}}`
  }
  return JSON.stringify(value) ?? 'null'
}
