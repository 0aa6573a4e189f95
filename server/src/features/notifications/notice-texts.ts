import { LANGUAGES, type Language } from '../../texts/texts.ts'

export interface Said {
  title: string
  message: string
}

/** What a notice is about; `{refund}` is filled by the database, from what was given back. */
export interface About {
  name: string
  reason: (language: Language) => string
  missing: number
}

export type Occasion = 'started' | 'done' | 'partly_done' | 'failed' | 'late'

const SAYINGS: Record<Language, Record<Occasion, (about: { name: string; reason: string; missing: number }) => Said>> = {
  en: {
    started: ({ name }) => ({ title: 'Under way', message: `“${name}” is being made.` }),
    done: ({ name }) => ({ title: 'Ready', message: `“${name}” is saved and yours.` }),
    partly_done: ({ name, missing }) => ({ title: 'Partly ready', message: `“${name}” is saved, but not all of it; missing: ${missing}. Tokens returned: {refund}.` }),
    failed: ({ name, reason }) => ({ title: 'It did not work', message: `“${name}”: ${reason}. Tokens returned: {refund}.` }),
    late: ({ name }) => ({ title: 'It came after all', message: `“${name}” arrived late and is saved.` }),
  },
  ru: {
    started: ({ name }) => ({ title: 'Началось', message: `«${name}»: уже создаётся.` }),
    done: ({ name }) => ({ title: 'Готово', message: `«${name}»: всё сохранено.` }),
    partly_done: ({ name, missing }) => ({ title: 'Готово частично', message: `«${name}»: сохранено не всё, не хватает: ${missing}. Возвращено токенов: {refund}.` }),
    failed: ({ name, reason }) => ({ title: 'Не получилось', message: `«${name}»: ${reason}. Возвращено токенов: {refund}.` }),
    late: ({ name }) => ({ title: 'Всё-таки пришло', message: `«${name}»: результат пришёл с опозданием и сохранён.` }),
  },
  fr: {
    started: ({ name }) => ({ title: 'En cours', message: `« ${name} » est en préparation.` }),
    done: ({ name }) => ({ title: 'Prêt', message: `« ${name} » est enregistré et à vous.` }),
    partly_done: ({ name, missing }) => ({ title: 'Prêt en partie', message: `« ${name} » est enregistré, mais pas en entier ; il manque : ${missing}. Jetons rendus : {refund}.` }),
    failed: ({ name, reason }) => ({ title: 'Cela n’a pas marché', message: `« ${name} » : ${reason}. Jetons rendus : {refund}.` }),
    late: ({ name }) => ({ title: 'Arrivé malgré tout', message: `« ${name} » est arrivé en retard et il est enregistré.` }),
  },
}

/** The notice in every language: which one is the user's, the database knows. */
export function sayings(occasion: Occasion, { name, reason, missing }: About): Record<Language, Said> {
  return Object.fromEntries(LANGUAGES.map((language) =>
    [language, SAYINGS[language][occasion]({ name, reason: reason(language), missing })])) as Record<Language, Said>
}
