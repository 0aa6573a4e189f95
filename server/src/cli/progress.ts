/** Shows how far something is: a bar on a terminal, elsewhere a line now and then. Writes to stderr, so that stdout is the result alone. */
export interface Progress {
  show(stage: string, done: number, of: number): void
  /** A remark between, on a line of its own. */
  say(text: string): void
  end(): void
}

const BAR = 30
const REDRAW_MS = 100
const LINE_MS = 5_000

export function createProgress(out: NodeJS.WriteStream, now: () => number = Date.now): Progress {
  const isTerminal = out.isTTY
  let stage = ''
  let since = 0
  let shownAt = -Infinity
  let last = ''

  const draw = (line: string) => out.write(isTerminal ? `\r\x1b[2K${line.slice(0, (out.columns || 80) - 1)}` : `${line}\n`)
  const close = () => {
    if (last) draw(last)
    if (isTerminal && last) out.write('\n')
    last = ''
  }
  return {
    show(name, done, of) {
      if (name !== stage) {
        close()
        stage = name
        since = now()
        shownAt = -Infinity
      }
      const share = of === 0 ? 1 : Math.min(1, done / of)
      const spent = now() - since
      const left = done > 0 && share < 1 && spent > 2_000 ? `, ${duration((spent * (1 - share)) / share)} left` : ''
      const bar = isTerminal ? ` [${'█'.repeat(Math.round(share * BAR)).padEnd(BAR, '·')}]` : ''
      const line = `${name}${bar} ${Math.floor(share * 100)} % (${done.toLocaleString('en')} of ${of.toLocaleString('en')}${left})`
      // On a terminal the last state is drawn again when the stage ends; elsewhere each line is said once.
      if (now() - shownAt < (isTerminal ? REDRAW_MS : LINE_MS)) return void (last = line)
      shownAt = now()
      last = isTerminal ? line : ''
      draw(line)
    },
    say(text) {
      if (isTerminal) out.write('\r\x1b[2K')
      out.write(`${text}\n`)
    },
    end: close,
  }
}

function duration(ms: number): string {
  const seconds = Math.ceil(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.ceil(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
