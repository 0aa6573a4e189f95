import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SERVICE_KEY, startHarness, type Harness, type TestUser } from './harness.ts'

type Schema = Record<string, any>

/** Served beside the document: the seeds' endpoints (fixed by their own texts), files, and what machines ask. */
const NOT_IN_IT = [
  'GET /livez', 'GET /readyz', 'GET /metrics', 'GET /openapi.json', 'GET /docs', 'POST /api/webhooks/suno/music', 'POST /api/webhooks/replicate',
  'POST /api/music-clips/channels/:channelId/runOnce', 'GET /api/music-clips/jobs/:jobId', 'POST /functions/v1/archive-tracks', 'POST /functions/v1/cleanup-stale-jobs',
  'POST /functions/v1/generate-mureka-track', 'POST /functions/v1/get-mureka-task-status', 'POST /functions/v1/save-mureka-generation', 'POST /functions/v1/download-and-save-track',
  'POST /functions/v1/create-generation-job-banana', 'POST /functions/v1/process-generation-tasks-banana', 'POST /api/uploads/images', 'GET /api/uploads/images/:id',
  'GET /storage/v1/object/public/:bucket/:path{.+}', 'GET /storage/v1/object/sign/:bucket/:path{.+}',
]

describe('the served OpenAPI document', () => {
  let reprise: Harness
  let user: TestUser
  let document: Schema
  const checked = new Set<string>()

  beforeAll(async () => {
    reprise = await startHarness()
    user = await reprise.user('reader of documents', 10_000)
    document = (await reprise.call('GET', '/openapi.json')).body
  })
  afterAll(() => reprise.close())

  const operations = () => Object.entries<Schema>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Schema>(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, path, operation })))

  it('is OpenAPI 3.1.0, and every reference in it resolves', () => {
    expect(document.openapi).toBe('3.1.0')
    let found = 0
    walk(document, (value) => {
      if (typeof value.$ref !== 'string') return
      found++
      expect(resolve(document, value), value.$ref).toBeDefined()
    })
    expect(found).toBeGreaterThan(20)
  })

  it('every operation says what it does, what it takes and what it answers', () => {
    for (const { name, path, operation } of operations()) {
      expect(operation.summary, name).toMatch(/\w/)
      expect(operation.tags, name).toHaveLength(1)
      const statuses = Object.keys(operation.responses)
      expect(statuses.some((status) => /^2\d\d$/.test(status)), name).toBe(true)
      for (const [status, response] of Object.entries<Schema>(operation.responses)) {
        expect(response.description, `${name} ${status}`).toMatch(/\w/)
        if (Number(status) >= 400) expect(Object.keys(response.content ?? {}), `${name} ${status}`).toEqual(['application/problem+json'])
      }
      const open = Array.isArray(operation.security) && operation.security.length === 0
      if (!open) expect(statuses, name).toContain('401')
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter)
      const declared = (operation.parameters ?? []).filter((one: Schema) => one.in === 'path')
      expect(declared.map((one: Schema) => one.name), name).toEqual(inPath)
      for (const one of operation.parameters ?? []) expect(one.schema, `${name} ${one.name}`).toBeDefined()
      if (inPath.length) expect(statuses, name).toContain('404')
      if (operation.requestBody) {
        expect(Object.keys(operation.requestBody.content), name).toEqual(['application/json'])
        expect(statuses, name).toEqual(expect.arrayContaining(['400', '413', '415', '422']))
      }
    }
  })

  it('every mounted route is in it, or is known not to be', () => {
    const mounted = new Set(reprise.wired.app.routes.filter(({ method, path }) => method !== 'ALL' && !path.includes('*')).map(({ method, path }) => `${method} ${path}`))
    const documented = operations().map(({ name }) => name.replace(/\{(\w+)\}/g, ':$1'))
    expect([...mounted].sort()).toEqual([...documented, ...NOT_IN_IT].sort())
  })

  it('real answers are as it says, errors too', async () => {
    const id = (await answer('POST /api/generations', { body: { provider: 'suno', kind: 'song', prompt: 'a documented song' } })).id
    await answer('GET /api/generations/{id}', { id })
    const done = await reprise.settled(id, user)
    await answer('GET /api/generations/{id}', { id })
    await answer('GET /api/generations', { query: '?limit=1' })
    await answer('GET /api/generations/{id}/events', { id })
    for (const deed of ['recheck', 'redownload']) await answer(`POST /api/generations/{id}/${deed}`, { id })
    await answer('POST /api/generations/{id}/cancel', { id })
    await answer('POST /api/generations/{id}/regenerate', { id })
    const open = (await answer('POST /api/generations', { body: { provider: 'suno', kind: 'song', prompt: '[[fault:never-finishes]]' } })).id
    await answer('POST /api/generations/{id}/cancel', { id: open })
    const track = done.tracks[0].id
    await answer('GET /api/tracks')
    await answer('GET /api/tracks/{id}', { id: track })
    await answer('POST /api/tracks/{id}/retry-download', { id: track })
    await answer('DELETE /api/tracks/{id}', { id: track })
    for (const name of ['GET /api/balance', 'GET /api/ledger', 'GET /api/prices', 'GET /api/session', 'GET /api/info', 'DELETE /api/session']) await answer(name)
    await answer('POST /api/ledger/grants', { token: SERVICE_KEY, body: { userId: 'somebody', amount: 5, reason: 'test' } })
    const body = { name: 'Waltzes', musicClipsSettings: { sunoPrompt: 'a waltz' } }
    const channel = (await answer('POST /api/channels', { body })).id
    await answer('GET /api/channels')
    await answer('GET /api/channels/{id}', { id: channel })
    await answer('PUT /api/channels/{id}', { id: channel, body })
    await answer('PATCH /api/channels/{id}', { id: channel, body: { name: 'Polkas' } })
    await answer('DELETE /api/channels/{id}', { id: channel })
    const link = await reprise.wired.accounts.createOwnerLink()
    await answer('POST /api/session', { body: { token: link.split('token=')[1] } })
    await answer('POST /api/session', { body: { token: link.split('token=')[1] } })

    const poor = await reprise.user('poor reader', 0)
    await answer('POST /api/generations', { token: poor.token, body: { provider: 'suno', kind: 'song', prompt: 'x' } })
    await answer('POST /api/ledger/grants', { body: { userId: 'somebody', amount: 5, reason: 'test' } })
    for (const { name, operation } of operations()) {
      if (operation.responses['401']) await answer(name, { id: track, token: 'nonsense', body: operation.requestBody ? {} : undefined })
      if (operation.responses['404']) await answer(name, { id: '00000000-0000-4000-8000-000000000000', body: name.startsWith('PATCH') ? {} : undefined })
      if (operation.requestBody) {
        for (const broken of ['{', '7', `"${'x'.repeat(200_000)}"`]) await answer(name, { id: channel, body: broken, token: name.includes('grants') ? SERVICE_KEY : user.token })
      }
    }
    const told = new Set([...checked].map((one) => one.slice(0, one.lastIndexOf(' '))))
    const never = operations().map(({ name }) => name).filter((name) => !told.has(name))
    // Bytes and streams have no schema to hold them to; `tracks` and `live` test them.
    expect(never).toEqual([])
  })

  /** Asks, and holds status, type and body to the document. */
  async function answer(name: string, options: { id?: string; query?: string; body?: unknown; token?: string } = {}): Promise<any> {
    const [method, path] = name.split(' ') as [string, string]
    const { id = '', query = '', body, token = user.token } = options
    const got = await reprise.call(method, path.replace('{id}', id) + query, { token, body })
    const declared = operations().find((one) => one.name === name)!.operation.responses[got.status]
    expect(declared, `${name} answers ${got.status}, which it does not declare: ${JSON.stringify(got.body)}`).toBeDefined()
    checked.add(`${name} ${got.status}`)
    const type = got.headers.get('content-type')?.split(';')[0]
    const types = Object.keys(declared.content ?? {})
    if (types.length) {
      expect(types, `${name} ${got.status}`).toContain(type)
      expect(problems(document, declared.content[type!].schema, got.body, `${name} ${got.status}`)).toEqual([])
    } else expect(got.body, `${name} ${got.status}`).toBe('')
    return got.body
  }
})

function walk(value: unknown, visit: (value: Schema) => void): void {
  if (typeof value !== 'object' || value === null) return
  visit(value)
  for (const inner of Object.values(value)) walk(inner, visit)
}

function resolve(document: Schema, schema: Schema): Schema {
  if (!schema.$ref) return schema
  expect(schema.$ref).toMatch(/^#\//)
  return (schema.$ref as string).slice(2).split('/').reduce<any>((inner, name) => inner?.[name], document)
}

const SILENT = new Set(['description', 'example', 'examples', 'default', 'title', 'deprecated', 'propertyNames'])
const FORMATS: Record<string, RegExp> = {
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
}

/** As much of JSON Schema as the document uses; a keyword that it does not know is a problem, so nothing passes unread. */
function problems(document: Schema, given: Schema, value: any, at: string): string[] {
  const schema = resolve(document, given)
  const found: string[] = []
  const each = (inner: Schema, part: unknown, name: string | number) => found.push(...problems(document, inner, part, `${at}.${name}`))
  for (const [keyword, rule] of Object.entries<any>(schema)) {
    const holds = (): boolean => {
      switch (keyword) {
        case 'type':
          return [rule].flat().some((type: string) => isOf(type, value))
        case 'enum':
          return rule.includes(value)
        case 'const':
          return value === rule
        case 'anyOf':
        case 'oneOf':
          return rule.some((one: Schema) => problems(document, one, value, at).length === 0)
        case 'required':
          return typeof value !== 'object' || value === null || rule.every((name: string) => Object.hasOwn(value, name))
        case 'properties':
          for (const [name, inner] of Object.entries<Schema>(rule)) if (value && Object.hasOwn(value, name)) each(inner, value[name], name)
          // What is not declared would be a promise that nobody can read.
          if (schema.additionalProperties === undefined && at.includes(' 2')) return Object.keys(value ?? {}).every((name) => Object.hasOwn(rule, name))
          return true
        case 'additionalProperties':
          if (typeof rule === 'object') for (const name of Object.keys(value ?? {})) if (!Object.hasOwn(schema.properties ?? {}, name)) each(rule, value[name], name)
          return true
        case 'items':
          if (Array.isArray(value)) value.forEach((one, index) => each(rule, one, index))
          return true
        case 'minimum':
          return value >= rule
        case 'maximum':
          return value <= rule
        case 'minLength':
          return value.length >= rule
        case 'maxLength':
          return value.length <= rule
        case 'pattern':
          return typeof value !== 'string' || new RegExp(rule).test(value)
        case 'format':
          return typeof value !== 'string' || (FORMATS[rule]?.test(value) ?? false)
        default:
          return SILENT.has(keyword)
      }
    }
    if (!holds()) found.push(`${at}: ${keyword} ${JSON.stringify(rule).slice(0, 200)} does not hold for ${JSON.stringify(value)?.slice(0, 300)}`)
  }
  return found
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return typeof value === type
}
