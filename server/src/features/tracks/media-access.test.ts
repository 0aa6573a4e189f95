import { describe, expect, it } from 'vitest'
import { createMediaAccess } from './media-access.ts'

const playable = (publicMedia: boolean, url: string) =>
  createMediaAccess({ publicMedia, secret: 'a secret', base: () => 'https://songs.example', columnBases: () => ['http://127.0.0.1:8787'], clock: { now: () => 0 } as never }).playable(url)

describe('an address from a column, as a player gets it', () => {
  const stored = 'http://127.0.0.1:8787/storage/v1/object/public/tracks-audio/user/song%20one.mp3?v=12345678'

  it('leads to where Reprise is reached now, not to the process that saved the file', () => {
    expect(playable(true, stored)).toBe('https://songs.example/storage/v1/object/public/tracks-audio/user/song%20one.mp3?v=12345678')
  })

  it('is signed when files are private', () => {
    expect(playable(false, stored)).toMatch(/^https:\/\/songs\.example\/storage\/v1\/object\/sign\/tracks-audio\/user\/song%20one\.mp3\?expires=\d+&signature=/)
  })

  it('stays the same text for half an hour, so that no list has a browser fetch its pictures again, and works for an hour', () => {
    let now = 1_800_000_000_001
    const media = createMediaAccess({ publicMedia: false, secret: 'a secret', base: () => 'https://songs.example', columnBases: () => [], clock: { now: () => now } as never })
    const first = media.signed('generated-images', 'a.png')
    now += 29 * 60_000
    const later = media.signed('generated-images', 'a.png')
    now += 31 * 60_000
    const muchLater = media.signed('generated-images', 'a.png')
    expect(new Set([first, later, muchLater]).size).toBe(2)
    for (const url of [later, muchLater]) expect(Number(new URL(url).searchParams.get('expires')) * 1000).toBeGreaterThanOrEqual(now)
    expect(media.verify('generated-images', 'a.png', new URL(later).searchParams)).toBe('valid')
  })

  it('is left alone when it is nothing of ours, in a team’s own store too, which has addresses like ours', () => {
    const theirs = 'https://team.supabase.co/storage/v1/object/public/generated-images/a.png'
    for (const publicMedia of [true, false]) expect(playable(publicMedia, theirs)).toBe(theirs)
    const odd = 'https://songs.example/storage/v1/object/public/tracks-audio/50%.mp3'
    expect(playable(false, odd)).toBe(odd)
    expect(playable(true, 'https://cdn.example/a.mp3')).toBe('https://cdn.example/a.mp3')
  })
})
