import { isLanguage, type Language } from '../texts/texts.ts'
import { AppError } from '../kernel/errors.ts'
import type { AppContext } from './app-env.ts'
import { checkPlain } from './plain-input.ts'
import type { ErrorFormat } from './problem.ts'

/** The seeds' functions answer in the seeds' language, English, whatever the browser says; `?lang=` asks for another. */
const languageOf = (c: AppContext): Language => {
  const asked = c.req.query('lang')
  return isLanguage(asked) ? asked : 'en'
}

/** Errors under `/functions/v1/`: `{success: false, error, code}` and the error's own parameters (`required`, `available`, …). */
export const functionsErrors: ErrorFormat = {
  prefix: '/functions/v1/',
  language: languageOf,
  render(problem, c) {
    const { type: _type, title: _title, status: usual, detail, code, instance: _instance, retryable: _retryable, charged: _charged, errors, ...params } = problem
    const status = code === 'validation_failed' ? 400 : usual // as the seeds' front ends expect
    return c.json({ success: false, error: detail, code: nameOf(code, params.provider), ...params, ...(errors.length > 0 ? { errors } : {}) }, status as 500)
  },
}

/** As the operator knows it: the key that is missing has the provider's name. */
const nameOf = (code: string, provider: unknown): string =>
  code === 'provider_not_configured' && typeof provider === 'string' ? `${provider.toUpperCase()}_API_KEY_NOT_CONFIGURED` : code.toUpperCase()

/** The body of a function as the seeds' front ends send it: none is needed, unknown keys are ignored; what is there must be JSON, whatever type it says. */
export async function functionBody(c: AppContext): Promise<Record<string, unknown>> {
  const sent = await c.req.text()
  if (sent.trim() === '') return {}
  checkPlain(sent)
  try {
    const body: unknown = JSON.parse(sent)
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Record<string, unknown>) : {}
  } catch {
    throw new AppError('malformed_body')
  }
}
