import { useId } from 'react'
import { useI18n } from '../../i18n/i18n.tsx'
import { RATIOS } from './draft.ts'
import { shapeOf } from './progress.ts'

const SIDE = 26

/** The ratio, drawn. */
function RatioShape(props: { ratio: string; className?: string }) {
  const { width, height } = shapeOf(props.ratio)
  const scale = SIDE / Math.max(width, height)
  return (
    <svg viewBox="0 0 30 30" className={`size-[30px] ${props.className ?? ''}`} fill="none" stroke="currentColor" strokeWidth="1.75" aria-hidden="true">
      <rect x={15 - (width * scale) / 2} y={15 - (height * scale) / 2} width={width * scale} height={height * scale} rx="2.5" />
    </svg>
  )
}

/** The eight shapes, as shapes: radio buttons with what they look like. */
export function RatioChoice(props: { value: string; onChange: (ratio: string) => void }) {
  const { t } = useI18n()
  const name = useId()
  return (
    <fieldset>
      <legend className="mb-1.5 text-sm font-medium">{t('images.ratio')}</legend>
      <div className="grid grid-cols-4 gap-1.5 sm:grid-cols-8 lg:grid-cols-4">
        {RATIOS.map((ratio) => {
          const { width, height } = shapeOf(ratio)
          const key = width === height ? 'images.ratio.square' : width < height ? 'images.ratio.upright' : 'images.ratio.wide'
          return (
            <label
              key={ratio}
              title={t(key, { ratio })}
              className={
                'flex cursor-pointer flex-col items-center gap-0.5 rounded-lg border border-line px-1 pt-1.5 pb-1 text-soft hover:border-edge ' +
                'has-checked:border-accent has-checked:bg-wash has-checked:text-accent ' +
                'has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent'
              }
            >
              <input
                type="radio"
                className="sr-only"
                name={name}
                aria-label={t(key, { ratio })}
                checked={props.value === ratio}
                onChange={() => props.onChange(ratio)}
              />
              <RatioShape ratio={ratio} />
              <span className="num text-xs" aria-hidden="true">
                {ratio}
              </span>
            </label>
          )
        })}
      </div>
    </fieldset>
  )
}
