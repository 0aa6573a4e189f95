import { z } from 'zod'
import { providerError } from '../http-call.ts'
import type { ProviderResult, Snapshot } from '../provider.ts'

/** Read tolerantly: any extra field, a field of the wrong type counts as absent. Nothing here throws. */
const word = z.string().transform((value) => value.trim() || null).nullish().catch(null)

const predictionShape = z.looseObject({
  id: word,
  status: word,
  output: z.unknown().optional(),
  error: z.unknown().optional(),
  data_removed: z.boolean().nullish().catch(null),
})

export interface Prediction {
  id: string | null
  status: string | null
  /** Addresses in the output, whatever shape the model gave it. Text is no address. */
  urls: string[]
  errorText: string
  /** Its files were deleted, an hour after it ended. */
  removed: boolean
}

/** @param plainHttp whether an address without TLS is taken: only a provider on this machine has such. */
export function readPrediction(json: unknown, plainHttp: boolean): Prediction | null {
  const read = predictionShape.safeParse(json)
  if (!read.success) return null
  const { id, status, output, error, data_removed: removed } = read.data
  const isAddress = (value: unknown): value is string =>
    typeof value === 'string' && URL.canParse(value) && (plainHttp ? /^https?:$/ : /^https:$/).test(new URL(value).protocol)
  return {
    id: id ?? null,
    status: status?.toLowerCase() ?? null,
    urls: (Array.isArray(output) ? output : [output]).filter(isAddress),
    errorText: typeof error === 'string' ? error : error ? (JSON.stringify(error) ?? '') : '',
    removed: removed === true,
  }
}

/** How models say that the text, not the machine, was the trouble. */
const POLICY_WORDS = /flagged|sensitive|nsfw|moderation|content policy|prohibited|\(E005\)/i
export const isPolicy = (text: string): boolean => POLICY_WORDS.test(text)

/** The prediction as the engine understands it. One request is one result: of several addresses the first is the music. */
export function readSnapshot(prediction: Prediction, raw: unknown): Snapshot {
  const { id, status, urls, errorText, removed } = prediction
  const open = (as: 'queued' | 'running'): Snapshot => ({ status: as, results: [], error: null, raw })
  const ended = (as: 'failed' | 'cancelled', code: Parameters<typeof providerError>[0], detail: string): Snapshot => {
    return { status: as, results: [], error: providerError(code, detail), raw }
  }
  switch (status) {
    case 'starting':
      return open('queued')
    // Also with an address: what a running model shows is not finished.
    case 'processing':
      return open('running')
    case 'succeeded':
      if (removed && urls.length === 0) return ended('failed', 'provider_task_gone', 'it succeeded, but its files were removed before they could be fetched')
      return { status: 'succeeded', results: urls.slice(0, 1).map((url) => result(id, url)), error: null, raw }
    case 'failed':
      return ended('failed', isPolicy(errorText) ? 'content_policy' : 'provider_failed', errorText || 'no reason given')
    case 'canceled':
    case 'cancelled':
      return ended('cancelled', 'provider_failed', 'it was canceled at the provider')
    case 'aborted':
      return ended('cancelled', 'provider_failed', 'the provider did not start it in time')
    // Whatever they think of next.
    default:
      return removed ? ended('failed', 'provider_task_gone', `its data were removed (${status})`) : open('running')
  }
}

/** How long it plays is not told: the file itself will say. */
const result = (id: string | null, url: string): ProviderResult => ({
  providerId: id, final: { url }, previewUrl: null, coverUrl: null, title: null, tags: null, lyrics: null, durationMs: null,
})
