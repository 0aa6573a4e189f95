import { BadFile } from './bad-file.ts'
import type { FileWindow } from './file-window.ts'

/**
 * Walks every frame of an MP3 (MPEG 1, 2, 2.5, layer III) from header to header and checks what can be checked without
 * decoding the sound: one stream throughout, every frame's side information possible, its data within reach of the bit
 * reservoir, the last frame whole, and as many frames as the encoder wrote down.
 * Tags (ID3v1, ID3v2, APE, Lyrics3) are stepped over; a few foreign bytes are forgiven.
 */
export interface Mp3Facts {
  durationMs: number
  /** Mean, bits per second, of the frames alone. */
  bitrate: number
  frames: number
  sampleRate: number
  channels: 1 | 2
}

/** Foreign bytes forgiven in all (sloppy padding before or after tags). */
const MAX_GARBAGE = 4096

const RATES = [44_100, 48_000, 32_000]
const KBPS_1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const KBPS_2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]

interface Header {
  /** 1 for MPEG 1, 2 for MPEG 2, 3 for MPEG 2.5. */
  version: 1 | 2 | 3
  sampleRate: number
  length: number
  mono: boolean
  crc: boolean
}

/** Null when these four bytes are no layer III frame header that we can step over. */
export function readHeader(b: Uint8Array, at: number): Header | null {
  if (b[at] !== 0xff || (b[at + 1]! & 0xe6) !== 0xe2) return null
  const versionBits = (b[at + 1]! >> 3) & 3
  const bitrateIndex = b[at + 2]! >> 4
  const rateIndex = (b[at + 2]! >> 2) & 3
  if (versionBits === 1 || rateIndex === 3 || bitrateIndex === 0 || bitrateIndex === 15) return null
  // Emphasis 2 is reserved: real encoders never write it, noise does.
  if ((b[at + 3]! & 3) === 2) return null
  const version = versionBits === 3 ? 1 : versionBits === 2 ? 2 : 3
  const sampleRate = RATES[rateIndex]! / (version === 1 ? 1 : version === 2 ? 2 : 4)
  const kbps = (version === 1 ? KBPS_1 : KBPS_2)[bitrateIndex]!
  const padding = (b[at + 2]! >> 1) & 1
  const length = Math.floor(((version === 1 ? 144_000 : 72_000) * kbps) / sampleRate) + padding
  return { version, sampleRate, length, mono: b[at + 3]! >> 6 === 3, crc: (b[at + 1]! & 1) === 0 }
}

export async function walkMp3(file: FileWindow): Promise<Mp3Facts> {
  const undecodable = (detail: string) => new BadFile('undecodable', detail)
  const truncated = (detail: string) => new BadFile('truncated', detail)
  let at = 0
  let first: Header | null = null
  let frames = 0
  let frameBytes = 0
  let garbage = 0
  let announced: number | null = null
  let suspicious = 0
  let reservoir = 0

  while (at < file.size) {
    if (!file.has(at, Math.min(2048, file.size - at))) await file.load(at)
    const b = file.bytes
    const i = at - file.start
    const left = file.size - at

    const header = left >= 4 ? readHeader(b, i) : null
    if (header && (first ? sameStream(first, header) : await believable(at, header))) {
      if (header.length > left) throw truncated(`the last frame has ${left} of ${header.length} bytes`)
      // `believable` may have moved the window.
      if (!file.has(at, Math.min(2048, left))) await file.load(at)
      const frame = file.bytes.subarray(at - file.start, at - file.start + header.length)
      const told = first ? null : announcedFrames(frame, header)
      first ??= header
      if (told === null) {
        frames++
        frameBytes += header.length
        const possible = checkSideInfo(frame, header, reservoir)
        reservoir = Math.min(511, reservoir + possible.mainBytes)
        // A stream cut from a longer one may lack what its first frames point back to.
        if (!possible.ok && frames > 4) suspicious++
      } else announced = told
      at += header.length
      continue
    }

    const tag = tagLength(b, i, left, at === 0)
    if (tag !== null) {
      if (tag > left) throw truncated(`a tag has ${left} of ${tag} bytes`)
      at += tag
      continue
    }
    if (left < 4 && b[i] === 0xff && first) throw truncated('ends inside a frame header')
    garbage++
    at++
    if (garbage > MAX_GARBAGE) throw undecodable(first ? `foreign data after ${frames} frames` : 'no MP3 frames')
  }

  if (!first || frames === 0) throw undecodable('no MP3 frames')
  // Real files have none. A handful may be a glitch of the encoder; more is noise behind good headers.
  if (suspicious > Math.max(2, frames / 500)) throw undecodable(`${suspicious} of ${frames} frames cannot be decoded`)
  if (announced !== null && announced > 0 && frames < announced - 1) {
    throw truncated(`${frames} of ${announced} frames`)
  }
  const seconds = (frames * (first.version === 1 ? 1152 : 576)) / first.sampleRate
  return {
    durationMs: Math.round(seconds * 1000),
    bitrate: Math.round((frameBytes * 8) / seconds),
    frames,
    sampleRate: first.sampleRate,
    channels: first.mono ? 1 : 2,
  }

  /** The first frame must be the encoder's own, or be followed by two more of its stream (or the file's end). */
  async function believable(from: number, header: Header): Promise<boolean> {
    if (announcedFrames(await file.read(from, header.length), header) !== null) return true
    let next = from + header.length
    for (let step = 0; step < 2; step++) {
      if (next + 4 > file.size) return true
      const bytes = await file.read(next, 4)
      const following = readHeader(bytes, 0)
      if (!following) return step > 0 && tagLength(bytes, 0, file.size - next, false) !== null
      if (!sameStream(header, following)) return false
      next += following.length
    }
    return true
  }
}

const sameStream = (a: Header, b: Header): boolean =>
  a.version === b.version && a.sampleRate === b.sampleRate && a.mono === b.mono

/** Where the side information of a frame begins, and how long it is. */
const sideInfoAt = (header: Header): number => (header.crc ? 6 : 4)
const sideInfoLength = ({ version, mono }: Header): number => (version === 1 ? (mono ? 17 : 32) : mono ? 9 : 17)

/** What the encoder's Xing, Info or VBRI header says; 0 when it does not tell. Null for a frame of sound. */
function announcedFrames(frame: Buffer, header: Header): number | null {
  const xing = 4 + sideInfoLength(header)
  for (const at of [xing, xing + 2]) {
    const word = frame.toString('latin1', at, at + 4)
    if ((word === 'Xing' || word === 'Info') && frame.length >= at + 12) {
      return frame.readUInt32BE(at + 4) & 1 ? frame.readUInt32BE(at + 8) : 0
    }
  }
  if (frame.toString('latin1', 36, 40) === 'VBRI' && frame.length >= 54) return frame.readUInt32BE(50)
  return null
}

/** Whether a decoder could make sense of the frame's side information, given the bytes left over before it. */
function checkSideInfo(frame: Buffer, header: Header, reservoir: number): { ok: boolean; mainBytes: number } {
  const start = sideInfoAt(header)
  const length = sideInfoLength(header)
  const mainBytes = frame.length - start - length
  if (mainBytes < 0) return { ok: false, mainBytes: 0 }
  let bit = start * 8
  const take = (count: number): number => {
    let value = 0
    for (let left = count; left > 0; ) {
      const room = 8 - (bit & 7)
      const now = Math.min(room, left)
      value = (value << now) | ((frame[bit >> 3]! >> (room - now)) & ((1 << now) - 1))
      bit += now
      left -= now
    }
    return value
  }
  const one = header.version === 1
  const channels = header.mono ? 1 : 2
  const back = take(one ? 9 : 8)
  bit += one ? (header.mono ? 5 : 3) : header.mono ? 1 : 2
  if (one) bit += 4 * channels
  let ok = back <= reservoir
  let bits = 0
  for (let part = (one ? 2 : 1) * channels; part > 0; part--) {
    bits += take(12)
    if (take(9) > 288) ok = false
    bit += 8 + (one ? 4 : 9)
    if (take(1)) {
      if (take(2) === 0) ok = false
      bit += 1
      for (let table = 0; table < 2; table++) if (isNoTable(take(5))) ok = false
      bit += 9
    } else {
      for (let table = 0; table < 3; table++) if (isNoTable(take(5))) ok = false
      bit += 7
    }
    bit += one ? 3 : 2
  }
  return { ok: ok && bits <= (back + mainBytes) * 8, mainBytes }
}

const isNoTable = (table: number): boolean => table === 4 || table === 14

/** Length of the tag that begins here, or null. May be more than is left of the file. */
function tagLength(b: Buffer, i: number, left: number, atStart: boolean): number | null {
  const word = (length: number) => b.toString('latin1', i, i + Math.min(length, left))
  const mark = word(3)
  if (mark === 'ID3' && left >= 10 && b[i + 3]! < 0xff && b[i + 4]! < 0xff) {
    const size = [6, 7, 8, 9].reduce((sum, offset) => (sum << 7) | (b[i + offset]! & 0x7f), 0)
    return 10 + size + (b[i + 5]! & 0x10 ? 10 : 0)
  }
  if (atStart && mark !== 'APE') return null
  if (mark === 'TAG') return word(4) === 'TAG+' ? 227 : 128
  if (word(8) === 'APETAGEX' && left >= 32) {
    // The footer alone closes a tag without a header; otherwise the size counts items and footer.
    const isHeader = b.readUInt32LE(i + 20) & 0x20000000
    return isHeader ? 32 + b.readUInt32LE(i + 12) : 32
  }
  if (word(11) === 'LYRICSBEGIN') {
    const end = b.indexOf('LYRICS200', i, 'latin1')
    if (end >= 0) return end + 9 - i
  }
  return null
}
