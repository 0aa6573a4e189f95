import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface Demo {
  url: string
  ownerLink: string
  pid: number
  /** Its exit code, once it has ended by itself or was killed (then null). */
  ended: Promise<number | null>
  /** SIGTERM and wait for its end; the exit code. */
  stop(): Promise<number | null>
}

const MAIN = join(import.meta.dirname, '../../server/src/main.ts')

/** A folder that the embedded database's user can reach too. */
export async function demoFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'reprise-demo-'))
  await chmod(path, 0o755)
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Reprise as the README starts it, on its own data folder and a free port. */
export async function startDemo(dataDir: string, env: Record<string, string> = {}): Promise<Demo> {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'warn', ...env },
  })
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  let url = ''
  for await (const line of createInterface({ input: child.stdout })) {
    url = /running at (\S+)/.exec(line)?.[1] ?? url
    const ownerLink = /sign in.*: (\S+)/i.exec(line)?.[1]
    if (ownerLink) {
      child.stdout.resume()
      return {
        url, ownerLink, ended, pid: child.pid!,
        stop() {
          child.kill('SIGTERM')
          return ended
        },
      }
    }
  }
  throw new Error(`Reprise ended before it was ready (${await ended})`)
}
