import { Link } from '@tanstack/react-router'
import { ArrowLeft } from 'lucide-react'
import type { ReactNode } from 'react'

/** To the list that this page belongs to. */
export function BackLink(props: { to: '/' | '/images'; children: ReactNode }) {
  return (
    <Link
      to={props.to}
      // Else it would say that this page is that list.
      activeOptions={{ exact: true }}
      className="-ml-2 mb-3 inline-flex min-h-9 pointer-coarse:min-h-11 items-center gap-1.5 rounded-lg px-2 text-sm text-soft hover:text-ink"
    >
      <ArrowLeft size={16} aria-hidden />
      {props.children}
    </Link>
  )
}
