import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'

const room = import.meta.dirname
const SOURCES = ['src', 'public', 'index.html', 'vite.config.ts', 'package.json']
const stamp = join(room, 'dist', '.source-hash')

/** One hash over every file that the built page is made from; tests and their names do not count. */
export async function sourceHash(root: string = room): Promise<string> {
  const files: string[] = []
  for (const entry of SOURCES) {
    const path = join(root, entry)
    const inside = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined)
    if (!inside) files.push(path)
    else files.push(...inside.filter((item) => item.isFile()).map((item) => join(item.parentPath, item.name)))
  }
  const hash = createHash('sha256')
  for (const file of files.filter((path) => !/\.test\.tsx?$/.test(path)).sort()) {
    hash.update(`${relative(root, file)}\0`).update(await readFile(file)).update('\0')
  }
  return hash.digest('hex')
}

/** Builds `web/dist` when it is missing or older than its sources. Answers whether it had to. */
export async function buildIfStale(): Promise<boolean> {
  const wanted = await sourceHash()
  const built = await readFile(stamp, 'utf8').catch(() => '')
  if (built === wanted) return false
  console.log('Building the web page (only when its sources have changed)...')
  await build({ configFile: join(room, 'vite.config.ts'), logLevel: 'warn' })
  await writeFile(stamp, wanted)
  return true
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await buildIfStale()
