import { useEffect } from 'react'
import { valueStore } from './value-store.ts'

/** What the page that is open calls itself, when it shows one thing among many; the window's title says it. */
export const pageName = valueStore<string | undefined>(undefined)

export function usePageName(name: string | undefined): void {
  useEffect(() => {
    pageName.set(name)
    return () => pageName.set(undefined)
  }, [name])
}
