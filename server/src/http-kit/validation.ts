import type { z } from '@hono/zod-openapi'
import type { Hook } from '@hono/zod-openapi'
import { AppError, type FieldError } from '../kernel/errors.ts'
import type { FieldRule, Params } from '../texts/texts.ts'
import type { AppEnv } from './app-env.ts'

/**
 * Validation of every route: 422 with one entry per wrong field. A wrong path parameter names nothing that exists,
 * so it is 404 like any other missing thing.
 */
// oxlint-disable-next-line typescript/no-explicit-any -- the library types this hook so
export const validationHook: Hook<any, AppEnv, any, any> = (result) => {
  if (result.success) return
  if (result.target === 'param') throw new AppError('not_found')
  // The validator also hands over what was sent, which its type does not say.
  const sent = (result as { data?: unknown }).data
  throw new AppError('validation_failed', {}, fieldErrors(result.error, sent))
}

/** What zod found, by our rules; the answer puts them into words. `sent` tells a missing field from a wrong one. */
export function fieldErrors(error: z.ZodError, sent: unknown): FieldError[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String)
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => field([...path, key], 'unknown_key'))
    const { rule, params, message } = ruleOf(issue, valueAt(sent, issue.path) === undefined)
    return [field(path, rule, params, message)]
  })
}

const field = (path: string[], rule: string, params?: Params, message = ''): FieldError => ({ path: path.join('.'), rule, message, params })

function ruleOf(issue: z.core.$ZodIssue, missing: boolean): { rule: string; params?: Params; message?: string } {
  const rule = (name: FieldRule, params?: Params) => ({ rule: name, params })
  switch (issue.code) {
    case 'invalid_type':
      return missing ? rule('required') : rule('type', { expected: issue.expected })
    case 'invalid_value':
      return missing ? rule('required') : rule('choice', { choices: issue.values.map(String).join(', ') })
    case 'invalid_union':
      return missing ? rule('required') : rule('invalid')
    case 'too_small':
      return rule('too_small', { minimum: String(issue.minimum) })
    case 'too_big':
      return rule('too_big', { maximum: String(issue.maximum) })
    case 'invalid_format':
      return rule('format', { format: issue.format })
    case 'custom': {
      // `.refine(…, { message, params: { rule } })` names a rule of its own.
      const own: unknown = issue.params?.['rule']
      return { rule: typeof own === 'string' ? own : 'invalid', message: issue.message }
    }
    default:
      return rule('invalid')
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  const isObject = (one: unknown): one is Record<PropertyKey, unknown> => typeof one === 'object' && one !== null
  return path.reduce<unknown>((inner, key) => (isObject(inner) ? inner[key] : undefined), value)
}
