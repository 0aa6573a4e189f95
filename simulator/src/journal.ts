import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Append-only JSON lines. A line handed to the kernel survives `kill -9` of this process, which is all that is
 * promised here; nothing is synced to the disk.
 */
export interface Journal<Event> {
  append(event: Event): void
  clear(): void
  close(): void
}

/** Reads what is there, hands each event to `replay`, then keeps the file open. Without a path nothing is kept. */
export function openJournal<Event>(path: string | null, replay: (event: Event) => void): Journal<Event> {
  if (path === null) return { append() {}, clear() {}, close() {} }
  mkdirSync(dirname(path), { recursive: true })
  const old = existsSync(path) ? readFileSync(path, 'utf8') : ''
  for (const line of old.split('\n')) {
    const event = parse<Event>(line)
    if (event !== null) replay(event)
  }
  const file = openSync(path, 'a')
  // A line cut short by a crash must not swallow the next one.
  if (old !== '' && !old.endsWith('\n')) writeSync(file, '\n')
  return {
    append: (event) => {
      writeSync(file, `${JSON.stringify(event)}\n`)
    },
    clear: () => ftruncateSync(file, 0),
    close: () => closeSync(file),
  }
}

function parse<Event>(line: string): Event | null {
  if (line === '') return null
  try {
    return JSON.parse(line) as Event
  } catch {
    return null
  }
}
