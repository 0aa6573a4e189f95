import { describe, expect, it } from 'vitest'
import { isValidAudioUrl } from './audio-url.ts'

const rules = { hosts: ['mureka.ai', 'cdn.other.net'], allowHosts: ['127.0.0.1:8123'] }

describe('isValidAudioUrl', () => {
  it.each([
    'https://cdn.mureka.ai/a/b/song.mp3', 'https://mureka.ai/song.MP3?sign=1', 'https://CDN.MUREKA.AI/song.wav', 'https://cdn.other.net/x.flac', 'http://127.0.0.1:8123/files/audio/1.mp3',
  ])('takes %s', (url) => expect(isValidAudioUrl(url, rules)).toBe(true))

  it.each([
    'http://cdn.mureka.ai/song.mp3', 'https://evilmureka.ai/song.mp3', 'https://mureka.ai.evil.net/song.mp3', 'https://cdn.mureka.ai@evil.net/song.mp3', 'https://user:word@cdn.mureka.ai/song.mp3',
    'https://other.net/song.mp3', 'https://cdn.mureka.ai:8443/song.mp3', 'https://cdn.mureka.ai/song', 'https://cdn.mureka.ai/page.html?x=.mp3', 'https://cdn.mureka.ai/song.mp3.html',
    'http://127.0.0.1:9/files/audio/1.mp3', 'ftp://127.0.0.1:8123/1.mp3', 'file:///etc/song.mp3', 'javascript:alert(1).mp3', 'missing', '',
  ])('refuses %s', (url) => expect(isValidAudioUrl(url, rules)).toBe(false))
})
