/** Writes every page that is made from code: `npm run docs`. With `--check` it only says what is out of date. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SETTING_GROUPS } from '../server/src/app.config.ts'
import { configurationPage, duplicateNames, envExample } from '../server/src/config/docs.ts'
import { movesAsMarkdown } from '../server/src/engine/moves-doc.ts'

const root = join(import.meta.dirname, '..')

export const GENERATED: Record<string, () => string> = {
  'docs/configuration.md': () => configurationPage(SETTING_GROUPS),
  '.env.example': () => envExample(SETTING_GROUPS),
  'docs/moves.md': () => movesAsMarkdown(),
}

/** Pages that are not what the code says. */
export async function outdated(): Promise<string[]> {
  const old: string[] = []
  for (const [path, make] of Object.entries(GENERATED)) {
    if ((await readFile(join(root, path), 'utf8').catch(() => '')) !== make()) old.push(path)
  }
  return old
}

if (import.meta.main) {
  const twice = duplicateNames(SETTING_GROUPS)
  if (twice.length) throw new Error(`Two settings read ${twice.join(', ')}`)
  if (process.argv.includes('--check')) {
    const old = await outdated()
    if (old.length) {
      console.error(`Out of date, run npm run docs: ${old.join(', ')}`)
      process.exitCode = 1
    }
  } else for (const [path, make] of Object.entries(GENERATED)) await writeFile(join(root, path), make())
}
