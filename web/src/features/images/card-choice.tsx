import { Columns2, Hand, Package, ShieldCheck, SquareUser, Tag, WandSparkles, ZoomIn } from 'lucide-react'
import type { ReactNode } from 'react'
import { en, type Key } from '../../i18n/en.ts'
import { useI18n, type I18n } from '../../i18n/i18n.tsx'
import { CARD_TYPES } from './draft.ts'

/** What kind of picture it is; a kind that nobody knows keeps its name. */
export const cardName = (type: string, { t }: I18n): string => (Object.hasOwn(en, `card.${type}`) ? t(`card.${type}` as Key) : type)

const ICONS: Record<string, ReactNode> = {
  cover: <Tag size={18} aria-hidden />,
  lifestyle: <Hand size={18} aria-hidden />,
  macro: <ZoomIn size={18} aria-hidden />,
  beforeAfter: <Columns2 size={18} aria-hidden />,
  bundle: <Package size={18} aria-hidden />,
  guarantee: <ShieldCheck size={18} aria-hidden />,
  mainEdit: <WandSparkles size={18} aria-hidden />,
}
export const cardIcon = (type: string): ReactNode => ICONS[type] ?? <SquareUser size={18} aria-hidden />

/** The six kinds of pictures, with what each shows. */
export function CardChoice(props: { value: number[]; error?: string; onChange: (cards: number[]) => void }) {
  const i18n = useI18n()
  const { t } = i18n
  const every = props.value.length === CARD_TYPES.length
  const toggle = (index: number) =>
    props.onChange(props.value.includes(index) ? props.value.filter((one) => one !== index) : [...props.value, index].sort((a, b) => a - b))
  return (
    <fieldset aria-describedby={props.error ? 'cards-error' : undefined}>
      <legend className="float-left text-sm font-medium">{t('images.cards')}</legend>
      <button
        type="button"
        onClick={() => props.onChange(every ? [] : CARD_TYPES.map((_, index) => index))}
        className="float-right -my-1 min-h-7 pointer-coarse:-my-3 pointer-coarse:min-h-11 pointer-coarse:min-w-11 rounded-md px-1.5 text-xs font-medium text-accent underline-offset-2 hover:underline"
      >
        {t(every ? 'images.none' : 'images.all')}
      </button>
      <div className="clear-both grid gap-1.5 pt-1.5 sm:grid-cols-2 lg:grid-cols-1">
        {CARD_TYPES.map((type, index) => (
          <label
            key={type}
            className={
              'flex cursor-pointer items-center gap-3 rounded-lg border border-line px-3 py-2 hover:border-edge has-checked:border-accent ' +
              'has-checked:bg-wash has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent'
            }
          >
            <input
              type="checkbox"
              name="card"
              checked={props.value.includes(index)}
              aria-invalid={props.error ? true : undefined}
              aria-describedby={`card-${type}`}
              aria-label={cardName(type, i18n)}
              onChange={() => toggle(index)}
              className="size-5 shrink-0 accent-accent outline-none"
            />
            <span className="min-w-0 flex-1">
              <span className="block text-sm leading-5 font-medium">{cardName(type, i18n)}</span>
              <span id={`card-${type}`} className="block text-xs text-soft">
                {t(`card.${type}Hint`)}
              </span>
            </span>
            <span className="shrink-0 text-soft">{cardIcon(type)}</span>
          </label>
        ))}
      </div>
      {props.error && (
        <p id="cards-error" className="mt-1 text-sm text-danger">
          {props.error}
        </p>
      )}
    </fieldset>
  )
}
