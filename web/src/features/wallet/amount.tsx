import { useI18n } from '../../i18n/i18n.tsx'
import { signOf } from './entry-text.ts'

/** What a movement does to what can be spent, as a number with its sign. */
export function Amount({ kind, n }: { kind: string; n: number }) {
  const { language } = useI18n()
  const sign = signOf(kind)
  return (
    <span className={`num font-medium ${sign > 0 ? 'text-accent' : sign === 0 ? 'text-soft' : ''}`}>
      {sign > 0 ? '+' : sign < 0 ? '−' : ''}
      {new Intl.NumberFormat(language).format(Math.abs(n))}
    </span>
  )
}
