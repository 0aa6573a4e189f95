/** Longest part of a name that comes from a title; the whole name stays far below 255 bytes. */
const MOST_BYTES = 120
const MOST_LETTERS = 60

/**
 * A title as a part of a file name that every system takes: nothing that Windows forbids, nothing invisible, no `%`
 * (which BagIt's lists would have to escape), in one Unicode form. Never empty; not unique.
 */
export function safeTitle(title: string | null): string {
  const clean = (title ?? '').toWellFormed().normalize('NFC')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu, ' ')
    .replace(/[<>:"/\\|?*%\ufffd]/g, '_')
    .replace(/\s+/g, ' ')
    .replace(/^[. ]+/, '')
  let name = ''
  for (const letter of [...clean].slice(0, MOST_LETTERS)) {
    if (Buffer.byteLength(name + letter) > MOST_BYTES) break
    name += letter
  }
  return name.replace(/[. ]+$/, '') || 'track'
}

/** The ending of a stored file's path, without the dot. */
export function endingOf(path: string, mime: string): string {
  const ending = /\.([a-z0-9]{1,5})$/i.exec(path)?.[1] ?? mime.split('/')[1]?.replace(/[^a-z0-9]/gi, '').slice(0, 5)
  return (ending || 'bin').toLowerCase()
}

/** Of names that differ only in their case or not at all, the later get a number. */
export function createNames() {
  const taken = new Set<string>()
  return function unique(stem: string, ending: string): string {
    for (let n = 1; ; n++) {
      const name = `${stem}${n === 1 ? '' : `-${n}`}.${ending}`
      if (taken.has(name.toLowerCase())) continue
      taken.add(name.toLowerCase())
      return name
    }
  }
}
