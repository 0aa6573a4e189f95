import type { FieldError } from '../../kernel/errors.ts'
import type { GenerationRequest } from '../provider.ts'
import type { ReplicateModel } from './models.ts'

const filled = (text: string | undefined): string => text?.trim() ?? ''

/** Models have one field for what the music shall be like: a chosen style stands in it too, so that it is not lost. */
const description = ({ prompt, style }: GenerationRequest): string => [filled(prompt), filled(style)].filter(Boolean).join('\n')

/** Pure. Lengths are UTF-16 units, the strictest way to count. */
export function validateRequest(request: GenerationRequest, models: readonly ReplicateModel[], defaultModel: string): FieldError[] {
  const errors: FieldError[] = []
  const wrong = (path: string, rule: string, message: string) => errors.push({ path, rule, message })
  const limit = (path: string, text: string, max: number | null, what: string) => {
    if (max !== null && text.length > max) wrong(path, 'max_length', `${what} may have at most ${max} characters; this has ${text.length}.`)
  }

  if (request.kind !== 'song') wrong('kind', 'one_of', 'Only songs are made with Replicate here.')
  if (!filled(request.prompt)) wrong('prompt', 'required', 'Describe the music.')
  const model = models.find((known) => known.id === (request.model ?? defaultModel))
  if (!model) {
    wrong('model', 'one_of', `Unknown model; choose one of ${models.map((known) => known.id).join(', ')}.`)
    return errors
  }
  limit('prompt', description(request), model.prompt.max, filled(request.style) ? 'Prompt and style together' : 'The prompt')
  const lyrics = filled(request.lyrics)
  if (lyrics && !model.lyrics) wrong('lyrics', 'conflict', `${model.id} makes instrumentals; it cannot sing lyrics.`)
  if (lyrics && request.instrumental) wrong('lyrics', 'conflict', 'An instrumental has no lyrics.')
  if (model.lyrics) limit('lyrics', lyrics, model.lyrics.max, 'Lyrics')

  for (const [name, value] of Object.entries(request.options ?? {})) {
    const path = `options.${name}`
    const rule = Object.hasOwn(model.options, name) ? model.options[name]! : null
    const read = rule?.safeParse(value)
    if (!read) wrong(path, 'unknown', `${model.id} has no option ${name}.`)
    else if (!read.success) wrong(path, 'invalid', `${name}: ${read.error.issues[0]?.message ?? 'not valid'}.`)
  }
  return errors
}

/** The model's `input`. */
export function inputOf(request: GenerationRequest, model: ReplicateModel): Record<string, unknown> {
  const lyrics = filled(request.lyrics)
  return {
    ...model.defaults,
    ...request.options,
    [model.prompt.field]: description(request),
    ...(model.lyrics && lyrics && { [model.lyrics.field]: lyrics }),
    ...(model.instrumentalField && { [model.instrumentalField]: request.instrumental ?? false }),
    ...(!lyrics && !request.instrumental && model.withoutLyrics),
  }
}
