import { parseArgs } from 'node:util'

/** `--name value` for each option, numbers only; an unknown one ends the run with the list of those that exist. */
export function options<O extends Record<string, number>>(defaults: O): O {
  try {
    const { values } = parseArgs({ options: Object.fromEntries(Object.keys(defaults).map((name) => [name, { type: 'string' as const }])) })
    const read = Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, values[name] === undefined ? value : Number(values[name])]))
    if (Object.values(read).some((value) => !Number.isFinite(value) || value < 0)) throw new Error('expected numbers')
    return read as O
  } catch (error) {
    console.error(`${(error as Error).message}\nOptions: ${Object.entries(defaults).map(([name, value]) => `--${name} ${value}`).join('  ')}`)
    process.exit(2)
  }
}

/** Value below which `share` (0 to 1) of the samples lie; nearest rank. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}

export const mean = (samples: readonly number[]): number => samples.reduce((sum, value) => sum + value, 0) / samples.length

export interface Figure {
  what: string
  value: number
  unit: string
  bar?: number
  aim?: number
  /** Whether more is better (rates) or less (times). */
  better?: 'more' | 'less'
}

/**
 * Prints each figure with its bar and aim, the peers of the same run, and one line of JSON at the end. Says whether the
 * bars were reached; a missed one is no error of the run (the machine may be busy: look at the peer).
 */
export function report(goal: number, name: string, { figures, peers = [], notes = [], settings }: {
  figures: Figure[]
  peers?: Figure[]
  notes?: string[]
  settings: Record<string, number>
}): void {
  console.log(`\nGoal ${goal}, ${name}`)
  for (const figure of figures) console.log(`  ${line(figure)}`)
  for (const peer of peers) console.log(`  peer: ${line(peer)}`)
  for (const note of notes) console.log(`  note: ${note}`)
  const short = (figure: Figure) => ({ what: figure.what, value: round(figure.value), unit: figure.unit, bar: figure.bar, aim: figure.aim, verdict: verdict(figure) })
  console.log(JSON.stringify({ goal, name, at: new Date().toISOString(), figures: figures.map(short), peers: peers.map(short), notes, settings }))
}

function line(figure: Figure): string {
  const wanted = figure.bar === undefined ? '' : `   (bar ${figure.bar}, aim ${figure.aim ?? '-'}: ${verdict(figure)})`
  return `${figure.what}: ${round(figure.value)} ${figure.unit}${wanted}`
}

function verdict({ value, bar, aim, better = 'less' }: Figure): 'aim' | 'bar' | 'missed' | undefined {
  if (bar === undefined) return undefined
  const reaches = (wanted: number) => (better === 'more' ? value >= wanted : value <= wanted)
  return aim !== undefined && reaches(aim) ? 'aim' : reaches(bar) ? 'bar' : 'missed'
}

const round = (value: number): number => (Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)))
