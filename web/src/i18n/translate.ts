import type { Key, Messages } from './en.ts'

export const LANGUAGES = ['en', 'ru', 'fr'] as const
export type Language = (typeof LANGUAGES)[number]
export type Params = Record<string, string | number>

/** The order in which a message lists its plural forms, parted by ` | `. */
const FORMS: Record<Language, Intl.LDMLPluralRule[]> = {
  en: ['one', 'other'],
  fr: ['one', 'other'],
  ru: ['one', 'few', 'many'],
}

export function pluralForms(language: Language): number {
  return FORMS[language].length
}

/** The sentence for `key`; `params.n` chooses the plural form, numbers are written the language's way. */
export function translate(messages: Messages, language: Language, key: Key, params: Params = {}): string {
  const forms = messages[key].split(' | ')
  let text = forms[0]!
  if (forms.length > 1 && typeof params.n === 'number') {
    const at = FORMS[language].indexOf(new Intl.PluralRules(language).select(params.n))
    text = forms[at] ?? forms.at(-1)!
  }
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = params[name]
    if (value === undefined) return whole
    return typeof value === 'number' ? new Intl.NumberFormat(language).format(value) : value
  })
}

/** The first language of ours that the reader asked for. */
export function chooseLanguage(remembered: string | null, wanted: readonly string[]): Language {
  for (const tag of [remembered ?? '', ...wanted]) {
    const short = tag.slice(0, 2).toLowerCase()
    const found = LANGUAGES.find((language) => language === short)
    if (found) return found
  }
  return 'en'
}
