import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import type { FieldError } from '../../kernel/errors.ts'
import type { GenerationRequest } from '../provider.ts'
import type { SizedBody } from '../provider-fetch.ts'
import type { GoogleModel } from './models.ts'

/** A picture of ours that the new one is made after. Nothing is ever fetched from outside. */
const imageRef = z.strictObject({ bucket: z.string().min(1).max(100), path: z.string().min(1).max(1_000) })
export type ImageRef = z.infer<typeof imageRef>
export interface Picture {
  bytes: Uint8Array
  mime: string
}

/** Photos, reference, the picture whose style is taken, and some room. */
const MOST_PICTURES = 8
/** Google takes 20 MB of request with pictures inside; base64 makes four bytes of three. */
export const MOST_PICTURE_BYTES = 14 * 1024 * 1024

const filled = (text: string | undefined): string => text?.trim() ?? ''

/** The options of a request that was validated. */
export function optionsOf(request: GenerationRequest): { aspectRatio?: string; imageSize?: string; images: ImageRef[] } {
  const { images, ...rest } = (request.options ?? {}) as { aspectRatio?: string; imageSize?: string; images?: ImageRef[] }
  return { ...rest, images: images ?? [] }
}

/** Pure. A request that names no model is judged by the first of the list. */
export function validateRequest(request: GenerationRequest, models: readonly GoogleModel[]): FieldError[] {
  const errors: FieldError[] = []
  const wrong = (path: string, rule: string, message: string) => errors.push({ path, rule, message })
  if (request.kind !== 'image') wrong('kind', 'one_of', 'Only pictures are made with Google here.')
  if (!filled(request.prompt)) wrong('prompt', 'required', 'Describe the picture.')
  const model = models.find(({ id }) => id === (request.model ?? models[0]!.id))
  if (!model) wrong('model', 'one_of', `Unknown model; choose one of ${models.map(({ id }) => id).join(', ')}.`)

  for (const [name, value] of Object.entries(request.options ?? {})) {
    const path = `options.${name}`
    if (name === 'images') {
      if (!Array.isArray(value) || value.length > MOST_PICTURES) wrong(path, 'invalid', `images: expected a list of at most ${MOST_PICTURES} pictures.`)
      else value.forEach((ref, index) => imageRef.safeParse(ref).success || wrong(`${path}.${index}`, 'invalid', 'A picture is named by its bucket and path.'))
    } else if (name === 'aspectRatio' || name === 'imageSize') {
      const choices = (name === 'aspectRatio' ? model?.ratios : model?.sizes) ?? null
      if (choices && !choices.includes(value as string)) wrong(path, 'one_of', `${name}: choose one of ${choices.join(', ')}.`)
    } else wrong(path, 'unknown', `Pictures have no option ${name}.`)
  }
  return errors
}

const ANSWER_WITH_A_PICTURE = 'Answer with one picture and no text.'

/**
 * The body of `generateContent`, written while it is sent; `pictures` is emptied as it goes, so that nothing stays in
 * memory while the answer is waited for; then `sent` is called. `insist` says it in other words, after an answer without a picture.
 */
export function bodyOf(request: GenerationRequest, pictures: Picture[], insist: boolean, sent: () => void): SizedBody {
  const { aspectRatio, imageSize } = optionsOf(request)
  const style = filled(request.style)
  const parts: unknown[] = [{ text: [filled(request.prompt), style && `Style: ${style}`].filter(Boolean).join('\n') }]
  for (const { mime } of pictures) parts.push({ inlineData: { mimeType: mime, data: '' } })
  // Apart, so that the text that was asked for stays what it was.
  if (insist) parts.push({ text: ANSWER_WITH_A_PICTURE })
  const imageConfig = { ...(aspectRatio && { aspectRatio }), ...(imageSize && { imageSize }) }
  const json = JSON.stringify({
    contents: [{ role: 'user', parts }],
    generationConfig: { responseModalities: insist ? ['IMAGE'] : ['TEXT', 'IMAGE'], ...(Object.keys(imageConfig).length && { imageConfig }) },
  })
  // A quote inside a text is written \", so these places are none of the user's.
  const frame = json.split(/(?<="data":")(?=")/).map((text) => Buffer.from(text))
  const byteLength = frame.reduce((sum, { length }) => sum + length, 0) + pictures.reduce((sum, { bytes }) => sum + 4 * Math.ceil(bytes.length / 3), 0)
  return { byteLength, pieces: between(frame, pictures, sent) }
}

/** Whole groups of three, so that the pieces of base64 fit together. */
const PIECE = 3 * 64 * 1024

async function* between(frame: readonly Buffer[], pictures: Picture[], sent: () => void): AsyncGenerator<Uint8Array> {
  try {
    for (const text of frame) {
      yield text
      const picture = pictures.shift()
      if (picture) yield* inBase64(picture.bytes)
    }
  } finally {
    sent()
  }
}

async function* inBase64({ buffer, byteOffset, length }: Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(buffer, byteOffset, length)
  for (let at = 0; at < length; at += PIECE) {
    yield Buffer.from(bytes.toString('base64', at, at + PIECE), 'latin1')
    // Others have their turn, however fast the connection is.
    await nextTurn()
  }
}
