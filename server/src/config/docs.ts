import type { Setting, Settings } from './setting.ts'

/** The settings of one room under a heading. */
export interface SettingGroup {
  title: string
  settings: Settings
}

/** `docs/configuration.md`. */
export function configurationPage(groups: SettingGroup[]): string {
  const sections = groups.map(
    ({ title, settings }) => `## ${title}

| Variable | Default | Meaning |
|---|---|---|
${Object.values(settings).map(row).join('\n')}
`,
  )
  return `# Configuration

Reprise reads its configuration from the environment at start and names every wrong value at once.
An empty variable counts as absent. This page is generated from the code that reads the settings.

${sections.join('\n')}`
}

/** `.env.example`: everything commented out, so that copying it changes nothing. */
export function envExample(groups: SettingGroup[]): string {
  const sections = groups.map(({ title, settings }) =>
    [
      `# --- ${title} ---`,
      ...Object.values(settings).flatMap((one) => [comment(one.doc), `#${one.env}=${shownDefault(one)}`]),
    ].join('\n'),
  )
  return `# Generated from the code that reads the settings.\n\n${sections.join('\n\n')}\n`
}

/** Two rooms that read the same variable would disagree about it one day. */
export function duplicateNames(groups: SettingGroup[]): string[] {
  const names = groups.flatMap(({ settings }) =>
    Object.values(settings).flatMap(({ env, aliases = [] }) => [env, ...aliases]),
  )
  return names.filter((name, index) => names.indexOf(name) !== index)
}

function row(one: Setting<unknown>): string {
  const names = [one.env, ...(one.aliases ?? [])].map((name) => `\`${name}\``).join(' or ')
  const value = shownDefault(one)
  return `| ${names} | ${value ? `\`${value}\`` : '–'} | ${cell(one.doc)}${one.secret ? ' Secret.' : ''} |`
}

const shownDefault = (one: Setting<unknown>): string => (one.secret ? '' : (one.default ?? ''))
const cell = (doc: string): string => doc.replaceAll('|', '\\|').replace(/\s*\n\s*/g, ' ')

/** Wrapped at 100 columns. */
function comment(doc: string): string {
  const lines = ['#']
  for (const word of doc.split(/\s+/)) {
    if (`${lines.at(-1)} ${word}`.length > 100) lines.push('#')
    lines[lines.length - 1] += ` ${word}`
  }
  return lines.join('\n')
}
