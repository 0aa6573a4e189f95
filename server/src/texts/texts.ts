import type { ErrorCode } from '../kernel/errors.ts'
import { en } from './en.ts'
import { fr } from './fr.ts'
import { ru } from './ru.ts'
import type { FieldRule, ProgressKey, Texts } from './shape.ts'

export type { FieldRule, ProgressKey } from './shape.ts'

export const LANGUAGES = ['en', 'ru', 'fr'] as const
export type Language = (typeof LANGUAGES)[number]
export type Params = Record<string, unknown>

const TEXTS: Record<Language, Texts> = { en, ru, fr }

/** The sentence for people: what happened, what it cost, what to do. */
export const text = (language: Language, code: ErrorCode, params: Params = {}): string =>
  fill(TEXTS[language].errors[code], params)

/** A few words: `Insufficient credits`. */
export const label = (language: Language, code: ErrorCode): string => TEXTS[language].labels[code]

/** What is going on now. `blocked` wants `reason` (a label), `complete_with_missing` wants `missing`. */
export const progressText = (language: Language, key: ProgressKey, params: Params = {}): string =>
  fill(TEXTS[language].progress[key], params)

/** What is wrong with one field. */
export const fieldText = (language: Language, rule: FieldRule, params: Params = {}): string =>
  fill(TEXTS[language].fields[rule], params)

export const isFieldRule = (rule: string): rule is FieldRule => Object.hasOwn(en.fields, rule)

export const isLanguage = (tag: unknown): tag is Language => (LANGUAGES as readonly unknown[]).includes(tag)

/** `?lang=` wins, then the best tag of `Accept-Language` that we speak, then the fallback. */
export function pickLanguage(
  acceptLanguage: string | undefined,
  queryLang: string | undefined,
  fallback: Language = 'en',
): Language {
  const asked = primaryTag(queryLang ?? '')
  if (isLanguage(asked)) return asked
  if (!acceptLanguage) return fallback
  let best = fallback
  let bestWeight = 0
  // A header of any length costs the same small time.
  for (const part of acceptLanguage.slice(0, 200).split(',')) {
    const [tag = '', ...parameters] = part.split(';')
    const quality = parameters.map((one) => /^\s*q=([\d.]+)\s*$/.exec(one)?.[1]).find(Boolean)
    const weight = quality === undefined ? 1 : Number(quality)
    const language = tag.trim() === '*' ? fallback : primaryTag(tag)
    if (weight > bestWeight && isLanguage(language)) [best, bestWeight] = [language, weight]
  }
  return best
}

const primaryTag = (tag: string): string => tag.trim().toLowerCase().split('-')[0] ?? ''

function fill(template: string, params: Params): string {
  const known = (name: string) => params[name] !== undefined && params[name] !== null
  return template
    .replace(/\[([^\]]*)\]/g, (_, part: string) =>
      [...part.matchAll(/\{(\w+)\}/g)].every(([, name]) => known(name!)) ? part : '',
    )
    .replace(/\{(\w+)\}/g, (_, name: string) => (known(name) ? String(params[name]) : '–'))
}
