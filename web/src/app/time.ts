import { useEffect, useState } from 'react'
import { serverNow } from './api.ts'

/** Milliseconds as `0:07`, `1:23` or `1:02:03`; never negative. */
export function clockText(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000))
  const seconds = String(total % 60).padStart(2, '0')
  const minutes = Math.floor(total / 60) % 60
  const hours = Math.floor(total / 3600)
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${seconds}` : `${minutes}:${seconds}`
}

/** The server's time, every second while `running`. */
export function useNow(running: boolean): number {
  const [now, setNow] = useState(serverNow)
  useEffect(() => {
    if (!running) return
    setNow(serverNow())
    const timer = setInterval(() => setNow(serverNow()), 1000)
    return () => clearInterval(timer)
  }, [running])
  return now
}

const UNITS = [['day', 86_400], ['hour', 3600], ['minute', 60], ['second', 1]] as const

/** A time that is left, in its two largest units, never more than there is: `2 days 3 hours`, `5 minutes 10 seconds`. */
export function leftText(ms: number, language: string): string {
  let seconds = Math.max(0, Math.floor(ms / 1000))
  const first = Math.max(0, UNITS.findIndex(([, size]) => seconds >= size))
  const parts: string[] = []
  for (const [unit, size] of seconds < 1 ? UNITS.slice(3) : UNITS.slice(first, first + 2)) {
    const count = Math.floor(seconds / size)
    seconds -= count * size
    if (count > 0 || parts.length === 0) parts.push(new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'long' }).format(count))
  }
  return parts.join(' ')
}

const DAY = 86_400_000

/** A moment as people say it: the time today, otherwise the date with it. */
export function momentText(iso: string, language: string, now: number): string {
  const at = Date.parse(iso)
  if (Number.isNaN(at)) return ''
  const near = Math.abs(now - at) < DAY && new Date(now).getDate() === new Date(at).getDate()
  const time: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit' }
  return new Intl.DateTimeFormat(language, near ? time : { day: 'numeric', month: 'short', ...time }).format(at)
}

export function bytesText(bytes: number, language: string): string {
  const mega = bytes >= 100_000
  return new Intl.NumberFormat(language, {
    style: 'unit',
    unit: mega ? 'megabyte' : 'kilobyte',
    maximumFractionDigits: 1,
  }).format(bytes / (mega ? 1_000_000 : 1000))
}
