import { describe, expect, it } from 'vitest'
import { en, type Key, type Messages } from './en.ts'
import { fr } from './fr.ts'
import { ru } from './ru.ts'
import { chooseLanguage, pluralForms, translate, type Language } from './translate.ts'

const all: Record<Language, Messages> = { en, ru, fr }
const holes = (text: string) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]))].sort()

describe('the three languages', () => {
  for (const language of ['ru', 'fr'] as const) {
    it(`${language} says everything that English says, with the same holes to fill`, () => {
      const messages = all[language]
      expect(Object.keys(messages)).toEqual(Object.keys(en))
      for (const key of Object.keys(en) as Key[]) {
        expect(messages[key], key).not.toBe('')
        expect(holes(messages[key]), key).toEqual(holes(en[key]))
      }
    })
  }

  it('a counted message has every plural form of its language', () => {
    for (const key of Object.keys(en) as Key[]) {
      if (!en[key].includes(' | ')) continue
      for (const language of ['en', 'ru', 'fr'] as const) {
        expect(all[language][key].split(' | '), `${language} ${key}`).toHaveLength(pluralForms(language))
      }
    }
  })

  it('Russian counts one, few and many rightly', () => {
    const said = [1, 2, 5, 11, 21, 22].map((n) => translate(ru, 'ru', 'count.tokens', { n }))
    expect(said).toEqual(['1 токен', '2 токена', '5 токенов', '11 токенов', '21 токен', '22 токена'])
  })

  it('a remembered choice wins over the browser, an unknown tongue falls to the next, then to English', () => {
    expect(chooseLanguage('fr', ['ru-RU'])).toBe('fr')
    expect(chooseLanguage(null, ['de-DE', 'ru-RU'])).toBe('ru')
    expect(chooseLanguage(null, ['ja'])).toBe('en')
  })
})
