import { recall, remember } from './browser-memory.ts'
import { valueStore } from './value-store.ts'

export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const kept = recall('reprise.theme')
export const theme = valueStore<Theme>(kept === 'light' || kept === 'dark' ? kept : 'system')

export function setTheme(next: Theme): void {
  theme.set(next)
  remember('reprise.theme', next === 'system' ? null : next)
  if (next === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = next
}
