import { useI18n } from '../../i18n/i18n.tsx'
import type { State } from './generations.ts'

const LOOKS: Partial<Record<State, string>> = {
  complete: 'bg-wash text-accent',
  failed: 'bg-danger-wash text-danger',
  timed_out: 'bg-warn-wash text-warn',
  cancelled: 'bg-sunken text-soft',
}

export function StateBadge(props: { state: State }) {
  const { t } = useI18n()
  return (
    <span className={`rounded-md px-2 py-0.5 text-xs font-medium whitespace-nowrap ${LOOKS[props.state] ?? 'bg-sunken text-ink'}`}>
      {t(`state.${props.state}`)}
    </span>
  )
}
