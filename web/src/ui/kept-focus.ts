import { useLayoutEffect, useRef, type FocusEvent, type RefObject } from 'react'

/**
 * For a room whose parts come and go: when the part that has the focus goes away, the focus goes to `home` in it, or to
 * the room itself, and never back to the beginning of the page. Spread the answer on the room's element.
 */
export function useKeptFocus<T extends HTMLElement>(home?: string) {
  const ref = useRef<T>(null)
  const inside = useRef(false)
  // After every change: what went away took the focus along in silence, since a removed element tells nobody.
  useLayoutEffect(() => {
    if (!inside.current || document.activeElement !== document.body) return
    const target = (home && ref.current?.querySelector<HTMLElement>(home)) || ref.current
    target?.focus()
  })
  const look = (event: FocusEvent) => {
    inside.current = event.currentTarget.contains(document.activeElement)
  }
  return { ref: ref as RefObject<T | null>, tabIndex: -1, onFocus: look, onBlur: look }
}
