import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { en } from '../../i18n/en.ts'
import { eventSentence, plainType } from './event-sentence.ts'

const event = (type: string, data = {}) => ({ id: 1, at: '2026-01-01T00:00:00Z', type, data })

describe('the timeline in words', () => {
  it('every move of the table has a sentence', async () => {
    const table = await readFile(new URL('../../../../server/src/engine/moves.ts', import.meta.url), 'utf8')
    const ids = [...table.matchAll(/\{ id: '(\w+)'/g)].map((match) => match[1]!)
    expect(ids.length).toBeGreaterThan(30)
    expect(ids.filter((id) => eventSentence(event(id)).key !== `event.${id}`)).toEqual([])
  })

  it('an event that this page does not know is still readable', () => {
    expect(eventSentence(event('moon_landed')).key).toBeUndefined()
    expect(plainType('moon_landed')).toBe('moon landed')
    expect(eventSentence(event('toString')).key).toBeUndefined()
  })

  it('a stored file tells its size, a failure its tone', () => {
    expect(eventSentence(event('stored', { bytes: 42 }))).toMatchObject({ tone: 'good', bytes: 42 })
    expect(eventSentence(event('provider_failed')).tone).toBe('bad')
    expect(en['event.stored']).toBeTruthy()
  })
})
