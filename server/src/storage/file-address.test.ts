import { expect, it } from 'vitest'
import { fileNameIn } from './file-address.ts'

it.each([
  ['https://a.example/storage/v1/object/public/tracks-audio/user/song%20one.mp3?v=1', { bucket: 'tracks-audio', path: 'user/song one.mp3' }],
  ['/storage/v1/object/sign/generated-images/u/p.png?expires=1&signature=x#t', { bucket: 'generated-images', path: 'u/p.png' }],
  ['https://cdn.example/song.mp3', null],
  ['/storage/v1/object/public/tracks-audio/50%.mp3', null],
  ['/storage/v1/object/public/tracks-audio/..%2f..%2fsecret', null],
  ['/storage/v1/object/public/tracks-audio/%00.mp3', null],
  ['/storage/v1/object/public/tracks-audio/', null],
])('the file that %s names is told, and an odd address names none', (url, name) => {
  expect(fileNameIn(url)).toEqual(name)
})
