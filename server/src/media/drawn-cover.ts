import sharp from 'sharp'
import { sha256Hex } from '../kernel/ids.ts'

const SCHEME = 'drawn:'
const SIZE = 800

/**
 * The address of a cover that Reprise draws itself, for songs whose provider gives none. The picture is all in the
 * address: the same one gives the same picture, so a lost file can be made again.
 * @param words what the song is called or about
 */
export const drawnCover = (words: string, variant: number): string => SCHEME + sha256Hex(`${words}\n${variant}`).slice(0, 32)

export const isDrawn = (address: string): boolean => address.startsWith(SCHEME)

/** JPEG, 800 × 800: a sky in two colours that suit each other, a light, and what lies before it. No letters: fonts differ. */
export async function drawCover(address: string): Promise<Uint8Array> {
  return sharp(Buffer.from(svgOf(dice(address.slice(SCHEME.length))))).jpeg({ quality: 88 }).toBuffer()
}

type Dice = (low: number, high: number) => number

/** Repeatable whole numbers from the digits of a hash (mulberry32). */
function dice(hex: string): Dice {
  let state = Number.parseInt(hex.slice(0, 8), 16) | 0
  return (low, high) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return low + (((t ^ (t >>> 14)) >>> 0) % (high - low + 1))
  }
}

type Paint = (light: number, alpha: number) => string

function svgOf(roll: Dice): string {
  const hue = roll(0, 359)
  const other = (hue + [25, 40, 65, 190, 300, 325][roll(0, 5)]!) % 360
  const paint: Paint = (light, alpha) => `hsla(${other}, 62%, ${light}%, ${alpha})`
  const scene = [dunes, discs, rings, strings][roll(0, 3)]!
  const [x, y] = [roll(180, 620), roll(140, 340)]
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE}" height="${SIZE}">
<defs>
  <linearGradient id="sky" gradientTransform="rotate(${roll(50, 110)} 0.5 0.5)">
    <stop offset="0" stop-color="hsl(${hue}, 58%, 16%)"/>
    <stop offset="0.55" stop-color="hsl(${hue}, 52%, 38%)"/>
    <stop offset="1" stop-color="hsl(${other}, 66%, 66%)"/>
  </linearGradient>
  <radialGradient id="light"><stop offset="0" stop-color="${paint(92, 0.9)}"/><stop offset="1" stop-color="${paint(80, 0)}"/></radialGradient>
  <radialGradient id="edge" r="0.75"><stop offset="0.6" stop-opacity="0"/><stop offset="1" stop-opacity="0.38"/></radialGradient>
</defs>
<rect width="100%" height="100%" fill="url(#sky)"/>
<circle cx="${x}" cy="${y}" r="${roll(260, 420)}" fill="url(#light)"/>
${scene(roll, paint, x, y)}
<rect width="100%" height="100%" fill="url(#edge)"/>
</svg>`
}

type Scene = (roll: Dice, paint: Paint, x: number, y: number) => string

const times = (count: number, draw: (place: number) => string): string => Array.from({ length: count }, (_, place) => draw(place)).join('')

const dunes: Scene = (roll, paint, x, y) =>
  `<circle cx="${x}" cy="${y}" r="${roll(50, 90)}" fill="${paint(94, 0.95)}"/>` +
  times(5, (row) => {
    const top = 360 + row * 85
    const [a, b, c] = [roll(-90, 60), roll(-60, 90), roll(-70, 40)]
    return `<path d="M0 ${top} C200 ${top + a} 300 ${top + b} 480 ${top + c} S720 ${top + a} 800 ${top + b} V800 H0 Z" fill="${paint(58 - row * 11, 0.72)}"/>`
  })

const discs: Scene = (roll, paint) =>
  times(roll(7, 11), () => `<circle cx="${roll(0, 800)}" cy="${roll(0, 800)}" r="${roll(40, 230)}" fill="${paint(roll(40, 88), roll(12, 38) / 100)}"/>`)

const rings: Scene = (roll, paint, x, y) => {
  const gap = roll(26, 46)
  return times(14, (place) => `<circle cx="${x}" cy="${y + 60}" r="${50 + place * gap}" fill="none" stroke="${paint(90 - place * 3, 0.6)}" stroke-width="${roll(2, 14)}"/>`)
}

const strings: Scene = (roll, paint) => {
  const swing = roll(60, 190)
  return times(22, (place) => {
    const at = 90 + place * 29
    const bend = Math.round(swing * Math.sin(place / 3.2))
    return `<path d="M-20 ${at} C220 ${at - bend} 560 ${at + bend} 820 ${at - Math.round(bend / 2)}" fill="none" stroke="${paint(50 + place * 2, 0.75)}" stroke-width="${2 + (place % 5)}"/>`
  })
}
