import { describe, expect, it } from 'vitest'
import { bodyOf, draftOf } from './channel-draft.ts'

describe('editing a channel', () => {
  it('does not send the settings that the form does not show, so that a run begun meanwhile is not forgotten', () => {
    const channel = {
      id: 'c1',
      name: 'Rain',
      type: 'music_clips',
      language: 'kk',
      timezone: 'Asia/Almaty',
      musicClipsSettings: { sunoPrompt: 'rain', schedule: { mon: ['09:00'] }, lastJobId: 'job_1_a', clipSec: 7 },
    }
    const body = bodyOf({ ...draftOf(channel, 'en', 'UTC'), name: ' Rain 2 ' }, channel)
    expect(body).toMatchObject({ name: 'Rain 2', language: 'kk', timezone: 'Asia/Almaty' })
    expect(body.musicClipsSettings).toMatchObject({ sunoPrompt: 'rain', clipSec: 7, language: 'kk' })
    expect(Object.keys(body.musicClipsSettings)).not.toContain('lastJobId')
    expect(Object.keys(body.musicClipsSettings)).not.toContain('schedule')
  })

  it('a new channel gets the documented numbers, and lists come from what was typed', () => {
    const draft = { ...draftOf(undefined, 'ru', 'UTC'), styleTags: 'lo-fi, , piano ', promptVariants: 'a\n\n b ' }
    expect(bodyOf(draft, undefined).musicClipsSettings).toMatchObject({
      targetDurationSec: 60,
      clipSec: 10,
      segmentDelayMs: 30_000,
      styleTags: ['lo-fi', 'piano'],
      promptVariants: ['a', 'b'],
    })
  })
})
