import sharp from 'sharp'
import { createDice, type Dice } from '../random.ts'

const SIZE = 512

/** Draws a square cover, JPEG 512 × 512. The same seed and title give the same picture. */
export async function drawCover(seed: string, title: string): Promise<Buffer> {
  return sharp(Buffer.from(coverSvg(seed, title)))
    .jpeg({ quality: 84 })
    .toBuffer()
}

export function coverSvg(seed: string, title: string): string {
  const dice = createDice(`cover|${seed}`)
  const hue = dice.whole(0, 359)
  const turn = dice.pick([40, 60, -45, -70, 100])
  const second = (hue + turn + 360) % 360
  const color = (h: number, s: number, l: number, a = 1) => `hsla(${h}, ${s}%, ${l}%, ${a})`
  const shapes = dice.pick([circles, waves, rays, hills])(dice, (light, alpha) => color(second, 75, light, alpha))
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE}" height="${SIZE}">
<defs>
  <linearGradient id="sky" gradientTransform="rotate(${dice.whole(20, 90)})">
    <stop offset="0" stop-color="${color(hue, 70, 22)}"/>
    <stop offset="0.6" stop-color="${color((hue + turn / 2 + 360) % 360, 65, 42)}"/>
    <stop offset="1" stop-color="${color(second, 80, 68)}"/>
  </linearGradient>
  <linearGradient id="shade" x2="0" y2="1">
    <stop offset="0.55" stop-color="#000" stop-opacity="0"/><stop offset="1" stop-color="#000" stop-opacity="0.6"/>
  </linearGradient>
</defs>
<rect width="100%" height="100%" fill="url(#sky)"/>
${shapes}
<rect width="100%" height="100%" fill="url(#shade)"/>
${lettering(title)}
</svg>`
}

type Paint = (light: number, alpha: number) => string

function circles(dice: Dice, paint: Paint): string {
  return Array.from({ length: dice.whole(5, 9) }, () => {
    const r = dice.whole(24, 150)
    return `<circle cx="${dice.whole(0, SIZE)}" cy="${dice.whole(0, 400)}" r="${r}" fill="${paint(dice.whole(50, 85), dice.between(0.15, 0.4))}"/>`
  }).join('')
}

function waves(dice: Dice, paint: Paint): string {
  const swing = dice.whole(20, 70)
  return Array.from({ length: 6 }, (_, row) => {
    const y = 130 + row * 62
    const shift = dice.whole(-120, 0)
    const curve = `M${shift} ${y} q80 ${-swing} 160 0 t160 0 t160 0 t160 0 t160 0 V${SIZE} H${shift} Z`
    return `<path d="${curve}" fill="${paint(78 - row * 11, 0.4)}"/>`
  }).join('')
}

function rays(dice: Dice, paint: Paint): string {
  const x = dice.whole(120, 390)
  const y = dice.whole(120, 300)
  const count = dice.whole(10, 22)
  const beams = Array.from({ length: count }, (_, i) => {
    const a = (i / count) * 2 * Math.PI
    const b = a + Math.PI / count
    const point = (angle: number) =>
      `${(x + 800 * Math.cos(angle)).toFixed(0)} ${(y + 800 * Math.sin(angle)).toFixed(0)}`
    return `<path d="M${x} ${y} L${point(a)} L${point(b)} Z" fill="${paint(72, 0.22)}"/>`
  })
  return `${beams.join('')}<circle cx="${x}" cy="${y}" r="${dice.whole(40, 80)}" fill="${paint(85, 0.9)}"/>`
}

function hills(dice: Dice, paint: Paint): string {
  const sun = `<circle cx="${dice.whole(80, 430)}" cy="${dice.whole(90, 200)}" r="${dice.whole(36, 70)}" fill="${paint(88, 0.85)}"/>`
  const ranges = [0, 1, 2].map((row) => {
    const peaks = Array.from({ length: 7 }, (_, i) => `L${i * 90 - 10} ${230 + row * 80 + dice.whole(-50, 40)}`)
    return `<path d="M-10 ${SIZE} ${peaks.join(' ')} L${SIZE + 20} ${SIZE} Z" fill="${paint(46 - row * 13, 0.8)}"/>`
  })
  return sun + ranges.join('')
}

/** Up to three lines of title at the bottom. */
function lettering(title: string): string {
  const lines: string[] = []
  for (const word of title.trim().split(/\s+/)) {
    const last = lines.at(-1)
    if (last !== undefined && `${last} ${word}`.length <= 18) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  const shown = lines.slice(0, 3).map((line) => (line.length > 22 ? `${line.slice(0, 21)}…` : line))
  return shown
    .map((line, index) => {
      const y = SIZE - 36 - (shown.length - 1 - index) * 46
      return `<text x="32" y="${y}" font-family="DejaVu Sans, Arial, sans-serif" font-size="38" font-weight="700" fill="#fff">${escape(line)}</text>`
    })
    .join('')
}

export const escape = (text: string) =>
  text
    // Characters that XML cannot hold at all.
    // eslint-disable-next-line no-control-regex
    .replace(/[\u0000-\u001f\ufffe\uffff]/g, '')
    .replace(/[&<>"']/g, (mark) => `&#${mark.charCodeAt(0)};`)

/** Puts an id into a JPEG as a comment: distinct bytes, same picture. */
export function signJpeg(jpeg: Buffer, id: string): Buffer {
  const text = Buffer.from(id, 'utf8')
  const length = Buffer.alloc(2)
  length.writeUInt16BE(text.length + 2)
  return Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xfe]), length, text, jpeg.subarray(2)])
}
