import { createContext, use, useCallback, useMemo, useState, type ReactNode } from 'react'
import { recall, remember } from '../app/browser-memory.ts'
import { en, type Key, type Messages } from './en.ts'
import { chooseLanguage, translate, type Language, type Params } from './translate.ts'

const load: Record<Language, () => Promise<Messages>> = {
  en: async () => en,
  ru: async () => (await import('./ru.ts')).ru,
  fr: async () => (await import('./fr.ts')).fr,
}

interface Spoken {
  language: Language
  messages: Messages
}

let current: Spoken = { language: 'en', messages: en }

/** The language in use, for code outside the components: requests say it to the server. */
export const currentLanguage = (): Language => current.language

/** Loads the reader's language before the first paint, so that no other one flashes. */
export async function startLanguage(): Promise<Spoken> {
  return speak(chooseLanguage(recall('reprise.language'), navigator.languages))
}

async function speak(language: Language): Promise<Spoken> {
  const messages = await load[language]()
  current = { language, messages }
  document.documentElement.lang = language
  return current
}

export interface I18n {
  language: Language
  t: (key: Key, params?: Params) => string
  tokens: (n: number) => string
  setLanguage: (language: Language) => void
}

const I18nContext = createContext<I18n | null>(null)

export function I18nProvider(props: { start: Spoken; onChange: () => void; children: ReactNode }) {
  const [spoken, setSpoken] = useState(props.start)
  const { onChange } = props
  const setLanguage = useCallback(
    (language: Language) => {
      remember('reprise.language', language)
      void speak(language).then((next) => {
        setSpoken(next)
        onChange()
      })
    },
    [onChange],
  )
  const value = useMemo<I18n>(() => {
    const t = (key: Key, params?: Params) => translate(spoken.messages, spoken.language, key, params)
    return { language: spoken.language, t, tokens: (n) => t('count.tokens', { n }), setLanguage }
  }, [spoken, setLanguage])
  return <I18nContext value={value}>{props.children}</I18nContext>
}

export function useI18n(): I18n {
  const value = use(I18nContext)
  if (!value) throw new Error('useI18n outside of I18nProvider')
  return value
}
