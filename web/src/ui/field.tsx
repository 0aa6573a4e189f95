import { useId, type ReactNode } from 'react'

/** A labelled control with its hint and its mistake tied to it. `children` gets the attributes to spread. */
export function Field(props: {
  label: string
  hint?: ReactNode
  error?: string
  aside?: ReactNode
  className?: string
  children: (wire: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => ReactNode
}) {
  const id = useId()
  const notes = [props.hint && `${id}-hint`, props.error && `${id}-error`].filter(Boolean).join(' ')
  return (
    <div className={props.className}>
      <div className="mb-1 flex items-baseline justify-between gap-3">
        <label htmlFor={id} className="text-sm font-medium">
          {props.label}
        </label>
        {props.aside && <span className="text-xs text-soft">{props.aside}</span>}
      </div>
      {props.children({ id, 'aria-describedby': notes || undefined, 'aria-invalid': props.error ? true : undefined })}
      {props.error && (
        <p id={`${id}-error`} className="mt-1 text-sm text-danger">
          {props.error}
        </p>
      )}
      {props.hint && (
        <p id={`${id}-hint`} className="mt-1 text-xs text-soft">
          {props.hint}
        </p>
      )}
    </div>
  )
}
