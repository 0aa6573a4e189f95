import { BadFile } from './bad-file.ts'
import type { FileWindow } from './file-window.ts'

/**
 * Whether a file is whole, told from its own structure: lengths that its container promises against the bytes that are
 * there. Each throws `BadFile('truncated' | 'undecodable')`.
 */
export const CONTAINER_CHECKS: Record<string, (file: FileWindow) => Promise<void>> = {
  wav: checkWav,
  flac: checkFlac,
  ogg: checkOgg,
  opus: checkOgg,
  oga: checkOgg,
  m4a: checkMp4,
  mp4: checkMp4,
  m4v: checkMp4,
  mov: checkMp4,
  webm: checkWebm,
}

const truncated = (detail: string) => new BadFile('truncated', detail)
const undecodable = (detail: string) => new BadFile('undecodable', detail)

async function checkWav(file: FileWindow): Promise<void> {
  let at = 12
  let data: number | null = null
  while (at + 8 <= file.size) {
    const head = await file.read(at, 8)
    const name = head.toString('latin1', 0, 4)
    const length = head.readUInt32LE(4)
    if (name === 'data') {
      // Written to a pipe, the encoder could not know: the rest of the file is the sound.
      const unknown = length === 0xffffffff || (length === 0 && file.size > at + 8)
      data = unknown ? file.size - at - 8 : length
      if (!unknown && at + 8 + length > file.size) throw truncated(`${file.size - at - 8} of ${length} bytes of sound`)
      if (unknown) break
    }
    at += 8 + length + (length & 1)
  }
  if (!data) throw data === null ? truncated('no sound in it') : undecodable('no sound in it')
}

/** The last frame must end exactly at the end of the file with the right CRC and reach the announced last sample. */
async function checkFlac(file: FileWindow): Promise<void> {
  let at = 4
  let info: Buffer | null = null
  for (let last = false; !last; ) {
    const head = await file.read(at, 4)
    if (head.length < 4) throw truncated('ends inside the metadata')
    last = (head[0]! & 0x80) !== 0
    if ((head[0]! & 0x7f) === 0) info = await file.read(at + 4, 34)
    at += 4 + head.readUIntBE(1, 3)
    if (at >= file.size) throw truncated('no sound after the metadata')
  }
  if (!info || info.length < 34) throw undecodable('no stream information')
  const total = (info[13]! & 0x0f) * 2 ** 32 + info.readUInt32BE(14)
  const minBlock = info.readUInt16BE(0)
  const maxBlock = info.readUInt16BE(2)
  // The longest frame is about a block of raw samples; the tail must hold one whole.
  const tailStart = Math.max(at, file.size - 250_000)
  const tail = await file.read(tailStart, file.size - tailStart)
  for (let i = tail.length - 8; i >= 0; i--) {
    if (tail[i] !== 0xff || (tail[i + 1]! & 0xfe) !== 0xf8) continue
    const header = flacHeader(tail, i, minBlock === maxBlock ? maxBlock : null)
    if (!header || crc16(tail.subarray(i)) !== 0) continue
    if (total && header.end < total) throw truncated(`${header.end} of ${total} samples`)
    return
  }
  throw truncated('the last frame is not whole')
}

/** Reads a frame header whose CRC-8 is right; `end` is the number of the sample after the frame. */
function flacHeader(b: Buffer, at: number, fixedBlock: number | null): { end: number } | null {
  const sizeCode = b[at + 2]! >> 4
  const rateCode = b[at + 2]! & 0x0f
  let i = at + 4
  const lead = b[i++]!
  const more = lead < 0x80 ? 0 : Math.clz32(~(lead << 24)) - 1
  if (lead >= 0x80 && (more < 1 || more > 6)) return null
  let number = more === 0 ? lead : lead & (0x3f >> more)
  for (let k = 0; k < more; k++) number = number * 64 + (b[i++]! & 0x3f)
  let block: number
  if (sizeCode === 6) block = b[i++]! + 1
  else if (sizeCode === 7) {
    block = ((b[i]! << 8) | b[i + 1]!) + 1
    i += 2
  } else if (sizeCode === 1) block = 192
  else if (sizeCode >= 2 && sizeCode <= 5) block = 576 << (sizeCode - 2)
  else if (sizeCode >= 8) block = 256 << (sizeCode - 8)
  else return null
  if (rateCode === 12) i += 1
  else if (rateCode === 13 || rateCode === 14) i += 2
  if (i >= b.length || crc8(b.subarray(at, i)) !== b[i]) return null
  const variable = (b[at + 1]! & 1) === 1
  return { end: variable ? number + block : number * (fixedBlock ?? block) + block }
}

function crc8(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte
    for (let k = 0; k < 8; k++) crc = crc & 0x80 ? ((crc << 1) ^ 0x07) & 0xff : crc << 1
  }
  return crc
}

const CRC16 = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let k = 0; k < 8; k++) crc = crc & 0x8000 ? (crc << 1) ^ 0x8005 : crc << 1
  return crc
})

/** 0 over a frame together with its own CRC. */
function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (let i = 0; i < bytes.length; i++) crc = ((crc << 8) & 0xffff) ^ CRC16[(crc >> 8) ^ bytes[i]!]!
  return crc
}

/** Pages follow each other to the end, and every logical stream says that it ends. */
async function checkOgg(file: FileWindow): Promise<void> {
  const open = new Set<number>()
  let at = 0
  while (at < file.size) {
    const head = await file.read(at, 27 + 255)
    if (head.length < 27) throw truncated('ends inside a page header')
    if (head.toString('latin1', 0, 4) !== 'OggS') throw undecodable(`no page at byte ${at}`)
    const segments = head[26]!
    if (head.length < 27 + segments) throw truncated('ends inside a page header')
    let length = 27 + segments
    for (let i = 0; i < segments; i++) length += head[27 + i]!
    if (at + length > file.size) throw truncated('ends inside a page')
    const serial = head.readUInt32LE(14)
    if (head[5]! & 4) open.delete(serial)
    else open.add(serial)
    at += length
  }
  if (open.size) throw truncated('the stream does not end')
}

/** Boxes fill the file exactly, with a description (moov) and data in it. */
async function checkMp4(file: FileWindow): Promise<void> {
  const seen = new Set<string>()
  let at = 0
  while (at < file.size) {
    const head = await file.read(at, 16)
    if (head.length < 8) throw truncated('ends inside a box header')
    const name = head.toString('latin1', 4, 8)
    if (!/^[\x20-\x7e\xa9]{4}$/.test(name)) throw undecodable(`no box at byte ${at}`)
    let length = head.readUInt32BE(0)
    if (length === 1) length = head.length < 16 ? 0 : Number(head.readBigUInt64BE(8))
    else if (length === 0) length = file.size - at
    if (length < 8) throw undecodable(`a box of ${length} bytes`)
    if (at + length > file.size) throw truncated(`box ${name} has ${file.size - at} of ${length} bytes`)
    seen.add(name)
    at += length
  }
  if (!seen.has('moov')) throw truncated('no description (moov)')
  if (!seen.has('mdat')) throw truncated('no media data (mdat)')
}

/** The EBML header, then one segment whose length, when it is told, fits. */
async function checkWebm(file: FileWindow): Promise<void> {
  let at = 0
  while (at < file.size) {
    const head = await file.read(at, 12)
    const idLength = Math.clz32(head[0]! << 24) + 1
    const sizeLength = head.length > idLength ? Math.clz32(head[idLength]! << 24) + 1 : 9
    if (idLength > 4 || sizeLength > 8) throw undecodable(`no element at byte ${at}`)
    if (head.length < idLength + sizeLength) throw truncated('ends inside an element header')
    let length = head[idLength]! & (0xff >> sizeLength)
    let unknown = length === 0xff >> sizeLength
    for (let i = 1; i < sizeLength; i++) {
      const byte = head[idLength + i]!
      if (byte !== 0xff) unknown = false
      length = length * 256 + byte
    }
    if (unknown) return
    at += idLength + sizeLength + length
    if (at > file.size) throw truncated(`an element goes ${at - file.size} bytes beyond the end`)
  }
}
