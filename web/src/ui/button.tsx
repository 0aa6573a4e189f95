import type { ButtonHTMLAttributes, ReactNode } from 'react'

type Look = 'primary' | 'plain' | 'quiet' | 'danger'

const LOOKS: Record<Look, string> = {
  primary: 'bg-accent text-on-accent hover:brightness-110 font-medium',
  plain: 'border border-edge bg-sheet text-ink hover:bg-sunken',
  quiet: 'text-soft hover:bg-sunken hover:text-ink',
  danger: 'border border-danger text-danger hover:bg-danger-wash font-medium',
}

export const buttonLook = (look: Look, more = '') =>
  `inline-flex min-h-9 pointer-coarse:min-h-11 items-center justify-center gap-2 rounded-lg px-3 py-1.5 text-sm transition ` +
  `disabled:cursor-not-allowed disabled:opacity-55 aria-disabled:opacity-55 ${LOOKS[look]} ${more}`

export function Button({ look = 'plain', className = '', ...rest }: ButtonHTMLAttributes<HTMLButtonElement> & { look?: Look }) {
  return <button type="button" className={buttonLook(look, className)} {...rest} />
}

/** A button that shows only a picture; `label` is its name for everyone who does not see it. */
export function IconButton({
  label,
  children,
  className = '',
  ...rest
}: ButtonHTMLAttributes<HTMLButtonElement> & { label: string; children: ReactNode }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={label}
      className={
        'inline-flex size-9 pointer-coarse:size-11 shrink-0 items-center justify-center rounded-lg text-soft transition hover:bg-sunken ' +
        `hover:text-ink disabled:cursor-not-allowed disabled:opacity-45 ${className}`
      }
      {...rest}
    >
      {children}
    </button>
  )
}
