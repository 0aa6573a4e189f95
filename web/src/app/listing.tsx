import type { ReactNode } from 'react'
import { More, type Paged } from '../ui/more.tsx'
import { LoadFailed, type Asked } from './load-failed.tsx'

interface ListingProps {
  of: Asked & Paged & { isPending: boolean }
  /** How many there are to show. */
  count: number
  /** Its shape, until it is there. */
  skeleton: ReactNode
  /** In its place when there is nothing. */
  empty: ReactNode
  /** Said when it could not be read, before the reason. */
  failed?: string
  children: ReactNode
}

/** A list in each of its states: coming, empty, not to be had, here, and with more to come. */
export function Listing({ of: list, count, skeleton, empty, failed, children }: ListingProps) {
  if (list.isPending) return <div aria-busy="true">{skeleton}</div>
  return (
    <>
      {count > 0 ? children : !list.isError && !list.hasNextPage && empty}
      <LoadFailed of={list} text={failed} className={count > 0 ? 'mt-4' : ''} />
      <More of={list} />
    </>
  )
}
