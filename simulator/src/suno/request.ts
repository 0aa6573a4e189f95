/** A refusal as the service gives it: HTTP 200 with this code and text in the body. */
export interface Refusal {
  code: number
  msg: string
}

export interface GenerateRequest {
  customMode: boolean
  instrumental: boolean
  model: string
  callBackUrl: string
  prompt: string
  style: string
  title: string
}

interface Limits {
  prompt: number
  style: number
  title: number
}

const small: Limits = { prompt: 3000, style: 200, title: 80 }
const large: Limits = { prompt: 5000, style: 1000, title: 100 }
const newest: Limits = { prompt: 5000, style: 1000, title: 80 }
const ideaLimit = 500

const models: Record<string, Limits> = {
  V4: small,
  V4_5: large,
  V4_5PLUS: large,
  V4_5ALL: newest,
  V5: large,
  V5_5: newest,
  V6: newest,
  V6_WILD: newest,
  V6_MINI: newest,
}

const bad = (msg: string): Refusal => ({ code: 400, msg })
const tooLong = (field: string, limit: number): Refusal => ({
  code: 413,
  msg: `The ${field} is too long. It cannot exceed ${limit} characters.`,
})

/** Reads the body of POST /generate as strictly as the service does. Lengths are UTF-16 units. */
export function readGenerate(body: unknown): GenerateRequest | Refusal {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return bad('Request body cannot be empty')
  const fields = body as Record<string, unknown>
  for (const name of ['customMode', 'instrumental'])
    if (typeof fields[name] !== 'boolean') return bad(`${name} cannot be null`)
  for (const name of ['model', 'callBackUrl', 'prompt', 'style', 'title', 'negativeTags', 'personaId'])
    if (fields[name] !== undefined && fields[name] !== null && typeof fields[name] !== 'string')
      return bad(`${name} must be a string`)
  const text = (name: string) => (fields[name] as string | null | undefined) ?? ''
  const request = {
    customMode: fields.customMode as boolean,
    instrumental: fields.instrumental as boolean,
    model: text('model'),
    callBackUrl: text('callBackUrl'),
    prompt: text('prompt'),
    style: text('style'),
    title: text('title'),
  }
  if (request.model === '') return bad('model cannot be null')
  const limits = models[request.model]
  if (!limits) return bad('model is invalid')
  if (request.callBackUrl === '') return bad('Please enter callBackUrl.')
  if (!/^https?:$/.test(URL.canParse(request.callBackUrl) ? new URL(request.callBackUrl).protocol : ''))
    return bad('callBackUrl is invalid')
  return optionProblem(fields, request.model) ?? textProblem(request, limits) ?? request
}

function textProblem(request: GenerateRequest, limits: Limits): Refusal | null {
  const { customMode, instrumental, prompt, style, title } = request
  if (!customMode) {
    if (prompt.trim() === '') return bad('prompt cannot be empty')
    return prompt.length > ideaLimit ? tooLong('prompt', ideaLimit) : null
  }
  if (style.trim() === '') return bad('style cannot be empty')
  if (title.trim() === '') return bad('title cannot be empty')
  if (!instrumental && prompt.trim() === '') return bad('prompt cannot be empty')
  for (const field of ['prompt', 'style', 'title'] as const)
    if (request[field].length > limits[field]) return tooLong(field, limits[field])
  return null
}

function optionProblem(fields: Record<string, unknown>, model: string): Refusal | null {
  for (const name of ['styleWeight', 'weirdnessConstraint', 'audioWeight']) {
    const value = fields[name]
    if (value !== undefined && value !== null && !(typeof value === 'number' && value >= 0 && value <= 1))
      return bad(`${name} must be between 0 and 1`)
  }
  const gender = fields.vocalGender
  if (gender !== undefined && gender !== null && gender !== 'm' && gender !== 'f')
    return bad('vocalGender must be m or f')
  const duration = fields.duration
  if (duration !== undefined && duration !== null) {
    if (!/^V(5_5|6)/.test(model)) return bad(`duration is not supported by ${model}`)
    if (!(typeof duration === 'number' && duration >= 10 && duration <= 360))
      return bad('duration must be between 10 and 360')
  }
  return null
}

export const isRefusal = (value: object): value is Refusal => 'msg' in value
