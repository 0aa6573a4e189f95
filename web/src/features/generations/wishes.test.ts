import { describe, expect, it } from 'vitest'
import { emptyDraft, orderOf, tooLong } from './wishes.ts'

describe('what is sent for a song', () => {
  it('holds only what was filled in', () => {
    expect(orderOf({ ...emptyDraft, prompt: '  a waltz ', title: ' ' }, 'k')).toEqual({
      key: 'k',
      body: { provider: 'suno', kind: 'song', prompt: 'a waltz' },
    })
  })

  it('an instrumental carries no lyrics that nobody would sing', () => {
    const { body } = orderOf({ ...emptyDraft, prompt: 'x', lyrics: 'la la', instrumental: true }, 'k')
    expect(body).toMatchObject({ instrumental: true })
    expect(body.lyrics).toBeUndefined()
  })

  it('500 letters of any alphabet fit an idea, 501 do not', () => {
    expect(tooLong({ ...emptyDraft, prompt: '🎵'.repeat(500) })).toEqual({})
    expect(tooLong({ ...emptyDraft, prompt: 'ы'.repeat(501) })).toEqual({ prompt: 500 })
  })
})
