import { z } from 'zod'
import type { FieldError } from '../../kernel/errors.ts'
import type { GenerationRequest } from '../provider.ts'

/** Limits in UTF-16 units, the strictest way to count. */
const LYRICS_LIMIT = 3000
const PROMPT_LIMIT = 1024
const DEFAULT_SONGS = 2

const songs = z.int('expected a whole number').min(1, 'expected 1 to 3').max(3, 'expected 1 to 3')

const filled = (text: string | undefined): string => text?.trim() ?? ''

/** How many songs are asked for; each is made, and billed, for itself. */
export function songCount(request: GenerationRequest): number {
  const read = songs.safeParse(request.options?.n)
  return read.success ? read.data : DEFAULT_SONGS
}

/** How it shall sound: the description, and the style where one was chosen. */
const control = (request: GenerationRequest): string => [filled(request.prompt), filled(request.style)].filter(Boolean).join('\n')

/** What the lyrics shall be about, when none are given. */
export const lyricsIdea = (request: GenerationRequest): string =>
  [filled(request.prompt) || control(request), filled(request.title) && `Title: ${filled(request.title)}`].filter(Boolean).join('\n')

/** The endpoint wants words for every song: without any, they are written for us first. */
export const needsLyrics = (request: GenerationRequest): boolean => !request.instrumental && filled(request.lyrics) === ''

/** Pure. */
export function validateRequest(request: GenerationRequest, models: readonly string[]): FieldError[] {
  const errors: FieldError[] = []
  const wrong = (path: string, rule: string, message: string) => errors.push({ path, rule, message })
  if (request.kind !== 'song') wrong('kind', 'one_of', 'Mureka makes songs only.')
  if (request.model !== undefined && !models.includes(request.model)) {
    wrong('model', 'one_of', `Unknown model; choose one of ${models.join(', ')}.`)
  }
  if (request.instrumental && filled(request.lyrics)) wrong('lyrics', 'conflict', 'An instrumental has no lyrics.')
  if (!control(request) && !filled(request.lyrics)) wrong('prompt', 'required', 'Describe the song, or give its lyrics.')
  const { length } = filled(request.lyrics)
  if (length > LYRICS_LIMIT) wrong('lyrics', 'max_length', `Lyrics may have at most ${LYRICS_LIMIT} characters; these have ${length}.`)
  const asked = control(request).length
  if (asked > PROMPT_LIMIT) {
    wrong('prompt', 'max_length', `Prompt and style together may have at most ${PROMPT_LIMIT} characters; these have ${asked}.`)
  }
  for (const [name, value] of Object.entries(request.options ?? {})) {
    if (name !== 'n') wrong(`options.${name}`, 'unknown', `Mureka has no option ${name}.`)
    else if (!songs.safeParse(value).success) wrong('options.n', 'invalid', 'n is how many songs: a whole number from 1 to 3.')
  }
  return errors
}

/** The body of `POST /v1/song/generate`, or of `/v1/instrumental/generate`, which takes no lyrics. */
export function submitBody(request: GenerationRequest, defaultModel: string): object {
  const prompt = control(request)
  return {
    ...(!request.instrumental && { lyrics: request.lyrics ?? '' }),
    model: request.model ?? defaultModel,
    n: songCount(request),
    ...(prompt && { prompt }),
    stream: false,
  }
}

/** Lyrics that were written for us may be longer than the endpoint takes: whole lines are kept. */
export function fitLyrics(lyrics: string): string {
  if (lyrics.length <= LYRICS_LIMIT) return lyrics
  const cut = lyrics.slice(0, LYRICS_LIMIT)
  return cut.slice(0, Math.max(cut.lastIndexOf('\n'), 0)).trimEnd() || cut
}
