import { HTTPException } from 'hono/http-exception'
import { METHODS } from 'hono/router'
import type { Hono } from 'hono'
import { AppError, ERRORS, type ErrorCode, type FieldError } from '../kernel/errors.ts'
import { fieldText, isFieldRule, label, text, type Language } from '../texts/texts.ts'
import type { AppContext, AppEnv } from './app-env.ts'

/** RFC 9457. Further members are the error's parameters (`required`, `available`, `retryAfterSec`, …). */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  code: ErrorCode
  instance: string
  requestId: string
  retryable: boolean
  charged: boolean
  errors: FieldError[]
  [param: string]: unknown
}

/** Endpoints with an error format of their own (the seeds'). Headers such as `retry-after` are added to it. */
export interface ErrorFormat {
  /** Path prefix, e.g. `/functions/v1/`. */
  prefix: string
  /** In which language they answer; without it in the reader's. */
  language?(c: AppContext): Language
  render(problem: Problem, c: AppContext): Response
}

export interface ProblemOptions {
  /** True for errors of a database or store that is away for the moment: answered 503, not 500. */
  isTransient?: (error: unknown) => boolean
  formats?: ErrorFormat[]
}

/** Answers every error of the app, and every address or method that it does not know, as problem+json. */
export function handleProblems(app: Hono<AppEnv>, options: ProblemOptions = {}): void {
  app.onError((error, c) => respond(c, toAppError(error, c, options), options))
  app.notFound((c) => respond(c, unknownRoute(app, c), options))
}

function problemOf(error: AppError, c: AppContext, language: Language): Problem {
  const requestId = c.get('requestId') ?? ''
  const { status, retryable, charged } = ERRORS[error.code]
  return {
    ...error.params,
    type: `/docs#${error.code}`,
    title: label(language, error.code),
    status,
    detail: text(language, error.code, { ...error.params, requestId }),
    code: error.code,
    instance: c.req.path,
    requestId,
    retryable,
    charged,
    errors: error.fields.map((field) => worded(field, language)),
  }
}

/** A field error without words of its own gets those of its rule. */
const worded = ({ path, rule, message, params }: FieldError, language: Language): FieldError =>
  ({ path, rule, message: message || fieldText(language, isFieldRule(rule) ? rule : 'invalid', params) })

function respond(c: AppContext, error: AppError, options: ProblemOptions): Response {
  const format = options.formats?.find(({ prefix }) => c.req.path.startsWith(prefix))
  const problem = problemOf(error, c, format?.language?.(c) ?? c.get('language') ?? 'en')
  const headers = headersOf(error)
  if (format) {
    const response = format.render(problem, c)
    for (const [name, value] of Object.entries(headers)) response.headers.set(name, value)
    return response
  }
  return c.body(JSON.stringify(problem), problem.status as 500, {
    ...headers,
    'content-type': 'application/problem+json',
    'content-language': c.get('language') ?? 'en',
  })
}

function headersOf({ status, params }: AppError): Record<string, string> {
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  const { retryAfterSec, allow } = params
  if (typeof retryAfterSec === 'number') headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterSec)))
  if (typeof allow === 'string') headers['allow'] = allow
  if (status === 401) headers['www-authenticate'] = 'Bearer'
  return headers
}

/** Nothing of an unexpected error reaches the client; the log has it under the request id. */
function toAppError(error: unknown, c: AppContext, options: ProblemOptions): AppError {
  if (error instanceof AppError) return error
  if (error instanceof HTTPException && error.status < 500) return fromHttpException(error)
  if (options.isTransient?.(error)) {
    c.get('logger')?.warn({ err: error }, 'a dependency is away for the moment')
    return new AppError('service_unavailable', { retryAfterSec: 2 })
  }
  c.get('logger')?.error({ err: error }, 'unexpected error')
  return new AppError('internal')
}

const BY_STATUS: Record<number, ErrorCode> = {
  400: 'malformed_body',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  429: 'too_many_requests',
}

const fromHttpException = (error: HTTPException): AppError => new AppError(BY_STATUS[error.status] ?? 'malformed_body')

/** Known path with another method: 405 with `Allow`. */
function unknownRoute(app: Hono<AppEnv>, c: AppContext): AppError {
  const allowed = METHODS.filter((method) => hasHandler(app, method.toUpperCase(), c.req.path)).map((method) =>
    method.toUpperCase(),
  )
  if (!allowed.length) return new AppError('not_found')
  if (allowed.includes('GET')) allowed.push('HEAD')
  return new AppError('method_not_allowed', { allow: [...allowed, 'OPTIONS'].sort().join(', ') })
}

/** Middleware is registered for ALL methods, and a catch-all page is no reason to call every path known. */
const hasHandler = (app: Hono<AppEnv>, method: string, path: string): boolean =>
  app.router.match(method, path)[0].some(([[, route]]) => route.method !== 'ALL' && !/^\/?\*$/.test(route.path))
