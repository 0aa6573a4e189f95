import { z } from 'zod'
import type { FieldError } from '../../kernel/errors.ts'
import type { GenerationRequest } from '../provider.ts'
import { IDEA_LIMIT, TITLE_LIMIT, type SunoModel } from './models.ts'

const weight = z.number('expected a number from 0 to 1').min(0).max(1)

/** Options that only Suno knows. All need custom mode: the endpoint ignores them beside an idea. */
const OPTIONS = {
  negativeTags: z.string().max(1000),
  vocalGender: z.enum(['m', 'f'], 'expected m or f'),
  styleWeight: weight,
  weirdnessConstraint: weight,
  audioWeight: weight,
  personaId: z.string().min(1).max(200),
  personaModel: z.enum(['style_persona', 'voice_persona'], 'expected style_persona or voice_persona'),
  duration: z.number().min(10, 'expected 10 to 360 seconds').max(360, 'expected 10 to 360 seconds'),
} as const
type OptionName = keyof typeof OPTIONS
const isOption = (name: string): name is OptionName => Object.hasOwn(OPTIONS, name)

const filled = (text: string | undefined): string => text?.trim() ?? ''

/**
 * Custom mode when the words are given, or when an instrumental has both style and title: then style and title are
 * taken literally and `prompt` stands in for a missing style. Otherwise the endpoint takes one idea and nothing else.
 */
export const isCustom = (request: GenerationRequest): boolean =>
  filled(request.lyrics) !== '' || (request.instrumental === true && !!filled(request.style) && !!filled(request.title))

/** A style or title that was chosen beside an idea goes into the idea's text, so that nothing chosen is lost. */
function ideaText(request: GenerationRequest): string {
  const style = filled(request.style) && `Style: ${filled(request.style)}`
  const title = filled(request.title) && `Title: ${filled(request.title)}`
  return [filled(request.prompt), style, title].filter(Boolean).join('\n')
}

/** Pure. Lengths are UTF-16 units, the strictest way to count. */
export function validateRequest(
  request: GenerationRequest,
  models: readonly SunoModel[],
  defaultModel: string,
): FieldError[] {
  const errors: FieldError[] = []
  const wrong = (path: string, rule: string, message: string) => errors.push({ path, rule, message })
  const limit = (path: string, text: string, max: number, what: string) => {
    if (text.length <= max) return
    wrong(path, 'max_length', `${what} may have at most ${max} characters; this has ${text.length}.`)
  }

  if (request.kind !== 'song') wrong('kind', 'one_of', 'Suno makes songs only.')
  const model = models.find((known) => known.id === (request.model ?? defaultModel))
  const offered = models.filter((known) => known.status !== 'retired').map((known) => known.id)
  const choose = `choose one of ${offered.join(', ')}.`
  if (!model) wrong('model', 'one_of', `Unknown model; ${choose}`)
  else if (model.status === 'retired') wrong('model', 'retired', `${model.id} is retired; ${choose}`)

  if (isCustom(request)) {
    if (request.instrumental && filled(request.lyrics)) wrong('lyrics', 'conflict', 'An instrumental has no lyrics.')
    if (!filled(request.title)) wrong('title', 'required', 'A title is needed when the lyrics are given.')
    if (!filled(request.style) && !filled(request.prompt)) {
      wrong('style', 'required', 'A style (or a prompt to use as style) is needed when the lyrics are given.')
    }
    if (model) {
      limit('lyrics', request.lyrics ?? '', model.lyrics, 'Lyrics')
      if (filled(request.style)) limit('style', filled(request.style), model.style, 'The style')
      else limit('prompt', filled(request.prompt), model.style, 'The prompt, used as style,')
    }
  } else {
    const prompt = filled(request.prompt)
    if (!prompt) wrong('prompt', 'required', 'Describe the song.')
    else if (prompt.length > IDEA_LIMIT) limit('prompt', prompt, IDEA_LIMIT, 'The prompt')
    else limit('prompt', ideaText(request), IDEA_LIMIT, 'Prompt, style and title together')
  }
  limit('title', filled(request.title), TITLE_LIMIT, 'The title')

  for (const [name, value] of Object.entries(request.options ?? {})) {
    const path = `options.${name}`
    if (!isOption(name)) {
      wrong(path, 'unknown', `Suno has no option ${name}.`)
      continue
    }
    const read = OPTIONS[name].safeParse(value)
    if (!read.success) wrong(path, 'invalid', `${name}: ${read.error.issues[0]?.message ?? 'not valid'}.`)
    else if (!isCustom(request)) {
      wrong(path, 'conflict', `${name} works only with lyrics, or for an instrumental with style and title.`)
    } else if (name === 'duration' && model && !model.takesDuration) {
      wrong(path, 'conflict', `${model.id} does not take a duration.`)
    }
  }
  return errors
}

/** The body of `POST /api/v1/generate`. */
export function submitBody(request: GenerationRequest, defaultModel: string, callBackUrl: string): object {
  const common = {
    customMode: isCustom(request),
    instrumental: request.instrumental ?? false,
    model: request.model ?? defaultModel,
    callBackUrl,
  }
  if (!common.customMode) return { ...common, prompt: ideaText(request) }
  const options = Object.entries(request.options ?? {}).filter(([name]) => isOption(name))
  const isWeight = (name: string) => isOption(name) && OPTIONS[name] === weight
  const rounded = options.map(([name, value]) => [name, isWeight(name) ? hundredths(value) : value])
  return {
    ...common,
    ...(common.instrumental ? {} : { prompt: request.lyrics }),
    style: filled(request.style) || filled(request.prompt),
    title: filled(request.title),
    ...Object.fromEntries(rounded),
  }
}

/** The endpoint takes two decimals. */
const hundredths = (value: unknown): number => Math.round(Number(value) * 100) / 100
