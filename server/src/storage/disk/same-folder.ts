import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { createFolderSync } from './folder-sync.ts'

/** The folder of files is not the one that this database knows. The message is for the operator. */
export class FilesFolderError extends Error {
  override name = 'FilesFolderError'
}

const MARKER = '.reprise-id'

/**
 * Makes sure that `root` is the folder of files that belongs to the database: the one that bears `id`. A folder
 * without a mark gets it when `unmarkedIsOurs` says so. Throws FilesFolderError.
 */
export async function claimFilesFolder(root: string, id: string, unmarkedIsOurs: () => Promise<boolean>): Promise<void> {
  const path = join(root, MARKER)
  const found = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (found?.trim() === id) return
  if (found !== null) {
    throw new FilesFolderError(
      `The files in ${root} belong to another database (${MARKER} holds another id). ` +
        'Every node needs the same DATA_DIR/files, and a DATA_DIR of its own for each database.',
    )
  }
  if (!(await unmarkedIsOurs())) {
    throw new FilesFolderError(
      `The database knows stored files, but ${root} is not the folder that holds them (it has no ${MARKER}). ` +
        'Mount the same DATA_DIR/files on every node, one that outlives a redeploy. ' +
        `If it is the right folder, write ${id} into ${path}.`,
    )
  }
  await mkdir(root, { recursive: true, mode: 0o700 })
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  const file = await open(draft, 'wx', 0o600)
  try {
    await file.writeFile(`${id}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
  await createFolderSync(root).sync(root)
}
