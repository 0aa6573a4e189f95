import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { sleep } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'

export interface RunningSimulator {
  url: string
  stop(): Promise<void>
}

const MAIN = join(import.meta.dirname, '../../../simulator/src/main.ts')
const READY_MS = 30_000

/**
 * The demo's provider: a process of its own that speaks the real protocol. It keeps its tasks over restarts and its
 * port where it is free; when it dies it is started again, as a real provider would come back.
 */
export async function startSimulator({ dataDir, speed, logger }: { dataDir: string; speed: number; logger: Logger }): Promise<RunningSimulator> {
  const folder = join(dataDir, 'simulator')
  await mkdir(folder, { recursive: true })
  let stopping = false
  let child: ChildProcess

  async function start(port: number): Promise<string> {
    child = spawn(process.execPath, [MAIN], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // A group of its own: Ctrl-C ends us first, and we end it.
      detached: true,
      env: { PATH: process.env.PATH, SIMULATOR_PORT: String(port), SIMULATOR_DATA: folder, SIMULATOR_SPEED: String(speed), SIMULATOR_EXIT_WITH_PARENT: '1' },
    })
    child.once('exit', (code, signal) => {
      if (stopping) return
      logger.warn({ code, signal }, 'the demo provider died; it is started again')
      void again(new URL(url).port)
    })
    const url = await ready(child)
    return url
  }

  async function again(port: string): Promise<void> {
    for (let wait = 200; !stopping; wait = Math.min(wait * 2, 5_000)) {
      await sleep(wait)
      try {
        return void (await start(Number(port)))
      } catch (error) {
        logger.warn({ err: error }, 'the demo provider could not be started')
      }
    }
  }

  const url = await start(0)
  return {
    url,
    async stop() {
      stopping = true
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      const late = setTimeout(() => child.kill('SIGKILL'), 3_000)
      await gone
      clearTimeout(late)
    },
  }
}

async function ready(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! })
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS)
  try {
    for await (const line of lines) {
      const said = JSON.parse(line) as { ready?: boolean; url?: string }
      if (said.ready && said.url) return said.url
    }
    throw new Error('the demo provider ended before it was ready')
  } finally {
    clearTimeout(timer)
  }
}
