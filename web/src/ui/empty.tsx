import type { ReactNode } from 'react'
import { RepeatSign } from './repeat-sign.tsx'

/** Nothing here yet: five empty lines, a repeat sign, and what to do. `page`: it is all that the page says. */
export function Empty(props: { page?: boolean; title: string; text: string; children?: ReactNode }) {
  const Title = props.page ? 'h1' : 'p'
  return (
    <div className="px-4 py-10 text-center">
      <div className="staff mx-auto mb-5 flex h-[37px] max-w-60 items-center justify-end" aria-hidden="true">
        <RepeatSign className="h-[37px] text-accent" />
      </div>
      <Title className="font-medium">{props.title}</Title>
      <p className="mx-auto mt-1 max-w-sm text-sm text-balance text-soft">{props.text}</p>
      {props.children && <div className="mt-4 flex justify-center">{props.children}</div>}
    </div>
  )
}

export function Skeleton(props: { className: string }) {
  return <div aria-hidden="true" className={`animate-breathe rounded-lg bg-sunken ${props.className}`} />
}
