import { useEffect, useRef, useState, type MouseEvent, type ReactNode } from 'react'

/** A small panel under its button. Escape, a click elsewhere and a link in it close it; the focus returns to the button. */
export function Menu(props: { label: string; button: ReactNode; align?: 'left' | 'right'; wide?: boolean; className?: string; children: ReactNode }) {
  const [open, setOpen] = useState(false)
  const room = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!open) return
    const away = (event: Event) => {
      if (!room.current?.contains(event.target as Node)) setOpen(false)
    }
    const escape = (event: KeyboardEvent) => {
      if (event.key !== 'Escape') return
      setOpen(false)
      button.current?.focus()
    }
    document.addEventListener('pointerdown', away)
    document.addEventListener('focusin', away)
    document.addEventListener('keydown', escape)
    return () => {
      document.removeEventListener('pointerdown', away)
      document.removeEventListener('focusin', away)
      document.removeEventListener('keydown', escape)
    }
  }, [open])
  // Also a link to the very page that one is on; the router has said that it takes the click.
  const followed = (event: MouseEvent) => {
    if (!event.defaultPrevented || !(event.target as Element).closest('a')) return
    button.current?.focus()
    setOpen(false)
  }
  return (
    <div ref={room} className="relative">
      <button
        ref={button}
        type="button"
        aria-expanded={open}
        aria-label={props.label}
        onClick={() => setOpen(!open)}
        className={props.className}
      >
        {props.button}
      </button>
      {open && (
        <div
          onClick={followed}
          className={
            'absolute z-30 mt-2 whitespace-normal rounded-xl border border-line bg-sheet p-3 text-left font-normal normal-case shadow-lift ' +
            // On a phone a wide one goes from edge to edge of the frame that it is in.
            (props.wide ? 'max-sm:fixed max-sm:inset-x-3 max-sm:top-14 max-sm:mt-0 sm:w-96 ' : 'w-64 ') +
            (props.align === 'left' ? 'left-0' : 'right-0')
          }
        >
          {props.children}
        </div>
      )}
    </div>
  )
}
