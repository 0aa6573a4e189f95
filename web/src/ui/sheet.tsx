import { useId, type ReactNode } from 'react'

/** A part of a page, with its title. */
export function Sheet(props: { title: string; hint?: string; children: ReactNode }) {
  const id = useId()
  return (
    <section className="sheet p-5" aria-labelledby={id}>
      <h2 id={id} className="text-sm font-semibold">
        {props.title}
      </h2>
      {props.hint && <p className="text-xs text-soft">{props.hint}</p>}
      <div className="mt-3">{props.children}</div>
    </section>
  )
}
