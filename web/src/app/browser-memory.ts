/** Browser storage that may be forbidden or full: then the page simply does not remember. */
export function recall(key: string, where: 'local' | 'tab' = 'local'): string | null {
  try {
    return store(where).getItem(key)
  } catch {
    return null
  }
}

export function remember(key: string, value: string | null, where: 'local' | 'tab' = 'local'): void {
  try {
    if (value === null) store(where).removeItem(key)
    else store(where).setItem(key, value)
  } catch {
    // Not remembered: nothing else depends on it.
  }
}

const store = (where: 'local' | 'tab') => (where === 'local' ? localStorage : sessionStorage)
