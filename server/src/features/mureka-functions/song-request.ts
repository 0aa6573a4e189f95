import { z } from 'zod'
import { fieldErrors } from '../../http-kit/validation.ts'
import { AppError } from '../../kernel/errors.ts'
import type { GenerationRequest } from '../../providers/provider.ts'

/** As the seed's front ends send it: what is not filled in may be empty or null. */
const filled = <T extends z.ZodType>(schema: T) => z.preprocess((value) => (value === null || value === '' ? undefined : value), schema.optional())
const words = filled(z.string().trim().max(5_000))
const bodySchema = z.object({
  prompt: words,
  lyrics: words,
  custom_lyrics: words,
  inputType: filled(z.enum(['description', 'lyrics'])),
  model: words,
  title: words,
  style: words,
  genre: words,
  mood: words,
  tempo: filled(z.union([z.string(), z.number()])),
  instrumental: filled(z.boolean()),
  projectId: filled(z.uuid()),
  artistId: filled(z.uuid()),
})

export interface SongWish {
  request: GenerationRequest
  /** What goes into `ai_generations.metadata` beside it. */
  notes: Record<string, unknown>
}

/** Reads the body of `generate-mureka-track`. Throws AppError(validation_failed) that names each wrong field. */
export function readSongWish(body: Record<string, unknown>): SongWish {
  const read = bodySchema.safeParse(body)
  if (!read.success) throw new AppError('validation_failed', {}, fieldErrors(read.error, body))
  const { prompt = '', lyrics, custom_lyrics, inputType, model, title, style, genre, mood, tempo, instrumental = false, projectId, artistId } = read.data
  const given = instrumental ? undefined : (custom_lyrics ?? lyrics)
  // With lyrics announced and in no field of their own, the one text that there is are the lyrics.
  const sung = given ?? (inputType === 'lyrics' && !instrumental ? prompt : undefined)
  const sound = [style, genre, mood, typeof tempo === 'number' ? `${tempo} BPM` : tempo].filter(Boolean).join(', ')
  return {
    request: {
      kind: 'song',
      prompt: sung === prompt ? '' : prompt,
      ...(title && { title }), ...(sound && { style: sound }), ...(sung && { lyrics: sung }), ...(instrumental && { instrumental }), ...(model && { model }),
    },
    notes: { input_type: inputType, project_id: projectId, artist_id: artistId },
  }
}
