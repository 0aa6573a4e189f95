import { describe, expect, it } from 'vitest'
import { emptyDraft, ideaLength, mistakesOf, orderOf } from './wishes.ts'

describe('what is sent for a song', () => {
  it('holds only what was filled in', () => {
    expect(orderOf({ ...emptyDraft, prompt: '  a waltz ', title: ' ' })).toEqual({ provider: 'suno', kind: 'song', prompt: 'a waltz' })
  })

  it('Mureka is asked for as many songs as wanted, Suno never', () => {
    const draft = { ...emptyDraft, prompt: 'x', count: 3 }
    expect(orderOf({ ...draft, provider: 'mureka' })).toEqual({ provider: 'mureka', kind: 'song', prompt: 'x', options: { n: 3 } })
    expect(orderOf(draft)).toEqual({ provider: 'suno', kind: 'song', prompt: 'x' })
  })

  it('an instrumental carries no lyrics that nobody would sing', () => {
    const body = orderOf({ ...emptyDraft, prompt: 'x', lyrics: 'la la', instrumental: true })
    expect(body).toMatchObject({ instrumental: true })
    expect(body.lyrics).toBeUndefined()
  })
})

describe('what is told before anything is sent', () => {
  it('an idea has 500 letters, with its style and title counted in', () => {
    expect(mistakesOf({ ...emptyDraft, prompt: 'ы'.repeat(500) })).toEqual({})
    expect(mistakesOf({ ...emptyDraft, prompt: 'ы'.repeat(501) })).toEqual({ prompt: { rule: 'too_long', n: 500 } })
    expect(mistakesOf({ ...emptyDraft, prompt: 'ы'.repeat(495), style: 'folk' })).toEqual({ prompt: { rule: 'too_long', n: 500 } })
  })

  it('of Mureka an idea may be longer, and own words need no title', () => {
    const draft = { ...emptyDraft, provider: 'mureka' as const, prompt: 'x'.repeat(1024), lyrics: 'la' }
    expect(mistakesOf(draft)).toEqual({})
    expect(mistakesOf({ ...draft, prompt: 'x'.repeat(1025) })).toEqual({ prompt: { rule: 'too_long', n: 1024 } })
  })

  it('with own words the idea is not limited, but a title is needed', () => {
    const draft = { ...emptyDraft, prompt: 'x'.repeat(600), lyrics: 'la', style: 'folk' }
    expect(ideaLength(draft)).toBeUndefined()
    expect(mistakesOf(draft)).toEqual({ title: { rule: 'required' } })
    expect(mistakesOf({ ...draft, title: 'T' })).toEqual({})
  })
})
