import { z } from 'zod'

/**
 * A setting lives beside its user: its environment name, a sentence, a schema and a default.
 * `docs/configuration.md` and `.env.example` are generated from these objects (`npm run docs`).
 */
export interface Setting<T> {
  env: string
  /** Further accepted names, tried in order after `env`. */
  aliases?: string[]
  doc: string
  /** Reads the text of the environment (undefined when absent and no default). */
  schema: z.ZodType<T, string | undefined>
  /** Shown in the docs; what applies when the variable is absent or empty. */
  default?: string
  secret?: boolean
}

export type Settings = Record<string, Setting<unknown>>
export type Values<S extends Settings> = { [K in keyof S]: S[K] extends Setting<infer T> ? T : never }

export const setting = <T>(definition: Setting<T>): Setting<T> => definition

/** Common shapes of settings. Each reads text and names what it expected. */
export const text = () => z.string().optional()
/** Text that is there, by its default at least. */
export const requiredText = () =>
  text().transform((value, context) => {
    if (value) return value
    context.addIssue({ code: 'custom', message: 'must be set' })
    return z.NEVER
  })
/** A signing secret: too short a one can be guessed. */
export const secretText = (minBytes: number) =>
  text().transform((value, context) => {
    if (value === undefined || Buffer.byteLength(value) >= minBytes) return value
    context.addIssue({ code: 'custom', message: `expected at least ${minBytes} bytes (openssl rand -hex 32)` })
    return z.NEVER
  })
export const flag = () =>
  z
    .string()
    .optional()
    .transform((value, context) => {
      const word = (value ?? '').toLowerCase()
      if (['on', 'true', '1', 'yes'].includes(word)) return true
      if (['off', 'false', '0', 'no', ''].includes(word)) return false
      context.addIssue({ code: 'custom', message: 'expected on or off' })
      return z.NEVER
    })
export const integer = (min: number, max: number) =>
  z
    .string()
    .optional()
    .transform((value, context) => {
      const number = Number(value)
      if (value === undefined || !Number.isInteger(number) || number < min || number > max) {
        context.addIssue({ code: 'custom', message: `expected a whole number from ${min} to ${max}` })
        return z.NEVER
      }
      return number
    })
export const url = () =>
  z
    .string()
    .optional()
    .transform((value, context) => {
      if (value === undefined) return undefined
      if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) {
        context.addIssue({ code: 'custom', message: 'expected an http(s) address' })
        return z.NEVER
      }
      return value.replace(/\/+$/, '')
    })
/** Above 0, at most 100. */
export const factor = () =>
  z
    .string()
    .optional()
    .transform((value, context) => {
      const number = Number(value)
      if (number > 0 && number <= 100) return number
      context.addIssue({ code: 'custom', message: 'expected a number above 0, at most 100' })
      return z.NEVER
    })
export const list = () =>
  z
    .string()
    .optional()
    .transform((value) =>
      (value ?? '')
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean),
    )

export class ConfigError extends Error {
  readonly problems: string[]
  constructor(problems: string[]) {
    super(`Wrong configuration:\n${problems.map((line) => `  ${line}`).join('\n')}`)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** Reads every setting once. Throws ONE ConfigError that names each wrong value (never printing secrets). */
export function readSettings<S extends Settings>(settings: S, env: Record<string, string | undefined>): Values<S> {
  const values: Record<string, unknown> = {}
  const problems: string[] = []
  for (const [name, definition] of Object.entries(settings)) {
    const names = [definition.env, ...(definition.aliases ?? [])]
    const raw = names.map((name) => env[name]).find((value) => value !== undefined && value !== '')
    const result = definition.schema.safeParse(raw ?? definition.default)
    if (result.success) values[name] = result.data
    else {
      const shown = definition.secret || raw === undefined ? '' : ` (is ${JSON.stringify(raw)})`
      problems.push(`${definition.env}: ${result.error.issues[0]?.message ?? 'invalid'}${shown}`)
    }
  }
  if (problems.length) throw new ConfigError(problems)
  return values as Values<S>
}
