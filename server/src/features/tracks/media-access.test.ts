import { describe, expect, it } from 'vitest'
import { createMediaAccess } from './media-access.ts'

const playable = (publicMedia: boolean, url: string) =>
  createMediaAccess({ publicMedia, secret: 'a secret', base: () => 'https://songs.example', clock: { now: () => 0 } as never }).playable(url)

describe('an address from a column, as a player gets it', () => {
  const stored = 'http://127.0.0.1:8787/storage/v1/object/public/tracks-audio/user/song%20one.mp3?v=12345678'

  it('leads to where Reprise is reached now, not to the process that saved the file', () => {
    expect(playable(true, stored)).toBe('https://songs.example/storage/v1/object/public/tracks-audio/user/song%20one.mp3?v=12345678')
  })

  it('is signed when files are private', () => {
    expect(playable(false, stored)).toMatch(/^https:\/\/songs\.example\/storage\/v1\/object\/sign\/tracks-audio\/user\/song%20one\.mp3\?expires=\d+&signature=/)
  })

  it('is left alone when it is nothing of ours', () => {
    expect(playable(true, 'https://cdn.example/a.mp3')).toBe('https://cdn.example/a.mp3')
  })
})
