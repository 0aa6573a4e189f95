import { OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { AppError, ERRORS, type ErrorCode } from '../kernel/errors.ts'
import { label } from '../texts/texts.ts'
import type { AppEnv } from './app-env.ts'
import { SESSION_COOKIE } from './authentication.ts'
import { cors } from './cors.ts'
import { docsPage, type OpenApiDocument } from './docs-page.ts'
import { etagOf, matchesEtag } from './etag.ts'
import { plainInput } from './plain-input.ts'
import { handleProblems, type ProblemOptions } from './problem.ts'
import { requestId, type RequestIdOptions } from './request-id.ts'
import { validationHook } from './validation.ts'

export type App = OpenAPIHono<AppEnv>

export interface AppOptions extends RequestIdOptions, ProblemOptions {
  version: string
  corsOrigins: readonly string[]
  /** From `createAuthenticator`. */
  authenticate: MiddlewareHandler<AppEnv>
  /** How large a request body may be; bytes. */
  maxBodyBytes?: number
  /** Paths that take more (or less) than that. */
  maxBodyBytesOf?: Record<string, number>
  publicBaseUrl?: string
  /** Mounts what must answer without asking who it is (health checks), also while the database is away. */
  mountFirst?: (app: App) => void
}

/** A feature's own routes, mounted with `app.route('/', router)`; errors and validation are the app's. */
export const createRouter = (): App => new OpenAPIHono<AppEnv>()

/** The app around all routes: request ids, CORS, identity, limits, problems, `/openapi.json`, `/docs`. */
export function createApp(options: AppOptions): App {
  const app: App = new OpenAPIHono<AppEnv>({ defaultHook: validationHook })
  handleProblems(app, options)
  app.use('*', requestId(options))
  app.use('*', cors(options.corsOrigins))
  options.mountFirst?.(app)
  app.use('*', limitBody(options.maxBodyBytes ?? 100 * 1024, options.maxBodyBytesOf))
  app.use('*', options.authenticate)
  app.use('*', plainInput())
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'An access token (`role`: authenticated or service_role), or the service role key itself.',
  })
  app.openAPIRegistry.registerComponent('securitySchemes', 'session', {
    type: 'apiKey',
    in: 'cookie',
    name: SESSION_COOKIE,
    description: 'The session of the web page, see `POST /api/session`.',
  })
  mountDocs(app, options)
  return app
}

/** A JSON body that must be there. */
export const jsonBody = <T extends z.ZodType>(schema: T) => ({
  required: true as const,
  content: { 'application/json': { schema } },
})

/** A JSON answer, for `responses`. */
export const jsonResponse = <T extends z.ZodType>(schema: T, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: "What happened, what it cost, what to do; in the user's language" }),
    code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
    instance: z.string(),
    requestId: z.string(),
    retryable: z.boolean().openapi({ description: 'The same request may succeed later' }),
    charged: z.boolean(),
    errors: z.array(z.object({ path: z.string(), rule: z.string(), message: z.string() })),
  })
  .openapi('Problem')

type ProblemResponse = {
  description: string
  content: { 'application/problem+json': { schema: typeof problemSchema } }
}

/** Error answers of a route, for `responses`: `...problemResponses('unauthorized', 'not_found')`. */
export function problemResponses<const C extends ErrorCode>(
  ...codes: C[]
): { [S in (typeof ERRORS)[C]['status']]: ProblemResponse } {
  const responses: Record<number, ProblemResponse> = {}
  for (const code of codes) {
    const { status } = ERRORS[code]
    const words = `\`${code}\`: ${label('en', code)}`
    const before = responses[status]?.description
    responses[status] = {
      description: before ? `${before}; ${words}` : words,
      content: { 'application/problem+json': { schema: problemSchema } },
    }
  }
  return responses as { [S in (typeof ERRORS)[C]['status']]: ProblemResponse }
}

/** Counts what arrives, whatever the headers say; a body of known length costs nothing. */
function limitBody(usual: number, others: Record<string, number> = {}): MiddlewareHandler<AppEnv> {
  const limits = new Map(Object.entries(others).map(([path, maxBytes]) => [path, countTo(maxBytes)]))
  const otherwise = countTo(usual)
  return (c, next) => (limits.get(c.req.path) ?? otherwise)(c, next)
}

function countTo(maxBytes: number): MiddlewareHandler<AppEnv> {
  const tooLarge = () => {
    throw new AppError('payload_too_large', { maxBytes })
  }
  const counting = bodyLimit({ maxSize: maxBytes, onError: tooLarge })
  return async function limitBody(c, next) {
    const length = c.req.header('content-length')
    if (length !== undefined && c.req.header('transfer-encoding') === undefined) {
      if (Number(length) > maxBytes) tooLarge()
      return next()
    }
    if (c.req.header('transfer-encoding') === undefined && c.env?.incoming) return next()
    return counting(c, next)
  }
}

/** What any route with a body may answer before its own code runs; said here once, so that no room forgets it. */
function declareCommonAnswers(paths: object): void {
  const words = (code: ErrorCode) => `\`${code}\`: ${label('en', code)}`
  for (const operation of Object.values(paths).flatMap((path: object) => Object.values(path))) {
    if (!operation.requestBody) continue
    for (const code of ['malformed_body', 'payload_too_large', 'unsupported_media_type', 'validation_failed'] as const) {
      operation.responses[ERRORS[code].status] ??= {
        description: words(code),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      }
    }
  }
}

function mountDocs(app: App, { version, publicBaseUrl }: AppOptions): void {
  // Made at the first question, when every route is mounted, and then kept.
  let made: { json: string; html: string; etag: string } | undefined
  const make = () => {
    const document = app.getOpenAPI31Document({
      openapi: '3.1.0',
      info: {
        title: 'Reprise',
        version,
        description: 'Runs long AI media generations through third-party providers and never loses one.',
      },
      servers: [{ url: publicBaseUrl ?? '/' }],
      security: [{ bearer: [] }, { session: [] }],
    })
    declareCommonAnswers(document.paths ?? {})
    const json = JSON.stringify(document)
    return { json, html: docsPage(document as OpenApiDocument), etag: etagOf(json) }
  }
  app.get('/openapi.json', (c) => {
    made ??= make()
    const headers = { etag: made.etag, 'cache-control': 'no-cache' }
    if (matchesEtag(c.req.header('if-none-match'), made.etag)) return c.body(null, 304, headers)
    return c.body(made.json, 200, { ...headers, 'content-type': 'application/json' })
  })
  app.get('/docs', (c) => {
    made ??= make()
    return c.body(made.html, 200, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
      'cache-control': 'no-cache',
    })
  })
}
