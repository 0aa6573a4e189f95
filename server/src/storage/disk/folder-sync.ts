import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes folders and directory entries survive a power cut. Simultaneous syncs of one folder share a call: a waiter
 * that came while one was running joins the next, which sees its entry for sure.
 */
export function createFolderSync(root: string) {
  const running = new Map<string, { current: Promise<void>; next: Promise<void> | null }>()
  const durable = new Map<string, Promise<void>>()

  async function fsyncFolder(folder: string): Promise<void> {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  }

  function start(folder: string): Promise<void> {
    const entry: { current: Promise<void>; next: Promise<void> | null } = { current: fsyncFolder(folder), next: null }
    running.set(folder, entry)
    const clear = () => {
      if (running.get(folder) === entry && !entry.next) running.delete(folder)
    }
    entry.current.then(clear, clear)
    return entry.current
  }

  function sync(folder: string): Promise<void> {
    const entry = running.get(folder)
    if (!entry) return start(folder)
    const again = () => start(folder)
    return (entry.next ??= entry.current.then(again, again))
  }

  /** After this, `folder` exists and every entry from the root down to it is on disk, whoever once made it. */
  function ensure(folder: string): Promise<void> {
    const known = durable.get(folder)
    if (known) return known
    if (durable.size > 20_000) durable.clear()
    const work = (async () => {
      if (folder === root) return void (await mkdir(root, { recursive: true, mode: 0o700 }))
      const parent = dirname(folder)
      await ensure(parent)
      await mkdir(folder, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
      await sync(parent)
    })()
    durable.set(folder, work)
    work.catch(() => durable.delete(folder))
    return work
  }

  /** Somebody removed folders under us: believe nothing any more. */
  const forget = () => durable.clear()

  return { sync, ensure, forget }
}
