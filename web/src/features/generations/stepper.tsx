import { useI18n } from '../../i18n/i18n.tsx'
import { RepeatSign } from '../../ui/repeat-sign.tsx'
import { OPEN_STATES, type State } from './generations.ts'

const STEPS = [...OPEN_STATES, 'complete'] as const

/**
 * The life of a generation as one line of music: a measure per state, closed by a repeat sign. What is done is
 * filled, what is now moves, and the sign lights up when it can be played again and again.
 */
export function Stepper(props: { state: State }) {
  const { t } = useI18n()
  const at = STEPS.indexOf(props.state as (typeof STEPS)[number])
  return (
    <div className="@container">
      <ol aria-label={t('gen.steps')} className="flex items-end gap-1">
        {OPEN_STATES.map((step, i) => {
          const now = i === at
          const done = i < at
          return (
            <li key={step} aria-current={now ? 'step' : undefined} className="min-w-0 flex-1">
              <span
                className={
                  `mb-1 block truncate text-xs @max-md:sr-only ` +
                  (now ? 'font-medium text-accent' : done ? 'text-ink' : 'text-soft')
                }
              >
                {t(`state.${step}`)}
                <span className="sr-only">: {t(now ? 'step.now' : done ? 'step.done' : 'step.next')}</span>
              </span>
              <span className={`relative block h-1.5 overflow-hidden rounded-full ${done ? 'bg-accent' : now ? 'bg-wash' : 'bg-sunken'}`}>
                {now && <span className="animate-sweep absolute inset-y-0 left-0 w-2/5 rounded-full bg-accent" />}
              </span>
            </li>
          )
        })}
        <li className={props.state === 'complete' ? 'text-accent' : 'text-edge'}>
          <span className="sr-only">
            {t('state.complete')}: {t(props.state === 'complete' ? 'step.done' : 'step.next')}
          </span>
          <RepeatSign className="-mb-[5px] h-4" />
        </li>
      </ol>
    </div>
  )
}
