import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')
const SERVER = join(ROOT, 'server/src/main.ts')
const SIMULATOR = join(ROOT, 'simulator/src/main.ts')
const READY_MS = 60_000

/** A process that this run started and will end. What it says goes to `logFile`. */
export interface Child {
  name: string
  pid: number
  logFile: string
  stop(): Promise<void>
}

export type Env = Record<string, string>

/** Starts a process; its environment is only what is given, so that a developer's own settings change no figure. */
export function startChild(name: string, args: string[], env: Env, folder: string): Child & { process: ChildProcess } {
  const logFile = join(folder, `${name}.out`)
  const out = openSync(logFile, 'a')
  const child = spawn(process.execPath, args, { stdio: ['ignore', out, out], env: { PATH: process.env.PATH ?? '', ...env } })
  closeSync(out)
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
    await gone
    clearTimeout(late)
  }
  // A run that breaks off leaves nobody behind.
  process.once('exit', () => child.kill('SIGKILL'))
  return { name, pid: child.pid!, logFile, stop, process: child }
}

/** Waits until the child has said something that matches; answers the first group. Throws with its words otherwise. */
export async function said(child: Child & { process: ChildProcess }, pattern: RegExp): Promise<string> {
  const end = performance.now() + READY_MS
  for (;;) {
    const text = await readFile(child.logFile, 'utf8')
    const match = pattern.exec(text)
    if (match) return match[1] ?? match[0]
    if (child.process.exitCode !== null || performance.now() > end) throw new Error(`${child.name} did not get ready:\n${text.slice(-2_000)}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export interface Simulator extends Child {
  url: string
  control<T = any>(method: string, path: string, body?: unknown): Promise<T>
}

export async function startSimulator(folder: string, env: Env): Promise<Simulator> {
  const child = startChild('simulator', [SIMULATOR], { SIMULATOR_DATA: join(folder, 'simulator'), ...env }, folder)
  const url = await said(child, /"url":"([^"]+)"/)
  return { ...child, url, control: (method, path, body) => control(url, method, path, body) }
}

export async function control<T>(url: string, method: string, path: string, body?: unknown): Promise<T> {
  const answer = await fetch(`${url}/control/${path}`, { method, body: body === undefined ? undefined : JSON.stringify(body) })
  if (!answer.ok) throw new Error(`the simulator answered ${answer.status} to ${path}`)
  return (await answer.json()) as T
}

export type Role = 'all' | 'api' | 'worker' | 'control-plane'

/** `node server/src/main.ts <role>`, as `npm start` runs it; `control-plane` is the same without files. */
export async function startServer(name: string, role: Role, folder: string, env: Env, nodeOptions: string[] = []): Promise<Child> {
  const main = role === 'control-plane' ? [join(import.meta.dirname, 'control-plane.ts')] : [SERVER, role]
  const child = startChild(name, [...nodeOptions, ...main], env, folder)
  await said(child, role === 'worker' ? /Reprise is ready/ : /Reprise is running at/)
  return child
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Seconds of processor time that a process and its children have used so far (Linux; NaN elsewhere). */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (stat === null) return NaN
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / 100
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')).split(' ').filter(Boolean)
  const theirs = await Promise.all(children.map((child) => cpuSeconds(Number(child))))
  return own + theirs.reduce((sum, seconds) => sum + (seconds || 0), 0)
}
