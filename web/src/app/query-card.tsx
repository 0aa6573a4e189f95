import type { ReactNode } from 'react'
import { Skeleton } from '../ui/empty.tsx'
import { Sheet } from '../ui/sheet.tsx'
import { LoadFailed, type Asked } from './load-failed.tsx'

interface QueryCardProps<T> {
  title: string
  hint?: string
  of: Asked & { data: T | undefined; isPending: boolean }
  /** How high it will be about: a class. */
  height: string
  children: (data: T) => ReactNode
  /** What is there in any case. */
  below?: ReactNode
}

/** A sheet about one thing that is read: its shape while it comes, another try when it does not. */
export function QueryCard<T>({ title, hint, of: asked, height, children, below }: QueryCardProps<T>) {
  return (
    <Sheet title={title} hint={hint}>
      {asked.isPending && <Skeleton className={height} />}
      <LoadFailed of={asked} />
      {asked.data !== undefined && children(asked.data)}
      {below}
    </Sheet>
  )
}
