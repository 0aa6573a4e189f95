import { randomBytes } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

export interface FolderLock {
  /** Gives the lock back. Doing it twice is harmless. */
  release(): void
}

interface Holder {
  pid: number
  /** When that process was started, as the system tells it: a reused pid is not the same process. */
  born: string
  nonce: string
}

export class FolderInUseError extends Error {
  constructor(folder: string, pid: number) {
    super(
      `Another Reprise (process ${pid}) is already running on ${folder}. ` +
        'Stop it first, or choose another folder with DATA_DIR.',
    )
    this.name = 'FolderInUseError'
  }
}

/** Takes `file` for this process. A lock left by a killed process is taken over. Throws FolderInUseError. */
export function lockFolder(folder: string, file: string): FolderLock {
  const own: Holder = { pid: process.pid, born: processBirth(process.pid), nonce: randomBytes(8).toString('hex') }
  const text = JSON.stringify(own)
  const draft = `${file}.${own.nonce}`
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      writeFileSync(draft, text)
      try {
        linkSync(draft, file) // appears complete or not at all
        return { release: () => void (readOrNothing(file) === text && rmSync(file, { force: true })) }
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      const found = readOrNothing(file)
      if (found === undefined) continue
      const holder = parse(found)
      if (holder && isAlive(holder)) throw new FolderInUseError(folder, holder.pid)
      setAside(file, found, draft)
    }
    throw new Error(`Could not take the lock ${file}`)
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Removes the stale lock that we read, and puts it back if somebody was quicker and it is a fresh one. */
function setAside(file: string, stale: string, scratch: string): void {
  rmSync(scratch, { force: true })
  try {
    renameSync(file, scratch)
    if (readOrNothing(scratch) !== stale) linkSync(scratch, file)
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

function parse(text: string): Holder | undefined {
  try {
    const holder = JSON.parse(text) as Holder
    return Number.isInteger(holder.pid) ? holder : undefined
  } catch {
    return undefined
  }
}

function isAlive(holder: Holder): boolean {
  try {
    process.kill(holder.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  return processBirth(holder.pid) === holder.born
}

function processBirth(pid: number): string {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // the name before may hold spaces
      if (fields[0] === 'Z') return 'dead'
      return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`
    }
    if (process.platform === 'darwin') return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)]).toString().trim()
  } catch {
    // gone meanwhile, or hidden from us: the pid alone must do
  }
  return ''
}

function readOrNothing(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
