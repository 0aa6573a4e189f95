import { describe, expect, it } from 'vitest'
import { ERRORS, type ErrorCode } from '../kernel/errors.ts'
import { en } from './en.ts'
import { fr } from './fr.ts'
import { ru } from './ru.ts'
import type { Texts } from './shape.ts'
import { LANGUAGES, fieldText, label, pickLanguage, progressText, text } from './texts.ts'

const ALL: Record<string, Texts> = { en, ru, fr }
const codes = Object.keys(ERRORS) as ErrorCode[]
const placeholders = (template: string) => [...template.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort()
const groups = ['errors', 'labels', 'progress', 'fields'] as const

describe('texts', () => {
  it('every text exists in every language, is not empty and asks for the same parameters', () => {
    for (const [language, texts] of Object.entries(ALL))
      for (const group of groups) {
        expect(Object.keys(texts[group]).sort(), `${language} ${group}`).toEqual(Object.keys(en[group]).sort())
        for (const [key, template] of Object.entries(texts[group])) {
          expect(template.trim().length, `${language} ${key}`).toBeGreaterThan(1)
          const english = (en[group] as Record<string, string>)[key]!
          expect(placeholders(template), `${language} ${group} ${key}`).toEqual(placeholders(english))
        }
      }
    expect(Object.keys(en.errors).sort()).toEqual([...codes].sort())
  })

  it('a text that ends a generation says that the tokens came back', () => {
    const ends = codes.slice(codes.indexOf('transient'))
    expect(ends).toContain('deadline_exceeded')
    for (const code of ends) {
      expect(text('en', code)).toMatch(/given back/)
      expect(text('ru', code)).toMatch(/возвра/)
      expect(text('fr', code)).toMatch(/rendus/)
    }
  })

  it('no bracket or brace is ever shown, with all parameters or with none', () => {
    const every = new Proxy({}, { get: () => 7, has: () => true }) as Record<string, unknown>
    for (const language of LANGUAGES)
      for (const params of [{}, every]) {
        for (const code of codes) expect(text(language, code, params)).not.toMatch(/[[\]{}]/)
        for (const key of Object.keys(en.progress) as (keyof typeof en.progress)[])
          expect(progressText(language, key, params)).not.toMatch(/[[\]{}]/)
        for (const key of Object.keys(en.fields) as (keyof typeof en.fields)[])
          expect(fieldText(language, key, params)).not.toMatch(/[[\]{}]/)
      }
  })

  it('parameters are filled in, and an optional part goes when its parameter is unknown', () => {
    expect(text('en', 'insufficient_tokens', { required: 10, available: 3 })).toContain('10 needed, 3 available')
    expect(text('en', 'too_many_requests')).toContain('Please wait and try again.')
    expect(text('ru', 'queue_full', { retryAfterSec: 30 })).toContain('через 30 с')
  })

  it('the labels that the seeds quote are exactly these', () => {
    expect(label('en', 'no_credits')).toBe('Insufficient credits')
    expect(label('en', 'content_policy')).toBe('Content policy violation')
  })
})

describe('pickLanguage', () => {
  it.each([
    ['fr-CA,fr;q=0.9,en;q=0.8', undefined, 'fr'],
    ['en;q=0.3, ru;q=0.9', undefined, 'ru'],
    ['kk, de;q=0.9', undefined, 'en'],
    ['fr', 'ru', 'ru'],
    ['fr', 'xx', 'fr'],
    ['ru;q=0', undefined, 'en'],
    [undefined, undefined, 'en'],
    [`${'x,'.repeat(5000)}ru`, undefined, 'en'],
  ] as const)('%s with ?lang=%s gives %s', (header, query, expected) => {
    expect(pickLanguage(header, query, 'en')).toBe(expected)
  })
  it('falls back to what is asked for', () => expect(pickLanguage('*', undefined, 'ru')).toBe('ru'))
})
