import { readFileSync, writeFileSync } from 'node:fs'
import { controlRoutes } from './control.ts'
import { faultTable } from './faults.ts'
import { settings } from './settings.ts'

/** The README with its tables made anew from the code. Run this file to write it. */
const path = new URL('../README.md', import.meta.url)

const table = (head: string[], rows: string[][]) =>
  [head, head.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n')

const tables: Record<string, string> = {
  settings: table(
    ['variable', 'default', 'meaning'],
    settings.map(({ env, default: value, doc }) => [`\`${env}\``, value && `\`${value}\``, doc]),
  ),
  control: table(
    ['endpoint', 'takes', 'does'],
    controlRoutes.map(({ path: route, takes, does }) => [`\`${route}\``, takes, does]),
  ),
  faults: table(
    ['fault', 'phase', 'value', 'does'],
    faultTable.map(({ name, phase, value, does }) => [`\`${name}\``, phase, value ?? '', does]),
  ),
}

export function currentReadme(): string {
  return readFileSync(path, 'utf8')
}

export function freshReadme(): string {
  return currentReadme().replace(
    /<!-- table: (\w+) -->[^]*?<!-- end -->/g,
    (_, name: string) => `<!-- table: ${name} -->\n${tables[name]}\n<!-- end -->`,
  )
}

if (import.meta.main) writeFileSync(path, freshReadme())
