import { useId, useLayoutEffect, useRef, type ReactNode } from 'react'

/** A modal dialog of the browser's own: it traps the focus, closes on Escape and gives the focus back. */
export function Dialog(props: { title: string; onClose: () => void; wide?: boolean; children: ReactNode }) {
  const ref = useRef<HTMLDialogElement>(null)
  const title = useId()
  const began = useRef<EventTarget | null>(null)
  // Closed before it leaves the page: only a dialog that still stands there can give the focus back.
  useLayoutEffect(() => {
    const dialog = ref.current
    dialog?.showModal()
    return () => dialog?.close()
  }, [])
  return (
    <dialog
      ref={ref}
      aria-labelledby={title}
      onCancel={(event) => {
        event.preventDefault()
        props.onClose()
      }}
      onPointerDown={(event) => (began.current = event.target)}
      // Who selects text and lets go outside does not mean to leave.
      onClick={(event) => event.target === ref.current && began.current === ref.current && props.onClose()}
      className={
        'm-auto w-[calc(100%-2rem)] rounded-2xl border border-line bg-sheet p-0 text-ink shadow-lift ' +
        (props.wide ? 'max-w-2xl' : 'max-w-md')
      }
    >
      <div className="p-5 sm:p-6">
        <h2 id={title} className="text-lg font-semibold tracking-tight">
          {props.title}
        </h2>
        {props.children}
      </div>
    </dialog>
  )
}
