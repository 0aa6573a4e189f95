import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

/** A child that a proof starts, kills, freezes and looks at; always ended with the proof itself. */
export interface Child {
  readonly name: string
  readonly pid: number
  /** The signal or code it ended with; null while it runs. */
  ended(): string | number | null
  /** Sends the signal (SIGKILL) and waits for the end. SIGSTOP and SIGCONT do not wait. */
  kill(signal?: NodeJS.Signals): Promise<void>
  exited: Promise<void>
  /** Its latest lines, standard error included. */
  lines(): readonly string[]
}

const KEPT_LINES = 5_000
const READY_MS = 60_000
const running = new Set<ChildProcess>()
/** Every process that was ever started: none may be left at the end. */
const started: { name: string; pid: number }[] = []

// Whatever ends the proof (a failed assertion, Ctrl-C) ends its children.
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

/** Starts `node <file> …` and waits until one of its lines says that it is ready. */
export async function startNode(
  options: { name: string; file: string; args?: string[]; env: Record<string, string>; ready: (line: string) => boolean },
): Promise<Child> {
  const { name, file, args = [], env, ready } = options
  const child = spawn(process.execPath, [file, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: process.env.PATH, ...env } })
  running.add(child)
  started.push({ name, pid: child.pid! })
  const kept: string[] = []
  let ended: string | number | null = null
  const exited = new Promise<void>((resolve) => child.once('exit', (code, signal) => {
    ended = signal ?? code
    running.delete(child)
    resolve()
  }))
  const isReady = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        if (kept.push(line) > KEPT_LINES) kept.splice(0, KEPT_LINES / 2)
        if (ready(line)) resolve()
      })
    }
  })
  const handle: Child = {
    name, pid: child.pid!, exited,
    ended: () => ended,
    lines: () => kept,
    async kill(signal = 'SIGKILL') {
      child.kill(signal)
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await exited
    },
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS)
  await Promise.race([isReady, exited])
  clearTimeout(timer)
  if (ended !== null && !kept.some(ready)) throw new Error(`${name} ended (${ended}) before it was ready:\n${kept.join('\n')}`)
  return handle
}

/** Processes started here that still run. */
export function leftovers(): string[] {
  return started.filter(({ pid }) => isAlive(pid)).map(({ name, pid }) => `${name} (${pid})`)
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
