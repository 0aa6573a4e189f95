import { useId } from 'react'

/** A few choices side by side: radio buttons that look like one control. */
export function Choice<T extends string>(props: {
  label: string
  value: T
  options: readonly { value: T; label: string; lang?: string }[]
  onChange: (value: T) => void
}) {
  const name = useId()
  return (
    <fieldset>
      <legend className="mb-1 text-xs font-medium text-soft">{props.label}</legend>
      <div className="flex rounded-lg border border-edge p-0.5">
        {props.options.map((option) => (
          <label
            key={option.value}
            lang={option.lang}
            className={
              'flex min-h-8 pointer-coarse:min-h-11 flex-1 cursor-pointer items-center justify-center rounded-md px-2 text-center text-xs leading-tight ' +
              'text-soft has-checked:bg-accent has-checked:font-medium has-checked:text-on-accent ' +
              'has-focus-visible:outline-2 has-focus-visible:outline-offset-2 has-focus-visible:outline-accent'
            }
          >
            <input
              type="radio"
              className="sr-only"
              name={name}
              checked={props.value === option.value}
              onChange={() => props.onChange(option.value)}
            />
            {option.label}
          </label>
        ))}
      </div>
    </fieldset>
  )
}
