import type { MediaErrorName } from './media-error.ts'

/**
 * How a song that does not play is rescued: our copy, then its provider's address, then the track is read anew (fresh
 * signatures, a copy that was saved meanwhile), and only then the listener is told. Pure: the player does what it says.
 */
export interface Rescue {
  /** Addresses, best first. */
  readonly sources: readonly string[]
  readonly failed: readonly string[]
  /** What the browser said of the best address. */
  readonly error: MediaErrorName | null
  readonly reread: boolean
}

/** `unreachable`: our own server does not answer either. `missing`: the track is no more. */
export type Why = 'unreachable' | 'missing'
export type Step =
  | { do: 'load'; src: string }
  | { do: 'reread' }
  | { do: 'explain'; error: MediaErrorName; why?: Why }

/** Heard for so long in one piece, a song counts as playing well again, and every way is open anew. Seconds. */
export const WELL_SEC = 10

export const startRescue = (sources: readonly string[]): Rescue => ({
  sources: [...new Set(sources)], failed: [], error: null, reread: false,
})

/** @param readable whether the track can be read anew at all */
export function afterFailure(rescue: Rescue, src: string, said: MediaErrorName, readable: boolean): [Rescue, Step] {
  const error = rescue.error ?? said
  const next = { ...rescue, error, failed: [...new Set([...rescue.failed, src])] }
  // Somebody stopped it on purpose: going on elsewhere would not be what they wanted.
  if (said === 'MEDIA_ERR_ABORTED') return [next, { do: 'explain', error: said }]
  const other = next.sources.find((one) => !next.failed.includes(one))
  if (other !== undefined) return [next, { do: 'load', src: other }]
  if (readable && !rescue.reread) return [{ ...next, reread: true }, { do: 'reread' }]
  return [next, { do: 'explain', error }]
}

/** @param found the addresses of the track as it is now, or why there are none */
export function afterReread(rescue: Rescue, found: readonly string[] | Why): [Rescue, Step] {
  const error = rescue.error ?? 'MEDIA_ERR_NETWORK'
  if (typeof found === 'string') return [rescue, { do: 'explain', error, why: found }]
  const sources = [...new Set(found)]
  const fresh = sources.find((one) => !rescue.failed.includes(one))
  if (fresh !== undefined) return [{ ...rescue, sources, error: null }, { do: 'load', src: fresh }]
  // A broken line may be whole again; a damaged or refused file stays so.
  if (error === 'MEDIA_ERR_NETWORK' && sources[0] !== undefined) return [{ ...rescue, sources }, { do: 'load', src: sources[0] }]
  return [{ ...rescue, sources }, { do: 'explain', error }]
}

/** @param seconds played since it was loaded */
export const afterPlaying = (rescue: Rescue, seconds: number): Rescue =>
  seconds >= WELL_SEC && (rescue.failed.length > 0 || rescue.reread) ? startRescue(rescue.sources) : rescue
