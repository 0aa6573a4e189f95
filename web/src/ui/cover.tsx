import { useState } from 'react'

/** A cover, or, while there is none, a small score of its own made from the seed: never a grey square. */
export function Cover(props: { seed: string; src?: string | null; className?: string }) {
  const [broken, setBroken] = useState<string | null>(null)
  const look = `shrink-0 overflow-hidden bg-sunken ${props.className ?? ''}`
  if (props.src && broken !== props.src) {
    return (
      <img src={props.src} alt="" loading="lazy" className={`object-cover ${look}`} onError={() => setBroken(props.src!)} />
    )
  }
  const hash = hashOf(props.seed)
  const hue = hash % 360
  const bars = Array.from({ length: 9 }, (_, i) => 14 + (((hash >>> (i * 3)) ^ (hash << i)) & 31))
  return (
    <svg viewBox="0 0 80 80" className={look} aria-hidden="true">
      <rect width="80" height="80" fill={`oklch(0.36 0.07 ${hue})`} />
      <circle cx={20 + (hash % 40)} cy={20 + ((hash >>> 5) % 40)} r="34" fill={`oklch(0.5 0.1 ${(hue + 40) % 360})`} />
      {bars.map((height, i) => (
        <rect
          key={i}
          x={11 + i * 6.6}
          y={40 - height / 2}
          width="3"
          height={height}
          rx="1.5"
          fill={`oklch(0.93 0.05 ${(hue + 80) % 360})`}
        />
      ))}
    </svg>
  )
}

function hashOf(text: string): number {
  let hash = 2166136261
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619)
  return hash >>> 0
}
