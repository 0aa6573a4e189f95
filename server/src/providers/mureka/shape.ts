import { z } from 'zod'
import { providerError } from '../http-call.ts'
import type { ProviderResult, Snapshot } from '../provider.ts'

/**
 * What the endpoint answers, read tolerantly: any extra field, a field of the wrong type counts as absent. Nothing
 * here throws. Times inside songs are milliseconds.
 */
const word = z
  .union([z.string(), z.number()])
  .transform((value) => String(value).trim() || null)
  .nullish()
  .catch(null)
const number = z.coerce.number().nullish().catch(null)
const list = z.array(z.unknown()).nullish().catch(null)

const taskShape = z.looseObject({ id: word, status: word, failed_reason: word, choices: list })
const choiceShape = z.looseObject({
  index: z.int().min(0).nullish().catch(null),
  id: word,
  url: word,
  flac_url: word,
  wav_url: word,
  stream_url: word,
  title: word,
  lyrics: word,
  duration: number,
  lyrics_sections: list,
})
const sectionShape = z.looseObject({ section_type: word, lines: list })
const lineShape = z.looseObject({ text: word })
const errorShape = z.looseObject({
  error: z.union([z.looseObject({ message: word }).transform(({ message }) => message ?? ''), z.string()]).catch(''),
})
const billingShape = z.looseObject({ balance: z.number().min(0), concurrent_request_limit: z.int().min(1).nullish().catch(null) })
const lyricsShape = z.looseObject({ lyrics: z.string().trim().min(1) })

export interface Task {
  id: string | null
  status: string | null
  reason: string
  songs: ProviderResult[]
}

export function readTask(json: unknown): Task | null {
  const read = taskShape.safeParse(json)
  if (!read.success) return null
  const { id, status, failed_reason, choices } = read.data
  const songs = (choices ?? []).map(readChoice).filter((song) => song !== null)
  songs.sort((a, b) => a.index - b.index)
  return { id: id ?? null, status: status?.toLowerCase() ?? null, reason: failed_reason ?? '', songs: songs.map(({ song }) => song) }
}

function readChoice(item: unknown, place: number): { index: number; song: ProviderResult } | null {
  const read = choiceShape.safeParse(item)
  if (!read.success) return null
  const choice = read.data
  const stream = address(choice.stream_url)
  const url = address(choice.url) ?? address(choice.flac_url) ?? address(choice.wav_url)
  return {
    index: choice.index ?? place,
    song: {
      providerId: choice.id ?? null,
      // A stream named as the file is still a stream: it ends wherever the song has got to.
      final: url && url !== stream ? { url } : null,
      previewUrl: stream,
      coverUrl: null,
      title: choice.title ?? null,
      tags: null,
      lyrics: readLyrics(choice.lyrics_sections) ?? choice.lyrics ?? null,
      durationMs: choice.duration && choice.duration > 0 ? Math.round(choice.duration) : null,
    },
  }
}

/** `[Verse]` and its lines, as they were sung. */
function readLyrics(sections: unknown[] | null | undefined): string | null {
  const blocks = (sections ?? []).map((item) => {
    const section = sectionShape.safeParse(item).data
    const lines = (section?.lines ?? []).flatMap((line) => lineShape.safeParse(line).data?.text ?? [])
    const name = section?.section_type
    return [...(name ? [`[${name[0]!.toUpperCase()}${name.slice(1)}]`] : []), ...lines].join('\n')
  })
  return blocks.filter(Boolean).join('\n\n') || null
}

/** What an error says, in its own words. */
export const readError = (json: unknown): string => errorShape.safeParse(json).data?.error ?? ''

export const readLyricsAnswer = (json: unknown): string | null => lyricsShape.safeParse(json).data?.lyrics ?? null

/** Cents that are left, and how many tasks may run at once; null when it makes no sense. */
export function readBilling(json: unknown): { amount: number; concurrency: number | null } | null {
  const read = billingShape.safeParse(json)
  return read.success ? { amount: read.data.balance, concurrency: read.data.concurrent_request_limit ?? null } : null
}

const POLICY_WORDS = /sensitive|prohibited|moderation|policy|inappropriate|copyright|violat/i

export const isPolicy = (text: string): boolean => POLICY_WORDS.test(text)

/** A task's status as the engine understands it; whatever is not known yet is still running. */
export function readSnapshot({ status, songs: results, reason }: Task, raw: unknown): Snapshot {
  const heard = results.some((song) => song.final || song.previewUrl)
  const failed = (): Snapshot => {
    const code = isPolicy(reason) ? 'content_policy' : 'provider_failed'
    return { status: 'failed', results, error: providerError(code, `${status} ${reason}`.trim()), raw }
  }
  switch (status) {
    // Also without a file: addresses may be filled in a moment later, so the engine asks again before it believes it.
    case 'succeeded':
      return { status: 'succeeded', results, error: null, raw }
    case 'failed':
    case 'timeouted':
      return failed()
    case 'cancelled':
      return { ...failed(), status: 'cancelled' }
    case 'preparing':
    case 'queued':
      return { status: heard ? 'partial' : 'queued', results, error: null, raw }
    default:
      return { status: heard ? 'partial' : 'running', results, error: null, raw }
  }
}

const address = (value: string | null | undefined): string | null =>
  value && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) ? value : null
