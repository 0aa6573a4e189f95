import { open, rename, rm } from 'node:fs/promises'
import type { Database } from '../database/pool.ts'
import { createExport } from '../features/export/export.ts'
import { createLibrary } from '../features/export/library.ts'
import { createFixityRecords } from '../features/fixity/records.ts'
import { userIdOf } from '../http-kit/authentication.ts'
import { systemClock } from '../kernel/clock.ts'
import type { BlobStore } from '../storage/blob-store.ts'

interface Context {
  db: Database
  schema: string
  blobs: BlobStore
  version: string
}

/**
 * `reprise export`: writes a user's library into a file that is there when all of it is there. Answers what the
 * operator is told; throws when the user is unknown, the file exists, or a stored file is damaged.
 */
export async function exportLibrary({ db, schema, blobs, version }: Context, user: string, file: string): Promise<string> {
  const library = createLibrary({ db, schema })
  const userId = userIdOf(user)
  if (!(await library.knows(userId))) throw new Error(`Nobody is known as ${user}.`)
  const suspects: string[] = []
  const { damaged } = createFixityRecords({ db, schema, node: 'cli', days: 30, leaseMs: 0, linkBase: '' })
  const prepare = createExport({ library, blobs, version, clock: systemClock, damaged, suspect: (key) => void suspects.push(key) })
  // Its name is taken first, so that nothing that is there is overwritten.
  const claim = await open(file, 'wx').catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? new Error(`${file} exists already.`) : error
  })
  const draft = `${file}.part`
  try {
    const bag = await prepare(userId)
    const target = await open(draft, 'w')
    try {
      await target.writeFile(bag.stream())
      await target.sync()
    } finally {
      await target.close()
    }
    await rename(draft, file)
    return [
      `${file}: ${bag.tracks} tracks, ${bag.files} files, ${(bag.bytes / 1e6).toFixed(1)} MB`,
      ...bag.missing.map(({ trackId, title, file: name, reason }) => `not in it: ${name}${title ? ` of "${title}"` : ''}${trackId ? ` (${trackId})` : ''}: ${reason}`),
    ].join('\n')
  } catch (error) {
    await Promise.all([rm(draft, { force: true }), rm(file, { force: true })])
    if (suspects.length > 0) throw new Error(`A stored file is damaged: ${suspects.at(-1)}. Ask for its download again, then repeat the export.`, { cause: error })
    throw error
  } finally {
    await claim.close()
  }
}
