import { expect, it } from 'vitest'
import { createNames, endingOf, safeTitle } from './names.ts'

it.each([
  ['My song', 'My song'],
  ['a/b\\c:d*e?f"g<h>i|j%k', 'a_b_c_d_e_f_g_h_i_j_k'],
  ['  ..hidden.  ', 'hidden'],
  ['two\nlines\tand\0more', 'two lines and more'],
  ['e\u0301tude', 'étude'],
  ['\u202egnp.exe', 'gnp.exe'],
  ['half \ud83d', 'half _'],
  ['Ночь 🌙', 'Ночь 🌙'],
  ['', 'track'], ['...', 'track'], ['\u200b', 'track'], [null, 'track'],
])('a title %j becomes the name %j, which every system takes', (title, name) => expect(safeTitle(title)).toBe(name))

it('no name is long enough to be cut by a file system, and no letter is cut in two', () => {
  for (const letter of ['x', 'ж', '夜', '🌙']) {
    const name = safeTitle(letter.repeat(500))
    expect(Buffer.byteLength(`${name}-00000000-0000-4000-8000-000000000000-99.json`)).toBeLessThan(200)
    expect(name.replaceAll(letter, '')).toBe('')
  }
})

it('names that a system takes for the same are told apart', () => {
  const unique = createNames()
  expect([unique('a', 'mp3'), unique('a', 'jpg'), unique('A', 'MP3'), unique('a', 'mp3')]).toEqual(['a.mp3', 'a.jpg', 'A-2.MP3', 'a-3.mp3'])
})

it('the ending is that of the stored file, else that of its kind', () => {
  expect([endingOf('u/t.mp3', 'audio/mpeg'), endingOf('u/t.MP4', 'video/mp4'), endingOf('u/t', 'image/jpeg'), endingOf('u/t', 'strange')]).toEqual(['mp3', 'mp4', 'jpeg', 'bin'])
})
